//! The lists of the screen: hosts, actors and providers, events.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use wasmcloud_telemetry::state::{EventRecord, HealthState};

use super::View;
use super::columns::{Cell, Column, Side, fitted, line, titles};
use crate::top::format::{
    SHORT_KEY, UNKNOWN, bytes, count, micros, per_second, shown, since, span, sparkline, with_short_keys,
};
use crate::top::item::{Item, Severity};
use crate::top::model::HostRow;
use crate::top::screen::{Cursor, Focus, Screen};

/// How many of the last seconds are shown as bars.
const SECONDS: usize = 10;

const fn column(title: &'static str, width: usize, side: Side, from: usize) -> Column {
    Column { title, width, side, from }
}

const HOSTS: [Column; 9] = [
    column("HOST", SHORT_KEY, Side::Left, 0),
    column("STATE", 9, Side::Left, 0),
    column("UP", 6, Side::Right, 0),
    column("ACT", 5, Side::Right, 0),
    column("PROV", 4, Side::Right, 0),
    column("CALLS/S", 7, Side::Right, 0),
    column("MEMORY", 8, Side::Right, 64),
    column("VERSION", 8, Side::Left, 100),
    column("READ", 10, Side::Rest, 0),
];

const ITEMS: [Column; 13] = [
    column("STATE", 10, Side::Left, 0),
    column("ACTOR OR PROVIDER", 0, Side::Rest, 0),
    column("KEY", SHORT_KEY, Side::Left, 90),
    column("HOST", SHORT_KEY, Side::Left, 88),
    column("RUN", 4, Side::Right, 0),
    column("RST", 4, Side::Right, 0),
    column("MEMORY", 8, Side::Right, 60),
    column("CALLS/S", 7, Side::Right, 0),
    column("LAST 10 S", SECONDS, Side::Left, 72),
    column("P50", 7, Side::Right, 110),
    column("P99", 7, Side::Right, 50),
    column("ERR/MIN", 7, Side::Right, 96),
    column("HEALTH", 9, Side::Left, 130),
];

const EVENTS: [Column; 4] = [
    column("AGO", 6, Side::Right, 0),
    column("HOST", SHORT_KEY, Side::Left, 70),
    column("KIND", 15, Side::Left, 0),
    column("EVENT", 0, Side::Rest, 0),
];

/// A list to draw: its columns, and a line for each row.
struct List<'a> {
    columns: &'a [Column],
    rows: Vec<Vec<Cell>>,
    has_focus: bool,
    /// What is said if there are no rows.
    nothing: &'static str,
}

