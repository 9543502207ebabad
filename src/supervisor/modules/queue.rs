//! The order in which modules are compiled (pure).
//!
//! Small and large jobs have slots and memory of their own, so a small module never waits for large ones. An issuer gets at
//! most half of each, so that its modules never keep those of all other issuers waiting. Issuers take turns, and the jobs
//! of one issuer begin in the order in which they came. No job overtakes one of its size that waits for memory: otherwise
//! the largest module might wait forever.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Whether a job needs a slot for small or for large jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Large,
}

/// A step of a compilation, on behalf of one issuer.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) issuer: Arc<str>,
    pub(super) size: Size,
    /// The memory that it takes. Unit: bytes.
    pub(super) bytes: u64,
}

/// The jobs of one size that may be in progress at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) slots: usize,
    pub(super) bytes: u64,
}

/// The number of a job in the queue. Later jobs have larger numbers.
pub(super) type Ticket = u64;

/// The jobs that wait, and the jobs in progress.
#[derive(Debug)]
pub(super) struct Queue {
    small: SizeQueue,
    large: SizeQueue,
    next: Ticket,
}

/// The jobs of one size.
#[derive(Debug)]
struct SizeQueue {
    capacity: Capacity,
    /// The issuers with waiting jobs, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    waiting: HashMap<Arc<str>, VecDeque<Entry>>,
    running: Vec<RunningJob>,
}

/// A job in the queue.
#[derive(Debug, Clone, Copy)]
struct Entry {
    ticket: Ticket,
    bytes: u64,
}

/// A job in progress.
#[derive(Debug)]
struct RunningJob {
    issuer: Arc<str>,
    entry: Entry,
}

impl Capacity {
    /// Returns the share of one issuer: half, and at least one slot.
    pub(super) fn share(self) -> Capacity {
        Capacity { slots: (self.slots / 2).max(1), bytes: self.bytes / 2 }
    }

    /// Returns whether a job of this many bytes fits beside those in progress. A job that exceeds the capacity fits when it
    /// is alone.
    fn has_room<'a>(self, beside: impl Iterator<Item = &'a RunningJob>, bytes: u64) -> bool {
        let held: Vec<u64> = beside.map(|job| job.entry.bytes).collect();
        let sum = held.iter().fold(bytes, |sum, more| sum.saturating_add(*more));
        held.is_empty() || held.len() < self.slots && sum <= self.bytes
    }
}

impl Queue {
    pub(super) fn new(small: Capacity, large: Capacity) -> Queue {
        Queue { small: SizeQueue::new(small), large: SizeQueue::new(large), next: 0 }
    }

    /// Adds a waiting job. [`Queue::begin_next`] returns it when it begins.
    pub(super) fn enter(&mut self, job: &Job) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.size_queue(job.size).enter(job, ticket);
        ticket
    }

    /// Removes a job that is done or abandoned.
    pub(super) fn leave(&mut self, job: &Job, ticket: Ticket) {
        self.size_queue(job.size).leave(&job.issuer, ticket);
    }

    /// Begins the next job, if one can begin.
    pub(super) fn begin_next(&mut self) -> Option<Ticket> {
        self.small.begin_next().or_else(|| self.large.begin_next())
    }

    fn size_queue(&mut self, size: Size) -> &mut SizeQueue {
        match size {
            Size::Small => &mut self.small,
            Size::Large => &mut self.large,
        }
    }
}

impl SizeQueue {
    fn new(capacity: Capacity) -> SizeQueue {
        SizeQueue { capacity, turns: VecDeque::new(), waiting: HashMap::new(), running: Vec::new() }
    }

    fn enter(&mut self, job: &Job, ticket: Ticket) {
        let waiting = self.waiting.entry(job.issuer.clone()).or_default();
        if waiting.is_empty() {
            self.turns.push_back(job.issuer.clone());
        }
        waiting.push_back(Entry { ticket, bytes: job.bytes });
    }

    fn leave(&mut self, issuer: &Arc<str>, ticket: Ticket) {
        self.running.retain(|job| job.entry.ticket != ticket);
        let Some(waiting) = self.waiting.get_mut(issuer) else { return };
        if let Ok(index) = waiting.binary_search_by_key(&ticket, |entry| entry.ticket) {
            waiting.remove(index);
        }
        if waiting.is_empty() {
            self.waiting.remove(issuer);
            self.turns.retain(|other| other != issuer);
        }
    }

    fn begin_next(&mut self) -> Option<Ticket> {
        // An issuer that has used its share holds a slot, and slots are few: few issuers are passed over.
        let index = self.turns.iter().position(|issuer| self.is_within_share(issuer))?;
        let issuer = self.turns.get(index)?.clone();
        let entry = *self.waiting.get(&issuer)?.front()?;
        if !self.capacity.has_room(self.running.iter(), entry.bytes) {
            return None;
        }
        self.turns.remove(index);
        let waiting = self.waiting.get_mut(&issuer)?;
        waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&issuer);
        } else {
            self.turns.push_back(issuer.clone());
        }
        self.running.push(RunningJob { issuer, entry });
        Some(entry.ticket)
    }

    fn is_within_share(&self, issuer: &Arc<str>) -> bool {
        let Some(first) = self.waiting.get(issuer).and_then(VecDeque::front) else { return false };
        let own = self.running.iter().filter(|job| job.issuer == *issuer);
        self.capacity.share().has_room(own, first.bytes)
    }
}

#[cfg(test)]
mod tests;
