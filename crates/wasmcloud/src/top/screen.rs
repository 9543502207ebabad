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
    pub(super) fn settle(&mut self, keys: &[String], height: usize) {
        let place = self.key.as_ref().and_then(|key| keys.iter().position(|other| other == key));
        self.index = place.unwrap_or(self.index).min(keys.len().saturating_sub(1));
        self.key = keys.get(self.index).cloned();
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
        let mut items: Vec<&Item> = model.items().iter().filter(|item| item.matches(&search)).collect();
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
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => return Reaction::Quit,
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
mod tests {
    use std::time::Instant;

    use wasmcloud_telemetry::state::{ActorState, HostState, Lifecycle};

    use super::super::feed::Update;
    use super::*;

    fn model() -> Model {
        let mut state = HostState::default();
        state.host.id = "N1".into();
        for (name, calls, lifecycle) in
            [("quiet", 1, Lifecycle::Running), ("busy", 9, Lifecycle::Running), ("zealot", 0, Lifecycle::Failed)]
        {
            let mut actor = ActorState { id: format!("M{name}"), name: name.into(), ..ActorState::default() };
            actor.trust.trusted = true;
            actor.activity.rate = vec![calls];
            actor.activity.state = lifecycle;
            state.actors.push(actor);
        }
        let mut model = Model::new("default");
        let update = Update::State { host: "N1".into(), state: Box::new(state), has_telemetry: true };
        model.take(update, Instant::now());
        model
    }

    fn names(screen: &Screen, model: &Model) -> Vec<String> {
        screen.listed(model).iter().map(|item| item.name.clone()).collect()
    }

    fn press(screen: &mut Screen, codes: &[KeyCode]) -> Reaction {
        let model = model();
        let press = |code: &KeyCode| screen.press(KeyEvent::from(*code), &model);
        codes.iter().map(press).last().unwrap()
    }

    #[test]
    fn what_fails_comes_first_whatever_it_is_sorted_by() {
        let (model, mut screen) = (model(), Screen::default());
        assert_eq!(names(&screen, &model), ["zealot", "busy", "quiet"]);
        press(&mut screen, &[KeyCode::Char('s')]);
        assert_eq!(
            (screen.sort, names(&screen, &model)),
            (Sort::Calls, vec!["zealot".into(), "busy".into(), "quiet".into()])
        );
    }

    #[test]
    fn a_search_is_typed_and_left() {
        let (model, mut screen) = (model(), Screen::default());
        let typed = ['/', 'Q', 'u', 'q'].map(KeyCode::Char);
        assert_eq!(press(&mut screen, &typed), Reaction::Draw, "q is a letter of the search");
        press(&mut screen, &[KeyCode::Backspace]);
        assert_eq!(names(&screen, &model), ["quiet"]);
        press(&mut screen, &[KeyCode::Enter]);
        assert!(!screen.is_typing);
        press(&mut screen, &[KeyCode::Esc]);
        assert_eq!(names(&screen, &model).len(), 3);
        press(&mut screen, &[KeyCode::Char('/')]);
        (0..200).for_each(|_| {
            press(&mut screen, &[KeyCode::Char('é')]);
        });
        assert!(screen.search.len() <= LONGEST_SEARCH);
    }

    #[test]
    fn the_selected_line_is_followed_and_stays_in_sight() {
        let keys = |range: std::ops::Range<u32>| range.map(|number| number.to_string()).collect::<Vec<String>>();
        let mut cursor = Cursor::default();
        cursor.settle(&keys(0..100), 10);
        cursor.go(usize::MAX);
        cursor.settle(&keys(0..100), 10);
        assert_eq!((cursor.index, cursor.top), (99, 90));
        cursor.settle(&keys(50..100), 10);
        assert_eq!((cursor.index, cursor.top), (49, 40));
        cursor.settle(&keys(0..3), 10);
        assert_eq!((cursor.index, cursor.top), (2, 0));
        cursor.settle(&[], 0);
        assert_eq!((cursor.index, cursor.top), (0, 0));
        cursor.settle(&keys(0..5), 2);
        assert_eq!((cursor.index, cursor.top), (0, 0));
    }

    #[test]
    fn details_are_opened_and_left_and_only_lists_are_quit() {
        let mut screen = Screen::default();
        press(&mut screen, &[KeyCode::Enter]);
        assert_eq!(screen.details, Some(Subject::Item("N1/Mzealot".into())));
        assert_eq!(press(&mut screen, &[KeyCode::Char('q')]), Reaction::Draw);
        assert_eq!(screen.details, None);
        press(&mut screen, &[KeyCode::BackTab, KeyCode::Enter]);
        assert_eq!((screen.focus, &screen.details), (Focus::Hosts, &Some(Subject::Host("N1".into()))));
        press(&mut screen, &[KeyCode::Esc, KeyCode::Tab, KeyCode::Tab, KeyCode::Enter]);
        assert_eq!((screen.focus, &screen.details), (Focus::Events, &None), "there is no event");
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        screen.is_typing = true;
        assert_eq!(screen.press(control_c, &model()), Reaction::Quit);
        screen.is_typing = false;
        assert_eq!(press(&mut screen, &[KeyCode::Char('q')]), Reaction::Quit);
    }
}
