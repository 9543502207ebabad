//! The timelines as one self-contained HTML page.

mod marks;
mod plot;

use std::fmt::Write;

use crate::timeline::{Counts, Expectation, Report};
use marks::MARKS;

const STYLE: &str = "
body { margin: 2.5rem auto; max-width: 1180px; padding: 0 1rem; background: #fcfcfa; color: #22272e;
       font: 15px/1.5 system-ui, 'Helvetica Neue', Arial, sans-serif; }
h1 { font-size: 1.7rem; font-weight: 600; margin: 0; }
h2 { font-size: 1.15rem; font-weight: 600; margin: 0; }
p { margin: .25rem 0 0; color: #57606a; }
section { margin-top: 1.6rem; padding: 1.1rem 1.4rem 1rem; background: #fff; border: 1px solid #e3e5e8; border-radius: 10px; }
header.scenario { display: flex; justify-content: space-between; align-items: flex-start; gap: 2rem; }
.counts { display: flex; gap: 1.4rem; text-align: right; flex: none; }
.counts b { display: block; font-size: 1.3rem; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums; }
.counts span { color: #57606a; font-size: .8rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin-top: .9rem; font-size: .85rem; color: #424a53; }
.legend span { display: inline-flex; align-items: center; gap: .4rem; }
svg { display: block; width: 100%; height: auto; }
section svg { margin-top: .8rem; }
ul { list-style: none; margin: .5rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1.6rem; font-size: .87rem; }
.met::before { content: '\\2713'; color: #2a9d5c; font-weight: 700; margin-right: .45em; }
.unmet { color: #c9302c; font-weight: 600; }
.unmet::before { content: '\\2717'; margin-right: .45em; }
details { margin-top: .6rem; font-size: .85rem; color: #57606a; }
pre { overflow-x: auto; margin: .4rem 0 0; font: 12px/1.45 ui-monospace, Menlo, monospace; }
";

/// Returns the page with all timelines.
pub(crate) fn page(reports: &[Report], seed: u64) -> String {
    let mut page = String::new();
    // Writing to a text cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Supervision lab</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n<body>\n\
         <h1>Supervision lab</h1>\n<p>What became of actors, providers and calls, with the seed {seed}. Point at a mark to \
         read what it stands for.</p>\n<div class=\"legend\">{}</div>\n{}</body>\n</html>\n",
        legend(),
        reports.iter().map(section).collect::<String>(),
    );
    page
}

fn legend() -> String {
    let entry = |shape: &str, words: &str| {
        format!("<span><svg viewBox=\"-8 -8 16 16\" style=\"width:16px\">{shape}</svg>{words}</span>")
    };
    let patch = |height: u32, color: &str| {
        let y = -f64::from(height) / 2.0;
        format!("<rect x=\"-8\" y=\"{y}\" width=\"16\" height=\"{height}\" rx=\"2\" fill=\"{color}\"/>")
    };
    let states = plot::STATES.iter().map(|(color, words)| entry(&patch(6, color), words));
    let marks = MARKS.iter().map(|mark| entry(mark.shape, mark.words));
    let calls = plot::CALLS.iter().map(|(color, words)| entry(&patch(12, color), words));
    states.chain(marks).chain(calls).collect()
}

fn section(report: &Report) -> String {
    let Counts { offered, answered, failed, lost } = report.counts();
    let count =
        |number: usize, words, color| format!("<div><b style=\"color:{color}\">{number}</b><span>{words}</span></div>");
    let counts = [
        count(offered, "offered", "#22272e"),
        count(answered, "answered", plot::ANSWERED),
        count(failed, "failed", if failed == 0 { "#22272e" } else { plot::FAILED }),
        count(lost, "lost", if lost == 0 { "#22272e" } else { plot::LOST }),
    ];
    let expectations = report.expectations.iter().map(|Expectation { what, met }| {
        format!("<li class=\"{}\">{}</li>", if *met { "met" } else { "unmet" }, escape(what))
    });
    let lines: String = report.entries.iter().map(|entry| format!("{}\n", escape(&entry.to_string()))).collect();
    format!(
        "<section id=\"{name}\">\n<header class=\"scenario\"><div><h2>{name}</h2><p>{about}</p></div>\
         <div class=\"counts\">{counts}</div></header>\n{plot}\n<ul>{expectations}</ul>\n\
         <details><summary>The timeline in words</summary><pre>{lines}</pre></details>\n</section>\n",
        name = report.name,
        about = escape(&sentence(report.about)),
        counts = counts.concat(),
        plot = plot::draw(report),
        expectations = expectations.collect::<String>(),
    )
}

/// Returns a text as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), characters.as_str()))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
