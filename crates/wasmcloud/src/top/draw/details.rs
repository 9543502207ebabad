//! A host, an actor, a provider or an event in full, and the list of the keys.

use console::measure_text_width;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use wasmcloud_core::text::escaped;
use wasmcloud_telemetry::state::{Activity, ActorState, EventRecord, LinkState, ProviderState, TrustStanding};

use super::View;
use super::lists::{health, severity_of};
use crate::time::format_date;
use crate::top::format::{UNKNOWN, bytes, count, micros, per_second, shown, since, sparkline};
use crate::top::item::{Entity, Item, Severity};
use crate::top::screen::Subject;

/// The width of the names of facts.
const NAMES: usize = 14;

/// The longest value. Unit: bytes.
const LONGEST: usize = 4096;

/// The most events about an actor or provider that are listed.
const MOST_EVENTS: usize = 20;

const HELP: [[&str; 2]; 10] = [
    ["arrows, j, k", "select a line; Page Up, Page Down, Home and End go further"],
    ["Tab", "the next list: hosts, actors and providers, events"],
    ["Enter", "the selected line in full: claims, trust, links, last events"],
    ["s", "sorts by name, calls, latency, errors, memory or restarts. What fails stays first"],
    ["/", "shows only what has a text in its name, key, contract or state"],
    ["Esc", "goes back, or shows all again"],
    ["q, Ctrl-C", "quits"],
    ["", ""],
    ["STATE", "failed, distrusted and unhealthy need help; restarting and degraded are being mended"],
    ["OLD, gone", "figures without an answer since then: what runs there is not known"],
];

/// Facts about one subject.
struct Facts {
    lines: Vec<Line<'static>>,
    name: Style,
    /// The width of the screen.
    width: usize,
}

impl Facts {
    fn heading(&mut self, text: &str, style: Style) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.lines.push(Line::styled(text.to_owned(), style));
    }

    /// Adds a fact. One without a value is left out.
    fn add(&mut self, name: &str, value: &str) {
        self.styled(name, value, Style::new());
    }

    fn styled(&mut self, name: &str, value: &str, style: Style) {
        if !value.is_empty() {
            let kept = &value[..value.floor_char_boundary(LONGEST)];
            let ellipsis = if kept.len() < value.len() { "…" } else { "" };
            let text = format!("{}{ellipsis}", escaped(kept));
            let mut name = format!("  {name:NAMES$}");
            for part in parts(&text, self.width.saturating_sub(NAMES + 2).max(1)) {
                let title = Span::styled(std::mem::take(&mut name), self.name);
                self.lines.push(Line::from(vec![title, Span::styled(part, style)]));
                name = " ".repeat(NAMES + 2);
            }
        }
    }
}

