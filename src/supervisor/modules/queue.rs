//! Whose module is compiled next (pure).
//!
//! Small and large work have slots and memory of their own, so a small module never waits for large ones. Of each kind, an
//! issuer gets half at most, so that its modules never keep those of all others waiting. Issuers take turns, and the work
//! of one issuer begins in the order in which it came. Work that waits for memory is not overtaken by other work of its
//! kind: otherwise the largest module might wait for ever.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Whether work is done in the slots for small or for large work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Large,
}

/// A piece of work of one issuer.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) issuer: Arc<str>,
    pub(super) size: Size,
    /// How much memory it takes, in bytes.
    pub(super) bytes: u64,
}

/// How much work of one size may be under way at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) slots: usize,
    pub(super) bytes: u64,
}

/// What names a piece of work in the queue. Later work has a larger number.
pub(super) type Ticket = u64;

/// The work that waits and the work that is under way.
#[derive(Debug)]
pub(super) struct Queue {
    small: Line,
    large: Line,
    next: Ticket,
}

/// The same for work of one size.
#[derive(Debug)]
struct Line {
    capacity: Capacity,
    /// The issuers with work that waits, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    waiting: HashMap<Arc<str>, VecDeque<Entry>>,
    under_way: Vec<UnderWay>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    ticket: Ticket,
    bytes: u64,
}

#[derive(Debug)]
struct UnderWay {
    issuer: Arc<str>,
    entry: Entry,
}

impl Capacity {
    /// The part of it that one issuer may hold: half, and at least one slot.
    pub(super) fn share(self) -> Capacity {
        Capacity { slots: (self.slots / 2).max(1), bytes: self.bytes / 2 }
    }

    /// Whether so many bytes find room beside what is under way. What is larger than all there is finds room when it is
    /// alone.
    fn has_room<'a>(self, beside: impl Iterator<Item = &'a UnderWay>, bytes: u64) -> bool {
        let held: Vec<u64> = beside.map(|work| work.entry.bytes).collect();
        let sum = held.iter().fold(bytes, |sum, more| sum.saturating_add(*more));
        held.is_empty() || held.len() < self.slots && sum <= self.bytes
    }
}

impl Queue {
    pub(super) fn new(small: Capacity, large: Capacity) -> Queue {
        Queue { small: Line::new(small), large: Line::new(large), next: 0 }
    }

    /// Adds work that waits. [`Queue::begin_next`] tells when it begins.
    pub(super) fn enter(&mut self, work: &Work) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.line(work.size).enter(work, ticket);
        ticket
    }

    /// Removes work that is done, or that nothing waits for any more.
    pub(super) fn leave(&mut self, work: &Work, ticket: Ticket) {
        self.line(work.size).leave(&work.issuer, ticket);
    }

    /// Begins the work whose turn it is, if there is any.
    pub(super) fn begin_next(&mut self) -> Option<Ticket> {
        self.small.begin_next().or_else(|| self.large.begin_next())
    }

    fn line(&mut self, size: Size) -> &mut Line {
        match size {
            Size::Small => &mut self.small,
            Size::Large => &mut self.large,
        }
    }
}

impl Line {
    fn new(capacity: Capacity) -> Line {
        Line { capacity, turns: VecDeque::new(), waiting: HashMap::new(), under_way: Vec::new() }
    }

    fn enter(&mut self, work: &Work, ticket: Ticket) {
        let waiting = self.waiting.entry(work.issuer.clone()).or_default();
        if waiting.is_empty() {
            self.turns.push_back(work.issuer.clone());
        }
        waiting.push_back(Entry { ticket, bytes: work.bytes });
    }

    fn leave(&mut self, issuer: &Arc<str>, ticket: Ticket) {
        self.under_way.retain(|work| work.entry.ticket != ticket);
        let Some(waiting) = self.waiting.get_mut(issuer) else { return };
        if let Ok(place) = waiting.binary_search_by_key(&ticket, |entry| entry.ticket) {
            waiting.remove(place);
        }
        if waiting.is_empty() {
            self.waiting.remove(issuer);
            self.turns.retain(|other| other != issuer);
        }
    }

    fn begin_next(&mut self) -> Option<Ticket> {
        // Whoever has its share holds a slot, and there are few of those: so few are passed over.
        let place = self.turns.iter().position(|issuer| self.is_within_share(issuer))?;
        let issuer = self.turns.get(place)?.clone();
        let entry = *self.waiting.get(&issuer)?.front()?;
        if !self.capacity.has_room(self.under_way.iter(), entry.bytes) {
            return None;
        }
        self.turns.remove(place);
        let waiting = self.waiting.get_mut(&issuer)?;
        waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&issuer);
        } else {
            self.turns.push_back(issuer.clone());
        }
        self.under_way.push(UnderWay { issuer, entry });
        Some(entry.ticket)
    }

    fn is_within_share(&self, issuer: &Arc<str>) -> bool {
        let Some(first) = self.waiting.get(issuer).and_then(VecDeque::front) else { return false };
        let own = self.under_way.iter().filter(|work| work.issuer == *issuer);
        self.capacity.share().has_room(own, first.bytes)
    }
}

#[cfg(test)]
mod tests;
