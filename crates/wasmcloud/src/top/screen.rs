//! What is selected, sorted and searched, and what keys do (pure).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::item::Item;
use super::model::Model;

/// The longest text that is searched for. Unit: bytes.
const LONGEST_SEARCH: usize = 64;

/// How far a page key moves.
const PAGE: usize = 10;

/// A list of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Focus {
    Hosts,
    #[default]
    Items,
    Events,
}

/// What actors and providers are sorted by, behind how bad their state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    #[default]
    Name,
    Calls,
    Latency,
    Errors,
    Memory,
    Restarts,
}

/// What the caller has to do after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    Draw,
    Quit,
}

/// A selected line of a list, which is followed when the list changes.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    key: Option<String>,
    pub(super) index: usize,
    /// The first line that is drawn.
    pub(super) top: usize,
}

/// What is shown in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Host(String),
    Item(String),
    Event { host: String, sequence: u64 },
    Help,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) focus: Focus,
    pub(super) hosts: Cursor,
    pub(super) items: Cursor,
    pub(super) events: Cursor,
    pub(super) sort: Sort,
    pub(super) search: String,
    pub(super) is_typing: bool,
    pub(super) details: Option<Subject>,
    /// How many lines of the details are passed over.
    pub(super) scroll: usize,
}

impl Cursor {
    /// Finds the selected line in a list that may have changed, and lets `height` lines around it be drawn.
    pub(super) fn settle(&mut self, keys: &[&str], height: usize) {
        let place = self.key.as_ref().and_then(|key| keys.iter().position(|other| other == key));
        self.index = place.unwrap_or(self.index).min(keys.len().saturating_sub(1));
        self.key = keys.get(self.index).map(|key| (*key).to_owned());
        let lowest = (self.index + 1).saturating_sub(height);
        self.top = self.top.clamp(lowest, self.index.max(lowest)).min(keys.len().saturating_sub(height));
    }

    fn go(&mut self, index: usize) {
        self.key = None;
        self.index = index;
    }
}

impl Sort {
    fn next(self) -> Sort {
        match self {
            Sort::Name => Sort::Calls,
            Sort::Calls => Sort::Latency,
            Sort::Latency => Sort::Errors,
            Sort::Errors => Sort::Memory,
            Sort::Memory => Sort::Restarts,
            Sort::Restarts => Sort::Name,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::Calls => "calls",
            Sort::Latency => "latency",
            Sort::Errors => "errors",
            Sort::Memory => "memory",
            Sort::Restarts => "restarts",
        }
    }

    /// Returns what an item is sorted by, the greatest first.
    fn figure(self, item: &Item) -> u64 {
        match self {
            Sort::Name => 0,
            Sort::Calls => item.calls_now(),
            Sort::Latency => item.activity().p99_us.unwrap_or(0),
            Sort::Errors => item.activity().errors_last_minute,
            Sort::Memory => item.memory().unwrap_or(0),
            Sort::Restarts => item.activity().restarts,
        }
    }
}

impl Screen {
    /// Returns the actors and providers that are searched for: those that fail first, the others as they are sorted.
    pub(super) fn listed<'a>(&self, model: &'a Model) -> Vec<&'a Item> {
        let search = self.search.to_lowercase();
        let mut items: Vec<&Item> = model.items().filter(|item| item.matches(&search)).collect();
        items.sort_by(|left, right| {
            let by_state = right.severity.cmp(&left.severity);
            let by_figure = || self.sort.figure(right).cmp(&self.sort.figure(left));
            by_state.then_with(by_figure).then_with(|| (&left.name, &left.key).cmp(&(&right.name, &right.key)))
        });
        items
    }

    /// Does what a key asks for.
    pub(super) fn press(&mut self, key: KeyEvent, model: &Model) -> Reaction {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_combined = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => return Reaction::Quit,
            // Other combinations are no letters.
            KeyCode::Char(_) if is_combined => {}
            _ if self.is_typing => self.type_key(key.code),
            KeyCode::Char('q') if self.details.is_none() => return Reaction::Quit,
            _ if self.details.is_some() => self.read_on(key.code),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => {
                self.is_typing = true;
                self.focus = Focus::Items;
            }
            KeyCode::Char('?' | 'h') => self.open(Subject::Help),
            KeyCode::Esc => self.search.clear(),
            KeyCode::Tab | KeyCode::Right => self.focus = self.focus.next(),
            KeyCode::BackTab | KeyCode::Left => self.focus = self.focus.next().next(),
            KeyCode::Enter => self.open_selected(model),
            code => self.move_cursor(code),
        }
        Reaction::Draw
    }

    /// Types the text that is searched for.
    fn type_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(character) if self.search.len() + character.len_utf8() <= LONGEST_SEARCH => {
                self.search.push(character);
            }
            KeyCode::Backspace => drop(self.search.pop()),
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.search.clear();
                self.is_typing = false;
            }
            KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown => self.move_cursor(code),
            _ => {}
        }
    }

    /// Moves within the details, or leaves them.
    fn read_on(&mut self, code: KeyCode) {
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll = self.scroll.saturating_add(PAGE),
            KeyCode::Home => self.scroll = 0,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => self.details = None,
            _ => {}
        }
    }

    fn move_cursor(&mut self, code: KeyCode) {
        let cursor = match self.focus {
            Focus::Hosts => &mut self.hosts,
            Focus::Items => &mut self.items,
            Focus::Events => &mut self.events,
        };
        let index = cursor.index;
        // The end of the list is found when it is drawn.
        match code {
            KeyCode::Up | KeyCode::Char('k') => cursor.go(index.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => cursor.go(index + 1),
            KeyCode::PageUp => cursor.go(index.saturating_sub(PAGE)),
            KeyCode::PageDown => cursor.go(index + PAGE),
            KeyCode::Home => cursor.go(0),
            KeyCode::End => cursor.go(usize::MAX),
            _ => {}
        }
    }

    fn open_selected(&mut self, model: &Model) {
        let subject = match self.focus {
            Focus::Hosts => model.hosts().get(self.hosts.index).map(|host| Subject::Host(host.id.to_owned())),
            Focus::Items => self.listed(model).get(self.items.index).map(|item| Subject::Item(item.key.clone())),
            Focus::Events => model.events().get(self.events.index).map(|event| {
                let host = event.host.clone();
                Subject::Event { host, sequence: event.sequence }
            }),
        };
        subject.into_iter().for_each(|subject| self.open(subject));
    }

    fn open(&mut self, subject: Subject) {
        self.details = Some(subject);
        self.scroll = 0;
    }
}

impl Focus {
    fn next(self) -> Focus {
        match self {
            Focus::Hosts => Focus::Items,
            Focus::Items => Focus::Events,
            Focus::Events => Focus::Hosts,
        }
    }
}

#[cfg(test)]
mod tests;