impl View<'_> {
    pub(super) fn hosts(&self, frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
        let hosts = self.model.hosts();
        let keys: Vec<&str> = hosts.iter().map(|host| host.id).collect();
        let visible = settle(&mut screen.hosts, &keys, area);
        let rows = hosts[visible].iter().map(|host| self.host(host)).collect();
        let has_focus = screen.focus == Focus::Hosts;
        let nothing = "No host has answered yet. Check --nsprefix, and that a host of the namespace runs.";
        self.list(frame, area, &screen.hosts, &List { columns: &HOSTS, rows, has_focus, nothing });
    }

    fn host(&self, host: &HostRow<'_>) -> Vec<Cell> {
        let plain = Style::new();
        let state = host.known.and_then(|known| known.state.as_ref());
        let of_counts = |pick: fn((usize, usize)) -> usize| {
            host.counts().map_or_else(|| UNKNOWN.to_owned(), |counts| pick(counts).to_string())
        };
        let silence = host.known.and_then(|known| known.silence.as_deref());
        let current = state.filter(|_| silence.is_none());
        let memory = current.and_then(|state| state.host.memory_bytes).filter(|bytes| *bytes > 0).map(bytes);
        let uptime = host.uptime().filter(|_| silence.is_none()).map(|seconds| span(Duration::from_secs(seconds)));
        let age = host.known.and_then(|known| known.age(self.now)).map(span);
        let read = match (silence, age, host.peer) {
            (Some(_), Some(age), _) => Cell::new(format!("{age} ago, answers no more"), self.theme.of(host.severity)),
            (Some(reason), None, _) => Cell::new(shown(reason), self.theme.of(host.severity)),
            (None, Some(age), _) => Cell::new(format!("{age} ago{}", remark(host)), self.theme.dim()),
            (None, None, Some(peer)) => {
                Cell::new(format!("heard {} ago", since(peer.heard_at, self.clock)), self.theme.dim())
            }
            (None, None, None) => Cell::new(UNKNOWN, self.theme.dim()),
        };
        vec![
            Cell::new(short(host.id), plain),
            Cell::new(host.word, self.theme.of(host.severity)),
            Cell::new(uptime.unwrap_or_else(|| UNKNOWN.to_owned()), plain),
            Cell::new(of_counts(|counts| counts.0), plain),
            Cell::new(of_counts(|counts| counts.1), plain),
            Cell::new(
                current.map_or_else(|| UNKNOWN.to_owned(), |state| per_second(&state.host.calls_per_second)),
                plain,
            ),
            Cell::new(memory.unwrap_or_else(|| UNKNOWN.to_owned()), plain),
            Cell::new(shown(host.version()), plain),
            read,
        ]
    }

    pub(super) fn items(&self, frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
        let items = screen.listed(self.model);
        let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
        let visible = settle(&mut screen.items, &keys, area);
        let rows = items[visible].iter().map(|item| self.item(item)).collect();
        let has_focus = screen.focus == Focus::Items;
        let nothing = if screen.search.is_empty() { "Nothing runs." } else { "Nothing matches the search." };
        self.list(frame, area, &screen.items, &List { columns: &ITEMS, rows, has_focus, nothing });
    }

    fn item(&self, item: &Item) -> Vec<Cell> {
        let activity = item.activity();
        let is_stale = item.is_of_gone_host;
        let plain = if is_stale { self.theme.dim() } else { Style::new() };
        let state = Cell::new(item.word, self.theme.of(item.severity));
        let mut cells = vec![
            state,
            Cell::new(item.name.as_str(), plain),
            Cell::new(short(item.id()), plain),
            Cell::new(short(&item.host), plain),
        ];
        if let Some(reason) = &item.reason {
            // Why it fails matters more than its figures, which the details show.
            cells.push(Cell::long(with_short_keys(reason), self.theme.of(item.severity)));
            return cells;
        }
        let run = item
            .instances()
            .map(|(running, meant)| if running == meant { meant.to_string() } else { format!("{running}/{meant}") });
        let errors = activity.errors_last_minute;
        let error_style = if errors > 0 { self.theme.of(Severity::Warning) } else { plain };
        cells.extend([
            Cell::new(run.unwrap_or_else(|| UNKNOWN.to_owned()), plain),
            Cell::new(count(activity.restarts), plain),
            Cell::new(item.memory().map_or_else(|| UNKNOWN.to_owned(), bytes), plain),
            Cell::new(per_second(&activity.rate), plain),
            Cell::new(sparkline(&activity.rate, SECONDS), self.theme.of(Severity::Fine)),
            Cell::new(micros(activity.p50_us), plain),
            Cell::new(micros(activity.p99_us), plain),
            Cell::new(count(errors), error_style),
            Cell::new(health(item), plain),
        ]);
        cells
    }

    pub(super) fn events(&self, frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
        let events = self.model.events();
        let keys: Vec<String> = events.iter().map(|event| format!("{}/{}", event.host, event.sequence)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let visible = settle(&mut screen.events, &keys, area);
        let row = |place: usize| {
            let event = &events[place];
            let severity = severity_of(&event.severity);
            let style = if severity == Severity::Fine { Style::new() } else { self.theme.of(severity) };
            vec![
                Cell::new(since(event.at, self.clock), self.theme.dim()),
                Cell::new(short(&event.host), self.theme.dim()),
                Cell::new(shown(&event.kind), style),
                Cell::new(with_short_keys(&told(event)), style),
            ]
        };
        let rows = visible.map(row).collect();
        let has_focus = screen.focus == Focus::Events;
        let nothing = "No events yet.";
        self.list(frame, area, &screen.events, &List { columns: &EVENTS, rows, has_focus, nothing });
    }

    fn list(&self, frame: &mut Frame<'_>, area: Rect, cursor: &Cursor, list: &List<'_>) {
        let widths = fitted(list.columns, area.width.into());
        let mut lines = vec![titles(list.columns, &widths, self.theme.title(list.has_focus))];
        for (number, cells) in list.rows.iter().enumerate() {
            let drawn = line(list.columns, &widths, cells);
            let is_selected = list.has_focus && cursor.top + number == cursor.index;
            lines.push(if is_selected { drawn.patch_style(self.theme.selected()) } else { drawn });
        }
        if list.rows.is_empty() {
            lines.push(Line::styled(list.nothing, self.theme.dim()));
        }
        frame.render_widget(ratatui::text::Text::from(lines), area);
    }
}

/// Finds the selected line, and returns the lines that are drawn. One line is that of the titles.
fn settle(cursor: &mut Cursor, keys: &[&str], area: Rect) -> std::ops::Range<usize> {
    let height = usize::from(area.height.saturating_sub(1));
    cursor.settle(keys, height);
    cursor.top..(cursor.top + height).min(keys.len())
}

/// Returns the beginning of a key. A key comes from a host, so it may be any text.
fn short(key: &str) -> String {
    shown(&key[..key.floor_char_boundary(SHORT_KEY)])
}

/// Returns what is to be said about the last answer of a host.
fn remark(host: &HostRow<'_>) -> &'static str {
    match host.known {
        Some(known) if known.lateness.is_some() => ", late",
        Some(known) if known.has_telemetry => "",
        _ => ", without telemetry",
    }
}

/// Returns what an event tells, and about which actor, provider or host.
fn told(event: &EventRecord) -> String {
    match event.name.as_deref().or(event.entity.as_deref()) {
        Some(name) if !event.text.contains(name) => format!("{}: {}", shown(name), shown(&event.text)),
        _ => shown(&event.text),
    }
}

/// Returns how bad an event is.
pub(super) fn severity_of(name: &str) -> Severity {
    match name {
        "error" => Severity::Failure,
        "warning" => Severity::Warning,
        _ => Severity::Fine,
    }
}

/// Returns the health of an item in one word.
pub(super) fn health(item: &Item) -> &'static str {
    match item.activity().health {
        HealthState::Healthy => "healthy",
        HealthState::Busy => "busy",
        HealthState::Unhealthy => "unhealthy",
        _ => UNKNOWN,
    }
}
