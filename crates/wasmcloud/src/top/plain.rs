//! The state of a lattice as text, for `--once`: whole values in tables, without colours.

use std::time::{Duration, Instant};

use wasmcloud_core::text::escaped;

use super::feed;
use super::format::{UNKNOWN, bytes, count, micros, per_second, shown, since, span};
use super::item::{Item, Severity};
use super::model::Model;
use super::screen::Screen;
use crate::table::Table;

/// The most events that are printed.
const MOST_EVENTS: usize = 10;

/// Returns all that is known as text.
pub(super) fn text(model: &Model, now: Instant) -> String {
    let screen = Screen::default();
    let items = screen.listed(model);
    let mut parts = vec![hosts(model, now)];
    let failing: Vec<&&Item> = items.iter().filter(|item| item.severity >= Severity::Warning).collect();
    if !failing.is_empty() {
        parts.push(failures(&failing));
    }
    if !items.is_empty() {
        parts.push(listed(&items));
    }
    if !model.events().is_empty() {
        parts.push(events(model));
    }
    parts.join("\n")
}

fn hosts(model: &Model, now: Instant) -> String {
    let titles = ["HOST", "STATE", "UPTIME", "ACTORS", "PROVIDERS", "CALLS/S", "MEMORY", "VERSION", "READ"];
    let mut table = Table::new(&titles);
    for host in model.hosts() {
        let state = host.known.and_then(|known| known.state.as_ref());
        let age = host.known.and_then(|known| known.age(now)).map(|age| format!("{} ago", span(age)));
        let silence = host.known.and_then(|known| known.silence.as_deref()).map(shown);
        table.row([
            host.id.to_owned(),
            host.word.to_owned(),
            host.uptime().map(|seconds| span(Duration::from_secs(seconds))).unwrap_or_default(),
            host.counts().map(|counts| counts.0.to_string()).unwrap_or_default(),
            host.counts().map(|counts| counts.1.to_string()).unwrap_or_default(),
            state.map(|state| per_second(&state.host.calls_per_second)).unwrap_or_default(),
            state.and_then(|state| state.host.memory_bytes).filter(|number| *number > 0).map(bytes).unwrap_or_default(),
            host.version().to_owned(),
            silence.or(age).unwrap_or_default(),
        ]);
    }
    table.to_text()
}

fn failures(failing: &[&&Item]) -> String {
    let mut table = Table::new(&["FAILS", "STATE", "HOST", "REASON"]);
    for item in failing {
        table.row([
            item.name.clone(),
            item.word.to_owned(),
            item.host.clone(),
            item.reason.clone().unwrap_or_default(),
        ]);
    }
    table.to_text()
}

fn listed(items: &[&Item]) -> String {
    let titles =
        ["STATE", "NAME", "KIND", "KEY", "HOST", "RUN", "RESTARTS", "MEMORY", "CALLS/S", "P50", "P99", "ERRORS/MIN"];
    let mut table = Table::new(&titles);
    for item in items {
        let activity = item.activity();
        let instances = item.instances().map(|(running, meant)| format!("{running}/{meant}"));
        table.row([
            item.word.to_owned(),
            item.name.clone(),
            item.kind().to_owned(),
            item.id().to_owned(),
            item.host.clone(),
            instances.unwrap_or_default(),
            count(activity.restarts),
            item.memory().map_or_else(|| UNKNOWN.to_owned(), bytes),
            per_second(&activity.rate),
            micros(activity.p50_us),
            micros(activity.p99_us),
            count(activity.errors_last_minute),
        ]);
    }
    table.to_text()
}

fn events(model: &Model) -> String {
    let clock = feed::now();
    let mut table = Table::new(&["AGO", "HOST", "KIND", "EVENT"]);
    for event in model.events().iter().take(MOST_EVENTS) {
        let text = escaped(&event.text).into_owned();
        table.row([since(event.at, clock), event.host.clone(), event.kind.clone(), text]);
    }
    table.to_text()
}
