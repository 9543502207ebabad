//! Decides which calls are timed. Reading the clock costs as much as counting ten calls, so it is not read for each call of an
//! instance that has many.
//!
//! While calls follow each other slowly, each is timed. While they follow each other fast, one in 16 is, chosen by chance. A timed
//! call stands for itself and for those before it that were not timed, so no call is left out of the sum.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Calls that follow each other faster than this, on average, are sampled.
const FAST: Duration = Duration::from_micros(20);

/// The longest distance between two timed calls. The average is half of it.
const MOST: u32 = 31;

/// Chooses the calls of one instance that are timed.
#[derive(Debug)]
pub(super) struct Sampler {
    /// How many calls are not timed before the next one that is.
    left: Cell<u32>,
    /// The distance to the next timed call.
    distance: Cell<u32>,
    /// When the last timed call began.
    last: Cell<Option<Instant>>,
    /// The state of a generator of numbers that need not be secret.
    random: Cell<u32>,
}

/// A call that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timed {
    pub(super) begun: Instant,
    /// For how many calls it stands.
    pub(super) calls: u32,
}

impl Sampler {
    /// Returns a sampler. Different seeds give different choices.
    pub(super) fn new(seed: u32) -> Sampler {
        Sampler { left: Cell::new(0), distance: Cell::new(1), last: Cell::default(), random: Cell::new(seed | 1) }
    }

    /// Decides whether the call that begins now is timed. `now` is asked only if it is.
    pub(super) fn begin(&self, now: impl FnOnce() -> Instant) -> Option<Timed> {
        let left = self.left.get();
        if left > 0 {
            self.left.set(left - 1);
            return None;
        }
        Some(self.time(now()))
    }

    fn time(&self, now: Instant) -> Timed {
        let calls = self.distance.get();
        let before = self.last.replace(Some(now));
        let is_fast = before.is_some_and(|before| now.saturating_duration_since(before) < FAST * calls);
        let distance = if is_fast { self.random() % MOST + 1 } else { 1 };
        self.distance.set(distance);
        self.left.set(distance - 1);
        Timed { begun: now, calls }
    }

    /// Returns a number by chance (xorshift).
    fn random(&self) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(sampler: &Sampler, calls: u32, interval: Duration) -> Vec<u32> {
        let start = Instant::now();
        (0..calls).filter_map(|call| sampler.begin(|| start + interval * call)).map(|timed| timed.calls).collect()
    }

    #[test]
    fn each_slow_call_is_timed_and_one_in_sixteen_fast_ones() {
        let slow = timed(&Sampler::new(7), 1_000, FAST);
        assert_eq!(slow, vec![1; 1_000]);
        let fast = timed(&Sampler::new(7), 100_000, FAST / 10);
        assert!((5_500..7_000).contains(&fast.len()), "{}", fast.len());
        assert!(fast.iter().all(|calls| (1..=MOST).contains(calls)));
    }

    #[test]
    fn no_call_is_left_out_of_the_sum() {
        for seed in 0..20 {
            let sum: u32 = timed(&Sampler::new(seed), 10_000, Duration::from_nanos(500)).iter().sum();
            assert!((10_000 - MOST..=10_000).contains(&sum), "{sum}");
        }
    }

    #[test]
    fn calls_that_become_slow_are_timed_again() {
        let sampler = Sampler::new(3);
        timed(&sampler, 1_000, Duration::ZERO);
        let slow = timed(&sampler, 1_000, Duration::from_millis(1));
        assert!(slow.len() > 1_000 - 2 * MOST as usize);
    }
}
