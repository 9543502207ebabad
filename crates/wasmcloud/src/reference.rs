//! The pages of `docs/reference`, which are made of the code. Each page has a part between two marks that is written by a test
//! here: the test fails if the page says something else, and rewrites it with `UPDATE_REFERENCE=1`.
//!
//! # Layout
//! - `commands`: commands and their options, from the command line; the settings of a host
//! - `manifest_keys`: the keys of manifests, from their JSON Schema
//! - `source`: names and doc comments, from files of source
//! - `text`: tables in Markdown
//! - `troubleshoot`: whether docs/troubleshoot.md says what to do at each alert, and at each refusal

mod commands;
mod manifest_keys;
mod source;
mod text;
mod troubleshoot;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_host::builtin::{BlobStore, Extras, HttpClient, HttpServer, KeyValue, LinkValue, Logging, Messaging};
use wasmcloud_host::telemetry::{METRICS, MetricKind};

use crate::outcome::CommandError;
use text::Table;

const BEGIN: &str = "<!-- Made of the code. scripts/reference writes it anew. -->\n";
const END: &str = "\n<!-- The end of what is made of the code. -->\n";

/// Returns the path of a file of the repository.
fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Checks the part of a page that is made of the code, or writes it.
fn assert_says(page: &str, text: &str) {
    let path = in_repository(page);
    let found = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = found.split_once(BEGIN).unwrap_or_else(|| panic!("{page} lacks the line {BEGIN}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{page} lacks the line {END}"));
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", text.trim_end());
    if found != expected && std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        let difference = differs.map(|(found, expected)| format!("it says\n{found}\nand the code\n{expected}\n"));
        assert!(found == expected, "{page}: {}run scripts/reference", difference.unwrap_or_default());
    }
}

#[test]
fn commands_are_those_of_the_command_line() {
    assert_says("docs/reference/commands.md", &commands::commands());
}

#[test]
fn settings_are_those_of_a_host() {
    assert_says("docs/reference/settings.md", &commands::settings());
}

#[test]
fn manifest_keys_are_those_of_the_schema() {
    let schema = std::fs::read_to_string(in_repository("docs/manifest.schema.json")).unwrap();
    assert_says("docs/reference/manifest-keys.md", &manifest_keys::keys(&serde_json::from_str(&schema).unwrap()));
}

#[test]
fn events_are_those_of_hosts() {
    let words = source::words("src/event.rs", "kinds");
    let mut table = Table::new(["Kind", "On the dashboard", "Fields", "Meaning"]);
    for kind in source::variants("src/event.rs", "EventKind") {
        let word = words.get(&kind.name).unwrap_or_else(|| panic!("{} has no word", kind.name));
        table.row([format!("`{}`", kind.name), format!("`{word}`"), text::code(&kind.fields), kind.doc]);
    }
    let mut page = format!("## In a program\n\n{table}\n## On the control interface\n\n");
    let mut table = Table::new(["Kind", "Meaning"]);
    for kind in source::constants("crates/control/src/event.rs", "kinds") {
        table.row([format!("`{}`", kind.name), kind.doc]);
    }
    write!(page, "{table}").unwrap();
    assert_says("docs/reference/events.md", &page);
}

#[test]
fn error_kinds_are_those_of_errors() {
    let mut table = Table::new(["Kind", "Meaning", "Exit code"]);
    for kind in source::variants("crates/core/src/error.rs", "ErrorKind") {
        let error = Error::new(ErrorKind::from_name(&kind.name).unwrap(), "");
        let code = CommandError::from(error).exit_code();
        table.row([format!("`{}`", kind.name), kind.doc, code.to_string()]);
    }
    assert_says("docs/reference/error-kinds.md", &table.to_string());
}

#[test]
fn metrics_are_those_of_a_host() {
    let mut table = Table::new(["Metric", "Kind", "Labels", "Meaning"]);
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            kind => panic!("{kind:?} has no words"),
        };
        table.row([format!("`{}`", metric.name), kind.to_owned(), text::code(metric.labels), metric.help.to_owned()]);
    }
    assert_says("docs/reference/metrics.md", &table.to_string());
}

#[test]
fn link_values_are_those_that_providers_read() {
    let providers: [(&str, &str, &[LinkValue]); 7] = [
        ("HttpServer", "httpserver", HttpServer::LINK_VALUES),
        ("HttpClient", "httpclient", HttpClient::LINK_VALUES),
        ("KeyValue", "keyvalue", KeyValue::LINK_VALUES),
        ("Messaging", "messaging", Messaging::LINK_VALUES),
        ("BlobStore", "blobstore", BlobStore::LINK_VALUES),
        ("Logging", "logging", Logging::LINK_VALUES),
        ("Extras", "extras", Extras::LINK_VALUES),
    ];
    let mut page = String::new();
    for (provider, name, values) in providers {
        writeln!(page, "## {provider}\n\n`builtin:{name}` serves the contract `wasmcloud:{name}`.\n").unwrap();
        let mut table = Table::new(["Value", "Meaning", "Default"]);
        for value in values {
            table.row([text::code(value.names), text::plain(value.meaning), value.default.to_owned()]);
        }
        writeln!(page, "{}", if values.is_empty() { "It has no values.\n".to_owned() } else { table.to_string() })
            .unwrap();
    }
    assert_says("docs/reference/link-values.md", &page);
}