impl View<'_> {
    /// Draws a subject. Returns how many lines can be passed over.
    pub(super) fn details(&self, frame: &mut Frame<'_>, area: Rect, subject: &Subject, scroll: usize) -> usize {
        let mut facts = Facts { lines: Vec::new(), name: self.theme.dim(), width: area.width.into() };
        match subject {
            Subject::Help => {
                facts.heading("Keys and words", self.theme.title(false));
                HELP.iter().for_each(|[name, meaning]| facts.add(name, meaning));
            }
            Subject::Host(id) => self.host_facts(id, &mut facts),
            Subject::Item(key) => match self.model.items().find(|item| item.key == *key) {
                Some(item) => self.item_facts(item, &mut facts),
                None => facts.heading("It runs no more.", self.theme.of(Severity::Warning)),
            },
            Subject::Event { host, sequence } => {
                let is_meant = |event: &&EventRecord| event.host == *host && event.sequence == *sequence;
                match self.model.events().iter().find(is_meant) {
                    Some(event) => self.event_facts(event, &mut facts),
                    None => facts.heading("The event is no longer kept.", self.theme.of(Severity::Note)),
                }
            }
        }
        let scroll = scroll.min(facts.lines.len().saturating_sub(1));
        facts.lines.drain(..scroll);
        frame.render_widget(Text::from(facts.lines), area);
        scroll
    }

    fn host_facts(&self, id: &str, facts: &mut Facts) {
        let hosts = self.model.hosts();
        let Some(row) = hosts.iter().find(|host| host.id == id) else { return };
        facts.heading(&format!("Host {}", shown(id)), self.theme.title(false));
        facts.styled("state", row.word, self.theme.of(row.severity));
        facts.add("version", row.version());
        if let Some(reason) = row.known.and_then(|known| known.silence.as_deref()) {
            facts.styled("no answer", reason, self.theme.of(Severity::Failure));
        }
        if let Some(reason) = row.known.and_then(|known| known.lateness.as_deref()) {
            facts.styled("late", reason, self.theme.of(Severity::Warning));
        }
        let Some(state) = row.known.and_then(|known| known.state.as_ref()) else { return };
        let host = &state.host;
        facts.add("started", &date(Some(host.started_at)));
        facts.add("shards", &some(host.shards as u64));
        facts.add("memory", &host.memory_bytes.filter(|number| *number > 0).map(bytes).unwrap_or_default());
        facts.add("calls/s", &calls(&host.calls_per_second));
        if let Some(latency) = host.latency_us {
            facts.add(
                "latency",
                &format!("half within {}, 99% within {}", micros(Some(latency.p50)), micros(Some(latency.p99))),
            );
        }
        if let Some(lattice) = &host.lattice {
            let since = since(lattice.since, self.clock);
            facts.add("lattice", &format!("{} of {}, for {since}", lattice.state, lattice.namespace));
        }
        host.labels.iter().for_each(|(name, value)| facts.add("label", &format!("{name}={value}")));
        facts.heading("Its last events", self.theme.title(false));
        self.events_facts(facts, |event| event.host == id);
    }

    fn item_facts(&self, item: &Item, facts: &mut Facts) {
        facts.heading(
            &format!("{} {}", if item.kind() == "actor" { "Actor" } else { "Provider" }, item.name),
            self.theme.title(false),
        );
        facts.styled("state", item.word, self.theme.of(item.severity));
        let style = self.theme.of(item.severity);
        facts.styled("reason", item.reason.as_deref().unwrap_or_default(), style);
        facts.add("for", &since(item.activity().since, self.clock));
        facts.add("key", item.id());
        facts.add("host", &item.host);
        match &item.entity {
            Entity::Actor(actor) => self.actor_facts(actor, facts),
            Entity::Provider(provider) => provider_facts(provider, facts),
        }
        self.activity_facts(item, facts);
        let links = self.links_of(item);
        if !links.is_empty() {
            facts.heading("Links", self.theme.title(false));
            links.iter().for_each(|link| self.link_fact(link, facts));
        }
        facts.heading("Its last events", self.theme.title(false));
        let key = item.key.strip_prefix(&item.host).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        self.events_facts(facts, |event| event.host == item.host && event.entity.as_deref() == Some(key));
    }

    fn actor_facts(&self, actor: &ActorState, facts: &mut Facts) {
        facts.heading("Claims", self.theme.title(false));
        facts.add("alias", actor.alias.as_deref().unwrap_or_default());
        facts.add("revision", &format!("{} {}", actor.revision, actor.version));
        facts.add("issuer", &actor.issuer);
        facts.add("contracts", &actor.capabilities.join(" "));
        facts.add("tags", &actor.tags.join(" "));
        facts.add("expires", &date(actor.expires_at));
        facts.add("image", actor.image_ref.as_deref().unwrap_or_default());
        self.trust_fact(&actor.trust, facts);
    }

    fn trust_fact(&self, trust: &TrustStanding, facts: &mut Facts) {
        match &trust.reason {
            _ if trust.trusted => facts.add("trust", "trusted"),
            reason => {
                let reason = reason.as_deref().unwrap_or("not trusted");
                facts.styled("trust", reason, self.theme.of(Severity::Failure));
            }
        }
    }

    fn activity_facts(&self, item: &Item, facts: &mut Facts) {
        let Activity { restarts, crashes, calls: all, errors, errors_last_minute, rate, p50_us, p99_us, .. } =
            item.activity();
        facts.heading("Figures", self.theme.title(false));
        if let Some((running, meant)) = item.instances() {
            facts.add("instances", &format!("{running} of {meant} run"));
        }
        facts.add("health", health(item));
        facts.add("restarts", &format!("{restarts} after {crashes} crashes"));
        facts.add("memory", &item.memory().map(bytes).unwrap_or_default());
        if let Entity::Actor(actor) = &item.entity {
            facts.add("waiting", &format!("{} in mailboxes, {} being served", actor.mailbox, actor.in_flight));
        }
        facts.add(
            "calls",
            &format!("{} in all, {} failed, {errors_last_minute} in the last minute", count(*all), count(*errors)),
        );
        facts.add("calls/s", &calls(rate));
        if p50_us.is_some() || p99_us.is_some() {
            facts.add("latency", &format!("half within {}, 99% within {}", micros(*p50_us), micros(*p99_us)));
        }
    }

    fn links_of(&self, item: &Item) -> Vec<LinkState> {
        let states = self.model.states();
        let Some(state) = states.iter().find(|state| state.host.id == item.host) else { return Vec::new() };
        let is_of = |link: &&LinkState| match &item.entity {
            Entity::Actor(actor) => link.actor == actor.id,
            Entity::Provider(provider) => link.provider == provider.id && link.link_name == provider.link_name,
        };
        state.links.iter().filter(is_of).cloned().collect()
    }

    fn link_fact(&self, link: &LinkState, facts: &mut Facts) {
        let severity = match link.state.as_str() {
            "refused" => Severity::Failure,
            "pending" => Severity::Warning,
            _ => Severity::Fine,
        };
        let reason = link.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let values = if link.values.is_empty() { String::new() } else { format!(" with {}", link.values.join(" ")) };
        let text = format!("{}/{}{values}{reason}", link.contract_id, link.link_name);
        facts.styled(&shown(&link.state), &text, self.theme.of(severity));
    }

    fn event_facts(&self, event: &EventRecord, facts: &mut Facts) {
        facts.heading(&format!("Event {}", shown(&event.kind)), self.theme.title(false));
        facts.styled("what", &event.text, self.theme.of(severity_of(&event.severity)));
        facts.add("when", &format!("{}, {} ago", date(Some(event.at)), since(event.at, self.clock)));
        facts.add("host", &event.host);
        facts.add("about", event.entity.as_deref().unwrap_or_default());
        facts.add("name", event.name.as_deref().unwrap_or_default());
        for (name, value) in &event.detail {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            facts.add(&shown(name), &value);
        }
    }

    fn events_facts(&self, facts: &mut Facts, is_wanted: impl Fn(&EventRecord) -> bool) {
        let events = self.model.events().iter().filter(|event| is_wanted(event)).take(MOST_EVENTS);
        let before = facts.lines.len();
        for event in events {
            let ago = format!("{} ago", since(event.at, self.clock));
            let style = match severity_of(&event.severity) {
                Severity::Fine => Style::new(),
                severity => self.theme.of(severity),
            };
            facts.styled(&ago, &format!("{}: {}", event.kind, event.text), style);
        }
        if facts.lines.len() == before {
            facts.add("none", "since it is watched");
        }
    }
}

/// Returns a text in parts of at most a width, unless one character is wider.
fn parts(text: &str, width: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut room = width;
    for character in text.chars() {
        let taken = measure_text_width(character.encode_utf8(&mut [0; 4]));
        if taken > room && room < width {
            parts.push(String::new());
            room = width;
        }
        room = room.saturating_sub(taken);
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

fn provider_facts(provider: &ProviderState, facts: &mut Facts) {
    facts.add("contract", &provider.contract_id);
    facts.add("link name", &provider.link_name);
    facts.add("vendor", &provider.vendor);
    facts.add("runs in", &provider.isolation.replace('_', " "));
    facts.add("image", provider.image_ref.as_deref().unwrap_or_default());
}

fn calls(rate: &[u64]) -> String {
    if rate.is_empty() {
        UNKNOWN.to_owned()
    } else {
        format!("{} {}", per_second(rate), sparkline(rate, 60).trim_start())
    }
}

fn some(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

/// Returns a time in milliseconds since 1970 as a date. Empty if it is not known.
fn date(at: Option<u64>) -> String {
    at.filter(|at| *at > 0).map(|at| format_date(at / 1000)).unwrap_or_default()
}
