//! The page for those who are on call says what to do at each alert, and at each kind of error that ends a command with 3 or 4.

use std::collections::BTreeSet;

use wasmcloud_core::error::{Error, ErrorKind};

use super::{in_repository, source};
use crate::outcome::CommandError;

/// Returns a file of `docs`.
fn document(name: &str) -> String {
    std::fs::read_to_string(in_repository("docs").join(name)).unwrap()
}

/// Returns the names in the first column of the tables below a heading of docs/troubleshoot.md.
fn rows(heading: &str) -> BTreeSet<String> {
    let page = document("troubleshoot.md");
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).filter(|name| name.chars().all(char::is_alphanumeric)).collect()
}

/// Compares the rows below a heading with what there is.
fn assert_rows(heading: &str, wanted: &BTreeSet<String>) {
    let rows = rows(heading);
    let missing: Vec<&String> = wanted.difference(&rows).collect();
    let unknown: Vec<&String> = rows.difference(wanted).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "docs/troubleshoot.md, {heading}: add a row for each of {missing:?}, and take out those of {unknown:?}"
    );
}

#[test]
fn each_alert_has_a_row() {
    let rules = document("alert-rules.yml");
    let alerts = rules.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: "));
    let alerts: BTreeSet<String> = alerts.map(|name| name.trim().to_owned()).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    assert_rows("By alert", &alerts);
}

#[test]
fn each_refusal_and_each_server_that_is_not_reached_has_a_row() {
    let kinds = source::variants("crates/core/src/error.rs", "ErrorKind").into_iter().map(|kind| kind.name);
    let exit_code = |name: &String| CommandError::from(Error::new(ErrorKind::from_name(name).unwrap(), "")).exit_code();
    let kinds = kinds.filter(|name| matches!(exit_code(name), 3 | 4)).collect();
    assert_rows("By kind of error", &kinds);
}
