//! Limits the rate of an actor's lines: a token bucket with a sustained rate and a burst.

use std::time::Instant;

/// A token bucket, and the number of suppressed lines.
#[derive(Debug)]
pub(super) struct RateLimiter {
    per_second: f64,
    burst: f64,
    /// Number of lines that could be written at the time `updated`.
    available: f64,
    updated: Instant,
    suppressed: u64,
}

impl RateLimiter {
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> RateLimiter {
        let (per_second, burst) = (f64::from(per_second), f64::from(burst));
        RateLimiter { per_second, burst, available: burst, updated: now, suppressed: 0 }
    }

    /// Takes a token for a line. Returns whether there was one.
    pub(super) fn try_acquire(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.updated).as_secs_f64() * self.per_second;
        self.available = (self.available + gained).min(self.burst);
        self.updated = now;
        let admitted = self.available >= 1.0;
        if admitted {
            self.available -= 1.0;
        }
        admitted
    }

    /// Counts a suppressed line. Returns the number of lines suppressed since the last report.
    pub(super) fn count_suppressed(&mut self) -> u64 {
        self.suppressed += 1;
        self.suppressed
    }

    /// Returns the number of suppressed lines, and resets it.
    pub(super) fn take_suppressed(&mut self) -> u64 {
        std::mem::take(&mut self.suppressed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn after_a_burst_the_rate_is_sustained() {
        let begin = Instant::now();
        let mut rate = RateLimiter::new(2, 3, begin);
        let mut written = |milliseconds, tries: usize| {
            (0..tries).filter(|_| rate.try_acquire(begin + Duration::from_millis(milliseconds))).count()
        };
        assert_eq!(written(0, 10), 3);
        assert_eq!(written(400, 10), 0);
        assert_eq!(written(500, 10), 1);
        assert_eq!(written(1500, 10), 2);
        assert_eq!(written(1_000_000, 10), 3);
        // A clock that goes back adds no tokens and removes none.
        assert_eq!(written(0, 10), 0);
    }

    #[test]
    fn suppressed_lines_are_counted_once() {
        let mut rate = RateLimiter::new(1, 1, Instant::now());
        assert_eq!((rate.count_suppressed(), rate.count_suppressed()), (1, 2));
        assert_eq!((rate.take_suppressed(), rate.take_suppressed()), (2, 0));
    }
}
