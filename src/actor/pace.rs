//! How long an instance is at a message, as far as its mailbox can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One message in so many is timed.
const SAMPLED: u32 = 16;

/// What a message is taken to need before one has been timed, in nanoseconds.
const UNKNOWN: u32 = 100_000;

/// The time that an instance takes for a message: on average over the last ones, and for the one that it is at. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub(crate) struct Pace(Arc<Measured>);

#[derive(Debug)]
struct Measured {
    /// What times are counted from.
    origin: Instant,
    messages: AtomicU32,
    /// What one takes, in nanoseconds.
    average: AtomicU32,
    /// When the message that it is at has begun, in nanoseconds; 0 where it is at none.
    begun: AtomicU64,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        let (origin, average) = (Instant::now(), AtomicU32::new(UNKNOWN));
        Pace(Arc::new(Measured { origin, messages: AtomicU32::new(0), average, begun: AtomicU64::new(0) }))
    }

    /// Whether the next message is one of those that are timed.
    pub(super) fn is_sampled(&self) -> bool {
        self.0.messages.load(Ordering::Relaxed).is_multiple_of(SAMPLED)
    }

    fn at(&self, time: Instant) -> u64 {
        // Enough for centuries.
        (time.saturating_duration_since(self.0.origin).as_nanos() as u64).max(1)
    }

    /// Takes note of a message that begins now. If it is one that is timed, it is to be told of its end.
    pub(super) fn begin(&self, now: Instant) -> Option<Instant> {
        self.0.begun.store(self.at(now), Ordering::Relaxed);
        self.0.messages.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLED).then_some(now)
    }

    /// Takes note that the message has ended; `timed` is when it began, if it is one that is timed.
    pub(super) fn end(&self, timed: Option<Instant>) {
        self.0.begun.store(0, Ordering::Relaxed);
        if let Some(begun) = timed {
            self.note(begun.elapsed());
        }
    }

    fn note(&self, took: Duration) {
        let took = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
        let before = self.0.average.load(Ordering::Relaxed);
        // The first one counts for itself, each later one for a quarter.
        let average = if before == UNKNOWN { took } else { before - before / 4 + took / 4 };
        self.0.average.store(average, Ordering::Relaxed);
    }

    /// How long so many messages will take from now on, in nanoseconds. One that has taken long already is expected to take
    /// as long again.
    pub(super) fn of(&self, messages: usize, now: Instant) -> u64 {
        if messages == 0 {
            return 0;
        }
        let average = u64::from(self.0.average.load(Ordering::Relaxed));
        let begun = self.0.begun.load(Ordering::Relaxed);
        let elapsed = if begun == 0 { 0 } else { self.at(now).saturating_sub(begun) };
        average.saturating_mul(messages as u64).max(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_what_messages_take() {
        let (pace, now) = (Pace::new(), Instant::now());
        assert_eq!((pace.of(0, now), pace.of(3, now)), (0, 300_000));
        pace.note(Duration::from_micros(8));
        assert_eq!(pace.of(2, now), 16_000);
        pace.note(Duration::from_micros(4));
        assert_eq!(pace.of(1, now), 7_000);
        for _ in 0..50 {
            pace.note(Duration::from_secs(3600));
        }
        assert!(pace.of(1, now) > 4_000_000_000);
    }

    #[test]
    fn a_message_that_takes_long_is_expected_to_take_longer() {
        let (pace, now) = (Pace::new(), Instant::now());
        pace.note(Duration::from_micros(8));
        pace.begin(now);
        assert_eq!(pace.of(1, now + Duration::from_millis(3)), 3_000_000);
        pace.end(None);
        assert_eq!(pace.of(1, now + Duration::from_millis(3)), 8_000);
    }

    #[test]
    fn some_messages_are_timed() {
        let (pace, now) = (Pace::new(), Instant::now());
        let timed = (0..160).filter(|_| pace.begin(now).is_some()).count();
        assert_eq!(timed, 10);
    }
}
