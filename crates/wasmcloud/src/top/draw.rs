//! The screen as it is drawn (pure): a summary, the hosts, what they run with failures first, and their last events.
//!
//! # Layout
//! - `columns`: lists with columns that fit
//! - `lists`: hosts, actors and providers, events
//! - `details`: one of them in full, and the keys

mod columns;
mod details;
mod lists;
#[cfg(test)]
mod tests;

use std::io;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::format::{count, shown, span};
use super::item::Severity;
use super::model::Model;
use super::screen::Screen;

/// The age from which the figures on the screen are called old.
const OLD: Duration = Duration::from_secs(10);

/// The most hosts that are listed at once.
const MOST_HOSTS: usize = 4;

/// The styles of the screen. Without colours, differences are told by words, weight and inversion alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    has_colors: bool,
}

impl Theme {
    /// Returns the theme that `--color` and the environment ask for.
    pub(super) fn of_environment() -> Theme {
        Theme { has_colors: anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never }
    }

    fn of(self, severity: Severity) -> Style {
        match severity {
            Severity::Failure => self.colored(Color::Red).add_modifier(Modifier::BOLD),
            Severity::Warning => self.colored(Color::Yellow).add_modifier(Modifier::BOLD),
            Severity::Note => self.colored(Color::Cyan),
            Severity::Fine => self.colored(Color::Green),
        }
    }

    fn colored(self, color: Color) -> Style {
        if self.has_colors { Style::new().fg(color) } else { Style::new() }
    }

    fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn title(self, has_focus: bool) -> Style {
        let style = self.colored(if has_focus { Color::Cyan } else { Color::Reset }).add_modifier(Modifier::BOLD);
        if has_focus { style.add_modifier(Modifier::UNDERLINED) } else { style }
    }

    fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// What is drawn, and when.
struct View<'a> {
    model: &'a Model,
    theme: Theme,
    now: Instant,
    /// The time by the clock. Unit: milliseconds since 1970.
    clock: u64,
}

/// Draws the screen.
pub(super) fn frame(frame: &mut Frame<'_>, model: &Model, screen: &mut Screen, theme: Theme, now: Instant) {
    let view = View { model, theme, now, clock: super::feed::now() };
    let area = frame.area();
    let [summary, body, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(view.summary(), summary);
    if let Some(subject) = screen.details.clone() {
        screen.scroll = view.details(frame, body, &subject, screen.scroll);
    } else {
        view.lists(frame, body, screen);
    }
    frame.render_widget(view.keys(screen), keys);
}

impl View<'_> {
    fn lists(&self, frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
        let hosts = self.model.hosts().len().clamp(1, MOST_HOSTS) as u16 + 1;
        let events = (area.height / 4).clamp(3, 16);
        let [hosts, items, events] =
            Layout::vertical([Constraint::Length(hosts), Constraint::Min(3), Constraint::Length(events)]).areas(area);
        self.hosts(frame, hosts, screen);
        self.items(frame, items, screen);
        self.events(frame, events, screen);
    }

    /// Returns the line that tells whether all is well.
    fn summary(&self) -> Line<'static> {
        let totals = self.model.totals();
        let theme = self.theme;
        let mut spans =
            vec![Span::styled(format!("wasmcloud top {}", shown(self.model.namespace())), theme.title(false))];
        let mut tell = |text: String, style: Style| {
            spans.push(Span::raw("  "));
            spans.push(Span::styled(text, style));
        };
        match totals.failing {
            0 if totals.hosts_gone + totals.troubled == 0 => tell("all is well".to_owned(), theme.of(Severity::Fine)),
            0 => {}
            1 => tell("1 fails".to_owned(), theme.of(Severity::Failure)),
            failing => tell(format!("{failing} fail"), theme.of(Severity::Failure)),
        }
        if totals.troubled > 0 {
            tell(plural(totals.troubled, "has trouble", "have trouble"), theme.of(Severity::Warning));
        }
        if totals.hosts_gone > 0 {
            tell(plural(totals.hosts_gone, "host gone", "hosts gone"), theme.of(Severity::Failure));
        }
        match self.model.age(self.now) {
            None => tell("no host has answered yet".to_owned(), theme.of(Severity::Warning)),
            Some(age) if age >= OLD => tell(format!("OLD: read {} ago", span(age)), theme.of(Severity::Failure)),
            Some(age) => tell(format!("read {} ago", span(age)), theme.dim()),
        }
        tell(plural(totals.hosts, "host", "hosts"), Style::new());
        tell(plural(totals.actors, "actor", "actors"), Style::new());
        tell(plural(totals.providers, "provider", "providers"), Style::new());
        tell(format!("{} calls/s", count(totals.calls)), Style::new());
        if totals.hosts_forgotten > 0 {
            tell(plural(totals.hosts_forgotten, "host forgotten", "hosts forgotten"), theme.dim());
        }
        Line::from(spans)
    }

    /// Returns the line of the keys, or of the text that is searched for.
    fn keys(&self, screen: &Screen) -> Line<'static> {
        let search = shown(&screen.search);
        if screen.is_typing {
            return Line::from(vec![
                Span::styled(format!("search: {search}"), self.theme.title(false)),
                Span::styled(" ", self.theme.selected()),
                Span::styled("  Enter keeps it, Esc drops it", self.theme.dim()),
            ]);
        }
        let text = match (&screen.details, search.as_str()) {
            (Some(_), _) => "arrows scroll  Esc back".to_owned(),
            (None, "") => {
                let sort = screen.sort.name();
                format!("arrows, Tab move  Enter details  s sort: {sort}  / search  ? help  q quit")
            }
            (None, search) => format!("only {search:?}: Esc shows all  s sort: {}  q quit", screen.sort.name()),
        };
        Line::from(Span::styled(text, self.theme.dim()))
    }
}

fn plural(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
