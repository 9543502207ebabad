//! Pages of a host's state that fit into messages.

use std::io;

use serde::Serialize;
use wasmcloud_telemetry::state::{ActorState, EventRecord, HostState, LatticeHost, LinkState, ProviderState, ThisHost};

use crate::message::{StatePage, StatePart};

/// The most items of a page.
const LARGEST_PAGE: usize = 10_000;

/// Room for the numbers of a page. Unit: bytes.
const NUMBERS: usize = 256;

/// A page, as [`StateAnswer`](crate::message::StateAnswer) is written. It borrows what it tells.
#[derive(Debug, Serialize)]
pub(super) struct Page<'a> {
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<usize>,
    state: Lists<'a>,
}

#[derive(Debug, Serialize)]
struct Lists<'a> {
    at: u64,
    host: &'a ThisHost,
    hosts: &'a [LatticeHost],
    actors: &'a [ActorState],
    providers: &'a [ProviderState],
    links: &'a [LinkState],
    events: &'a [EventRecord],
}

/// Returns the requested page of a state. Its JSON is no longer than `largest`, unless a single item is.
pub(super) fn page<'a>(state: &'a HostState, request: &StatePage, largest: usize) -> Page<'a> {
    let mut lists = asked(state, request);
    let mut cut = Cut {
        skip: request.offset,
        items: request.limit.unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE),
        room: largest.saturating_sub(size(lists.host) + NUMBERS),
        taken: 0,
        total: 0,
    };
    lists.hosts = cut.of(lists.hosts);
    lists.actors = cut.of(lists.actors);
    lists.providers = cut.of(lists.providers);
    lists.links = cut.of(lists.links);
    lists.events = cut.of(lists.events);
    let end = request.offset.saturating_add(cut.taken);
    let next = (end < cut.total && cut.taken > 0).then_some(end);
    Page { total: cut.total, next, state: lists }
}

/// Returns the lists that a request asks for, as a whole.
fn asked<'a>(state: &'a HostState, request: &StatePage) -> Lists<'a> {
    let is_asked = |part| request.part.is_none_or(|only| only == part);
    let known = request.after.map_or(0, |after| state.events.partition_point(|event| event.sequence <= after));
    Lists {
        at: state.at,
        host: &state.host,
        hosts: if is_asked(StatePart::Hosts) { &state.hosts } else { &[] },
        actors: if is_asked(StatePart::Actors) { &state.actors } else { &[] },
        providers: if is_asked(StatePart::Providers) { &state.providers } else { &[] },
        links: if is_asked(StatePart::Links) { &state.links } else { &[] },
        events: if is_asked(StatePart::Events) { &state.events[known..] } else { &[] },
    }
}

/// Cuts a page out of lists that follow one another.
struct Cut {
    /// How many items are passed over before the page begins.
    skip: usize,
    /// How many items the page still takes.
    items: usize,
    /// How many bytes the page still takes.
    room: usize,
    /// How many items the page has.
    taken: usize,
    /// How many items there were.
    total: usize,
}

impl Cut {
    /// Returns what the page holds of the next list.
    fn of<'a, T: Serialize>(&mut self, list: &'a [T]) -> &'a [T] {
        self.total += list.len();
        let passed = self.skip.min(list.len());
        self.skip -= passed;
        let rest = &list[passed..];
        let taken = rest.iter().take_while(|item| self.takes(*item)).count();
        &rest[..taken]
    }

    /// Returns whether an item belongs to the page. Once one does not, none does. The first one always does.
    fn takes(&mut self, item: &impl Serialize) -> bool {
        let size = size(item) + 1;
        if self.items == 0 || (size > self.room && self.taken > 0) {
            self.items = 0;
            return false;
        }
        self.items -= 1;
        self.taken += 1;
        self.room = self.room.saturating_sub(size);
        true
    }
}

/// Returns the length of a value's JSON.
fn size(value: &impl Serialize) -> usize {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).map_or(usize::MAX, |()| length.0)
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::StateAnswer;

    fn state(items: usize) -> HostState {
        let mut state = HostState::default();
        state.at = 7;
        state.host.id = "N".to_owned();
        state.hosts.push(LatticeHost::default());
        let actor = |number: usize| ActorState { id: format!("{number:0>56}"), ..ActorState::default() };
        state.actors = (0..items).map(actor).collect();
        state.links = vec![LinkState::default(); items];
        let event = |number: usize| EventRecord { sequence: number as u64, ..EventRecord::default() };
        state.events = (1..=items).map(event).collect();
        state
    }

    /// Reads a page as a client does.
    fn read(state: &HostState, request: &StatePage, largest: usize) -> StateAnswer {
        let json = serde_json::to_vec(&page(state, request, largest)).unwrap();
        assert!(json.len() <= largest, "{} bytes", json.len());
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn all_lists_are_told_in_pages_that_fit() {
        let whole = state(3_000);
        let mut told = HostState::default();
        let (mut next, mut pages) = (Some(0), 0);
        while let Some(offset) = next {
            let answer = read(&whole, &StatePage { offset, ..StatePage::default() }, 64 * 1024);
            assert_eq!(answer.total, 9_001);
            (told.at, told.host) = (answer.state.at, answer.state.host);
            told.hosts.extend(answer.state.hosts);
            told.actors.extend(answer.state.actors);
            told.links.extend(answer.state.links);
            told.events.extend(answer.state.events);
            (next, pages) = (answer.next, pages + 1);
        }
        assert!(told == whole && pages > 10, "{pages} pages");
    }

    #[test]
    fn one_part_is_told_without_the_others() {
        let whole = state(5);
        let request = StatePage { part: Some(StatePart::Events), after: Some(3), ..StatePage::default() };
        let answer = read(&whole, &request, 64 * 1024);
        assert_eq!((answer.total, answer.next), (2, None));
        assert_eq!(answer.state.events, whole.events[3..]);
        assert!(answer.state.actors.is_empty() && answer.state.hosts.is_empty() && answer.state.host.id == "N");
        let host = read(&whole, &StatePage { part: Some(StatePart::Host), ..StatePage::default() }, 64 * 1024);
        assert_eq!((host.total, host.next, host.state.at), (0, None, 7));
    }

    #[test]
    fn a_page_is_never_empty_before_the_end() {
        let whole = state(3);
        let request = |offset, limit| StatePage { offset, limit: Some(limit), ..StatePage::default() };
        let first = page(&whole, &request(0, 0), 10);
        assert_eq!((first.state.hosts.len(), first.next), (1, Some(1)));
        let beyond = page(&whole, &request(usize::MAX, usize::MAX), 64 * 1024);
        assert_eq!((beyond.total, beyond.next), (10, None));
    }
}
