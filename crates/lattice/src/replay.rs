//! Remembers which calls have been admitted, so that none is admitted twice. The memory is bounded.
//!
//! A call is remembered for as long as its time of issue is within the window. When the memory is full, the sender with the
//! most remembered calls loses its oldest one, and no call of that sender that was issued at that time or before is admitted
//! any more: *its window shrinks*. So a full memory never admits a replay, a sender with few calls loses nothing to a
//! sender with many, and calls that were issued just now are still admitted from all. The number of senders is bounded
//! too: those beyond it share one window.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000_000;

    fn cache(calls: usize, senders: usize) -> ReplayCache {
        ReplayCache::new(ReplayLimits { calls, senders, ..ReplayLimits::default() })
    }

    #[test]
    fn a_call_is_admitted_once_and_within_the_window() {
        let mut cache = cache(10, 10);
        assert_eq!(cache.admit("a", "1", NOW, NOW), Ok(()));
        assert_eq!(cache.admit("a", "1", NOW, NOW), Err(NotFresh::Replayed));
        assert_eq!(cache.admit("a", "1", NOW + 1, NOW + 1), Err(NotFresh::Replayed), "with another time of issue");
        assert_eq!(cache.admit("b", "1", NOW, NOW), Ok(()));
        assert_eq!(cache.admit("a", "2", NOW - 30_001, NOW), Err(NotFresh::Expired));
        assert_eq!(cache.admit("a", "3", NOW - 30_000, NOW), Ok(()));
        assert_eq!(cache.admit("a", "4", NOW + 5_001, NOW), Err(NotFresh::FromFuture));
        assert_eq!(cache.admit("a", "5", NOW + 5_000, NOW), Ok(()));
    }

    #[test]
    fn calls_beyond_the_window_take_no_memory() {
        let mut cache = cache(1000, 10);
        for round in 0..20 {
            let now = NOW + round * 40_000;
            for id in 0..50 {
                assert_eq!(cache.admit("a", &format!("{round} {id}"), now, now), Ok(()));
            }
            assert_eq!(cache.len(), 50);
        }
    }

    #[test]
    fn a_full_cache_admits_no_replay_and_shrinks_the_window_of_the_largest_sender() {
        let mut cache = cache(100, 10);
        assert_eq!(cache.admit("quiet", "1", NOW, NOW), Ok(()));
        for id in 0..10_000 {
            let at = NOW + id / 10;
            let admitted = cache.admit("loud", &id.to_string(), at, at);
            assert!(admitted.is_ok() || admitted == Err(NotFresh::Expired));
            assert!(cache.len() <= 100);
        }
        for id in 0..10_000 {
            assert!(cache.admit("loud", &id.to_string(), NOW + id / 10, NOW + 1000).is_err());
        }
        assert_eq!(cache.admit("quiet", "1", NOW, NOW + 1000), Err(NotFresh::Replayed));
        assert_eq!(cache.admit("quiet", "2", NOW, NOW + 1000), Ok(()), "its window is whole");
        assert_eq!(cache.admit("loud", "fresh", NOW + 1001, NOW + 1001), Ok(()));
    }

    #[test]
    fn senders_without_number_share_one_window_and_disturb_no_other() {
        let mut cache = cache(100, 5);
        assert_eq!(cache.admit("known", "1", NOW, NOW), Ok(()));
        for sender in 0..10_000 {
            let _ = cache.admit(&format!("stranger {sender}"), "1", NOW + sender, NOW + sender);
            assert!(cache.len() <= 100 && cache.senders.len() <= 5);
        }
        assert_eq!(cache.admit("known", "1", NOW, NOW + 10_000), Err(NotFresh::Replayed));
        assert_eq!(cache.admit("known", "2", NOW, NOW + 10_000), Ok(()));
        assert!(cache.admit("stranger 9999", "1", NOW + 9_999, NOW + 10_000).is_err());
    }

    #[test]
    fn a_call_in_the_shared_window_is_no_new_one_in_a_window_of_its_own() {
        let mut cache = cache(100, 1);
        assert_eq!(cache.admit("first", "1", NOW - 30_000, NOW), Ok(()));
        assert_eq!(cache.admit("late", "1", NOW + 4_000, NOW), Ok(()));
        assert_eq!(cache.admit("late", "2", NOW + 4_000, NOW + 5_000), Ok(()));
        assert!(cache.senders.contains_key("late"), "the first sender is forgotten");
        assert_eq!(cache.admit("late", "1", NOW + 4_000, NOW + 5_000), Err(NotFresh::Replayed));
    }

    proptest! {
        #[test]
        fn no_call_is_admitted_twice(
            calls in prop::collection::vec((0..4_u8, 0..40_u8, 0..40_000_u64, 0..3_000_u64), 0..400),
            capacity in 1..50_usize, senders in 1..4_usize, back_steps in prop::collection::vec(any::<bool>(), 400),
        ) {
            let mut cache = cache(capacity, senders);
            let mut admitted = HashSet::new();
            let mut issued: HashMap<(u8, u8), u64> = HashMap::new();
            let mut now = NOW;
            for ((sender, id, age, step), is_back) in calls.into_iter().zip(back_steps) {
                // The clock may go back, too.
                now = if is_back { now - step } else { now + 2 * step };
                // The time of issue is signed: it is the same each time that a call is sent.
                let issued_at = *issued.entry((sender, id)).or_insert(now + 5_000 - age);
                let name = sender.to_string();
                if cache.admit(&name, &id.to_string(), issued_at, now).is_ok() {
                    prop_assert!(admitted.insert((sender, id)));
                }
                prop_assert!(cache.len() <= capacity);
            }
        }
    }
}
