//! Limits the rate of log lines that others can cause: a token bucket with a sustained rate and a burst (pure).

use std::time::Instant;

/// A token bucket, and the number of lines that it left out.
///
/// ```
/// use std::time::Instant;
/// use wasmcloud_core::line_limiter::LineLimiter;
///
/// let now = Instant::now();
/// let mut limiter = LineLimiter::new(10, 2, now);
/// assert_eq!([limiter.admit(now), limiter.admit(now), limiter.admit(now)], [true, true, false]);
/// assert_eq!(limiter.take_left_out(), 1);
/// ```
#[derive(Debug)]
pub struct LineLimiter {
    per_second: f64,
    burst: f64,
    /// Number of lines that could be written at the time `updated`.
    available: f64,
    updated: Instant,
    left_out: u64,
}

impl LineLimiter {
    /// Returns a limiter that admits `burst` lines at once, and `per_second` lines each second from then on.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> LineLimiter {
        let burst = f64::from(burst);
        LineLimiter { per_second: f64::from(per_second), burst, available: burst, updated: now, left_out: 0 }
    }

    /// Returns whether a line may be written now. One that may not is counted.
    pub fn admit(&mut self, now: Instant) -> bool {
        self.refill(now);
        let is_admitted = self.available >= 1.0;
        if is_admitted {
            self.available -= 1.0;
        } else {
            self.left_out += 1;
        }
        is_admitted
    }

    /// Returns the number of lines that were left out, and resets it.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    /// Returns whether a new limiter would admit as many lines, and have left out as few.
    pub fn is_as_new(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left_out == 0 && self.available >= self.burst
    }

    fn refill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.updated).as_secs_f64() * self.per_second;
        self.available = (self.available + gained).min(self.burst);
        self.updated = self.updated.max(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn after_a_burst_the_rate_is_sustained() {
        let begin = Instant::now();
        let mut limiter = LineLimiter::new(2, 3, begin);
        let mut admitted = |milliseconds, tries: usize| {
            (0..tries).filter(|_| limiter.admit(begin + Duration::from_millis(milliseconds))).count()
        };
        assert_eq!(admitted(0, 10), 3);
        assert_eq!(admitted(400, 10), 0);
        assert_eq!(admitted(500, 10), 1);
        assert_eq!(admitted(1500, 10), 2);
        assert_eq!(admitted(1_000_000, 10), 3);
        // A clock that goes back adds no tokens and removes none.
        assert_eq!(admitted(0, 10), 0);
        assert_eq!(admitted(1_000_000, 10), 0);
    }

    #[test]
    fn lines_that_are_left_out_are_counted_once() {
        let begin = Instant::now();
        let mut limiter = LineLimiter::new(1, 1, begin);
        assert!(limiter.is_as_new(begin) && limiter.admit(begin) && !limiter.is_as_new(begin));
        assert!(!limiter.admit(begin) && !limiter.admit(begin));
        assert_eq!((limiter.take_left_out(), limiter.take_left_out()), (2, 0));
        assert!(limiter.is_as_new(begin + Duration::from_secs(1)));
    }
}
