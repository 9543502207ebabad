//! Remembers which calls have been admitted, so that none is admitted twice. The memory is bounded.
//!
//! A call is remembered for as long as its time of issue is within the window. When the memory is full, the sender with the
//! most remembered calls loses its oldest one, and no call of that sender that was issued at that time or before is admitted
//! any more: *its window shrinks*. So a full memory never admits a replay, a sender with few calls loses nothing to a
//! sender with many, and calls that were issued just now are still admitted from all. The number of senders is bounded
//! too: those beyond it share one window.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// The limits of a [`ReplayCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    /// How old a call may be. Unit: milliseconds. Default: 30 s. A host uses its token window.
    pub back: u64,
    /// How far in the future a call may have been issued, since clocks differ. Unit: milliseconds. Default: 5 s. A host uses its token window.
    pub ahead: u64,
    /// How many calls are remembered. A call takes about 80 bytes. Default: 262,144.
    pub calls: usize,
    /// How many senders have a window of their own. Default: 1,024.
    pub senders: usize,
}

impl Default for ReplayLimits {
    fn default() -> ReplayLimits {
        ReplayLimits { back: 30_000, ahead: 5_000, calls: 262_144, senders: 1_024 }
    }
}

/// The reason for which a call is not fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFresh {
    /// The call was issued before the window, or before the sender's shrunken window.
    Expired,
    /// The call was issued after the window.
    FromFuture,
    /// The call has been admitted before.
    Replayed,
}

/// The calls that have been admitted lately.
#[derive(Debug)]
pub struct ReplayCache {
    limits: ReplayLimits,
    senders: HashMap<Arc<str>, Window>,
    /// The window of all senders that have none of their own.
    shared: Window,
    /// How many calls are remembered.
    count: usize,
    /// The latest time of issue that the window of a forgotten sender had lost. It is over, unless the clock went back.
    forgotten_until: Option<u64>,
    swept_at: u64,
}

/// A call: the hash of its sender and identifier.
type Fingerprint = u128;

#[derive(Debug, Default)]
struct Window {
    calls: HashSet<Fingerprint>,
    /// The same calls, the oldest one first.
    order: BinaryHeap<Reverse<Entry>>,
    /// Calls that were issued at this time or before are not admitted, because some of them are forgotten.
    closed_until: Option<u64>,
    /// Whether calls of this sender may have been remembered in the shared window before it got its own.
    was_shared: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    issued_at: u64,
    call: Fingerprint,
}

impl ReplayLimits {
    /// Checks that a time of issue is within the window around `now`. Unit: milliseconds since 1970.
    ///
    /// # Errors
    /// `Expired` or `FromFuture` if it is not.
    pub fn check(&self, issued_at: u64, now: u64) -> Result<(), NotFresh> {
        if issued_at.saturating_add(self.back) < now {
            return Err(NotFresh::Expired);
        }
        if issued_at > now.saturating_add(self.ahead) {
            return Err(NotFresh::FromFuture);
        }
        Ok(())
    }
}

impl ReplayCache {
    /// Returns an empty cache.
    pub fn new(limits: ReplayLimits) -> ReplayCache {
        ReplayCache {
            limits,
            senders: HashMap::new(),
            shared: Window::default(),
            count: 0,
            forgotten_until: None,
            swept_at: 0,
        }
    }

    /// Admits a call once. The sender and the time of issue must be authenticated. Unit: milliseconds since 1970.
    ///
    /// # Errors
    /// The reason if the call is not fresh.
    pub fn admit(&mut self, sender: &str, id: &str, issued_at: u64, now: u64) -> Result<(), NotFresh> {
        self.limits.check(issued_at, now)?;
        self.sweep(now);
        if self.forgotten_until.is_some_and(|until| issued_at <= until) {
            return Err(NotFresh::Expired);
        }
        let call = fingerprint(sender, id);
        self.check(sender, call, issued_at)?;
        if self.count >= self.limits.calls {
            self.shrink_largest();
            self.check(sender, call, issued_at)?;
        }
        self.window(sender).remember(Entry { issued_at, call });
        self.count += 1;
        Ok(())
    }

    fn check(&mut self, sender: &str, call: Fingerprint, issued_at: u64) -> Result<(), NotFresh> {
        let shared = self.shared.check(call, issued_at);
        let window = self.window(sender);
        // A sender may have got a window of its own after a call of it was remembered, or forgotten, in the shared one.
        if window.was_shared {
            shared?;
        }
        window.check(call, issued_at)
    }

    /// Returns how many calls are remembered.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether no call is remembered.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn window(&mut self, sender: &str) -> &mut Window {
        if !self.senders.contains_key(sender) && self.senders.len() < self.limits.senders {
            let was_shared = self.shared.closed_until.is_some() || !self.shared.calls.is_empty();
            let window = Window { was_shared, ..Window::default() };
            self.senders.insert(sender.into(), window);
        }
        self.senders.get_mut(sender).unwrap_or(&mut self.shared)
    }

    /// Forgets the oldest call of the sender with the most calls.
    fn shrink_largest(&mut self) {
        let windows = self.senders.values_mut().chain([&mut self.shared]);
        if let Some(largest) = windows.max_by_key(|window| window.calls.len())
            && largest.forget_oldest()
        {
            self.count -= 1;
        }
    }

    /// Forgets all calls that are older than the window, once in a second.
    fn sweep(&mut self, now: u64) {
        if now.abs_diff(self.swept_at) < 1000 {
            return;
        }
        self.swept_at = now;
        let back = self.limits.back;
        let is_over = |issued_at: u64| issued_at.saturating_add(back) < now;
        for window in self.senders.values_mut().chain([&mut self.shared]) {
            while window.oldest().is_some_and(is_over) && window.forget_oldest() {
                self.count -= 1;
            }
        }
        let forgotten_until = &mut self.forgotten_until;
        self.senders.retain(|_, window| {
            // A window that was shrunk is kept until the time that it is closed for has passed.
            let is_kept = !window.calls.is_empty() || !window.closed_until.is_none_or(is_over);
            if !is_kept {
                *forgotten_until = (*forgotten_until).max(window.closed_until);
            }
            is_kept
        });
    }
}

impl Window {
    fn check(&self, call: Fingerprint, issued_at: u64) -> Result<(), NotFresh> {
        if self.calls.contains(&call) {
            return Err(NotFresh::Replayed);
        }
        if self.closed_until.is_some_and(|until| issued_at <= until) {
            return Err(NotFresh::Expired);
        }
        Ok(())
    }

    fn remember(&mut self, entry: Entry) {
        self.calls.insert(entry.call);
        self.order.push(Reverse(entry));
    }

    fn oldest(&self) -> Option<u64> {
        self.order.peek().map(|Reverse(entry)| entry.issued_at)
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(Reverse(entry)) = self.order.pop() else { return false };
        self.calls.remove(&entry.call);
        self.closed_until = self.closed_until.max(Some(entry.issued_at));
        true
    }
}

fn fingerprint(sender: &str, id: &str) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(sender.len() as u64).to_le_bytes());
    hasher.update(sender.as_bytes());
    hasher.update(id.as_bytes());
    let mut first = [0; 16];
    hasher.finalize_xof().fill(&mut first);
    u128::from_le_bytes(first)
}
