//! A report as one page in HTML that needs nothing else: styles, scripts and figures are inside. A policy with their hashes keeps
//! everything else from being loaded or run, and the figures are data that no browser executes.
//!
//! # Layout
//! - `bundle`: the modules of the page as one script
//! - `page/`: the page's own files. Its pictures are shared with the dashboard

mod bundle;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmcloud_telemetry::assets;

use super::report::{FORMAT, Report};
use crate::outcome::{CommandError, CommandResult};

/// The page without its contents.
const SHELL: &str = include_str!("page/report.html");

/// The styles, in their order: those of the dashboard, and the page's own.
const SHARED_STYLES: [&str; 2] = ["style.css", "plot.css"];
const STYLE: &str = include_str!("page/report.css");

/// The modules of the page's own. They may import those of the dashboard.
const MODULES: [(&str, &str); 5] = [
    ("report.js", include_str!("page/report.js")),
    ("charts.js", include_str!("page/charts.js")),
    ("comparison.js", include_str!("page/comparison.js")),
    ("facts.js", include_str!("page/facts.js")),
    ("tables.js", include_str!("page/tables.js")),
];

/// The module that the page begins with.
const ENTRY: &str = "report.js";

/// The text before the figures, and the text behind them. The figures hold no `<`.
const DATA_BEGINS: &str = "<script type=\"application/json\" id=\"data\">";
const DATA_ENDS: &str = "</script>";

/// Returns the page of a report or of a comparison.
///
/// # Errors
/// `Failed` if it cannot be written as JSON.
pub(super) fn of(figures: &impl Serialize) -> CommandResult<String> {
    let data = serde_json::to_string(figures)
        .map_err(|error| CommandError::Failed(format!("the report cannot be written: {error}")))?;
    let script = script();
    let style = style();
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(&style)
    );
    let parts = [("{policy}", policy), ("{style}", style), ("{script}", script), ("{data}", harmless(&data))];
    Ok(filled(SHELL, &parts))
}

/// Reads a report back, from its page or from JSON.
///
/// # Errors
/// Why it is no report.
pub(super) fn read(text: &str) -> Result<Report, String> {
    let data = match text.split_once(DATA_BEGINS) {
        Some((_, rest)) => rest.split_once(DATA_ENDS).map_or(rest, |(data, _)| data),
        None => text,
    };
    let Head { format } =
        serde_json::from_str(data).map_err(|error| format!("it is neither the page of one nor its JSON: {error}"))?;
    if format != FORMAT {
        let format: String = format.chars().take(80).collect();
        return Err(format!("its format is {format:?}, and this program reads {FORMAT:?}"));
    }
    let report: Report = serde_json::from_str(data).map_err(|error| format!("its figures are damaged: {error}"))?;
    report.check().map_err(|reason| format!("its figures are damaged: {reason}"))?;
    Ok(report)
}

/// The part of a report that is the same in all formats.
#[derive(Deserialize)]
struct Head {
    format: String,
}

/// Replaces each mark of a text. What is put in is not searched for marks.
fn filled(text: &str, parts: &[(&str, String)]) -> String {
    let next = parts.iter().filter_map(|part| Some((text.find(part.0)?, part))).min_by_key(|(at, _)| *at);
    match next {
        None => text.to_owned(),
        Some((at, (mark, part))) => text[..at].to_owned() + part + &filled(&text[at + mark.len()..], parts),
    }
}

/// Returns JSON in which no HTML can begin: `<` occurs in texts only, where it can be escaped.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn style() -> String {
    let shared = SHARED_STYLES.iter().filter_map(|name| asset(name));
    let style: Vec<&str> = shared.chain([STYLE]).collect();
    style.join("\n")
}

fn script() -> String {
    let of_dashboard = assets::ALL.iter().filter_map(|asset| Some((asset.name, asset_text(asset)?)));
    // A module of the page's own comes before one of the dashboard with the same name.
    bundle::bundle(ENTRY, |name| {
        let own = MODULES.iter().find(|(own, _)| *own == name).map(|(_, text)| *text);
        own.or_else(|| of_dashboard.clone().find(|(known, _)| *known == name).map(|(_, text)| text))
    })
}

fn asset(name: &str) -> Option<&'static str> {
    assets::find(name).and_then(asset_text)
}

fn asset_text(asset: &'static assets::Asset) -> Option<&'static str> {
    std::str::from_utf8(asset.content).ok()
}

/// Returns the hash of an inline script or style in the form that content security policies use.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lab::report::{Figures, LoadReport, RunReport};

    fn hostile() -> Report {
        let name = "</script><script>alert(1)</script><!-- \u{2028}{style}{script}".to_owned();
        let load = LoadReport { name: name.clone(), ..LoadReport::default() };
        let runs = vec![RunReport { loads: vec![load], ..RunReport::default() }];
        Report { format: FORMAT.to_owned(), name, runs, ..Report::default() }
    }

    fn with_loads(loads: Vec<LoadReport>) -> Report {
        Report { runs: vec![RunReport { loads, ..RunReport::default() }], ..hostile() }
    }

    #[test]
    fn a_report_is_read_back_from_its_page_whatever_its_names_are() {
        let report = hostile();
        let page = of(&report).unwrap();
        let read = read(&page).unwrap();
        assert_eq!(read.name, report.name);
        assert_eq!(read.runs[0].loads[0].name, report.name);
        assert_eq!(page.matches("<script").count(), 2, "the script and the figures, and no other");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("alert(1)</script>"));
    }

    #[test]
    fn the_policy_has_the_hashes_of_script_and_style() {
        let page = of(&hostile()).unwrap();
        let between = |begin: &str, end: &str| page.split_once(begin).unwrap().1.split_once(end).unwrap().0.to_owned();
        for (text, directive) in [
            (between("<script type=\"module\">", "</script>"), "script-src"),
            (between("<style>", "</style>"), "style-src"),
        ] {
            assert!(page.contains(&format!("{directive} '{}'", hash(&text))), "{directive}");
        }
        for outside in ["src=", "url(http", "@import", "import(", "fetch("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn other_files_are_no_reports() {
        for text in [
            "",
            "<html></html>",
            "{}",
            "[1]",
            "{\"format\": \"wasmcloud.lab.report/9\"}",
            "{\"format\": \"wasmcloud.lab.report/1\"}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let page = of(&hostile()).unwrap();
        let (_, data) = page.split_once(DATA_BEGINS).unwrap();
        for (report, reason) in [
            (Report { runs: vec![RunReport::default(); 101], ..hostile() }, "101 runs"),
            (with_loads(vec![LoadReport::default(); 33]), "33 loads"),
            (
                with_loads(vec![LoadReport { blocks: vec![Figures::default(); 11], ..LoadReport::default() }]),
                "11 stretches",
            ),
        ] {
            let error = read(&of(&report).unwrap()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let cut = page.len() - data.len() + 200;
        assert!(read(&page[..cut]).unwrap_err().contains("neither"), "a page that is cut off in its figures");
    }

    proptest! {
        /// Nothing panics, and no text of a report gets out of its place in the page.
        #[test]
        fn any_text_is_a_report_or_refused(text in any::<String>(), name in any::<String>()) {
            let _ = read(&text);
            let report = Report { name: name.clone(), ..hostile() };
            let page = of(&report).unwrap();
            prop_assert_eq!(page.matches("<script").count(), 2);
            prop_assert_eq!(read(&page).unwrap().name, name);
        }
    }
}
