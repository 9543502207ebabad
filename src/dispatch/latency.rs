//! Estimates how long an instance takes for a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One request in this many is timed.
const SAMPLED: u32 = 16;

/// The estimate before a request has been timed, in nanoseconds.
const UNKNOWN: u32 = 100_000;

/// The time that an instance takes for a request: the average over the last ones, and the time spent on the present one.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct LatencyEstimate(Arc<Measured>);

#[derive(Debug)]
struct Measured {
    /// The origin of all times.
    origin: Instant,
    requests: AtomicU32,
    /// The average time for a request, in nanoseconds.
    average: AtomicU32,
    /// When the present request began, in nanoseconds since the origin. 0 if there is none.
    begun: AtomicU64,
}

impl LatencyEstimate {
    pub(crate) fn new() -> LatencyEstimate {
        let (origin, average) = (Instant::now(), AtomicU32::new(UNKNOWN));
        LatencyEstimate(Arc::new(Measured { origin, requests: AtomicU32::new(0), average, begun: AtomicU64::new(0) }))
    }

    /// Returns whether the next request is timed.
    pub(crate) fn is_sampled(&self) -> bool {
        self.0.requests.load(Ordering::Relaxed).is_multiple_of(SAMPLED)
    }

    fn at(&self, time: Instant) -> u64 {
        // Enough for centuries.
        (time.saturating_duration_since(self.0.origin).as_nanos() as u64).max(1)
    }

    /// Records that a request begins now. Returns the time for [`LatencyEstimate::end`] if the request is timed.
    pub(crate) fn begin(&self, now: Instant) -> Option<Instant> {
        self.0.begun.store(self.at(now), Ordering::Relaxed);
        // Only the thread of the instance writes it.
        let requests = self.0.requests.load(Ordering::Relaxed);
        self.0.requests.store(requests.wrapping_add(1), Ordering::Relaxed);
        requests.is_multiple_of(SAMPLED).then_some(now)
    }

    /// Records that the request has ended. `timed` is what [`LatencyEstimate::begin`] returned. The clock is asked only if the
    /// request is timed.
    pub(crate) fn end(&self, timed: Option<Instant>, now: impl FnOnce() -> Instant) {
        self.0.begun.store(0, Ordering::Relaxed);
        if let Some(begun) = timed {
            self.note(now().saturating_duration_since(begun));
        }
    }

    fn note(&self, took: Duration) {
        let took = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
        let before = self.0.average.load(Ordering::Relaxed);
        // The first one counts for itself, each later one for a quarter.
        let average = if before == UNKNOWN { took } else { before - before / 4 + took / 4 };
        self.0.average.store(average, Ordering::Relaxed);
    }

    /// Returns the estimated time for this many requests from now on, in nanoseconds. A request that has taken long is
    /// expected to take as long again.
    pub(crate) fn of(&self, requests: usize, now: Instant) -> u64 {
        if requests == 0 {
            return 0;
        }
        let average = u64::from(self.0.average.load(Ordering::Relaxed));
        let begun = self.0.begun.load(Ordering::Relaxed);
        let elapsed = if begun == 0 { 0 } else { self.at(now).saturating_sub(begun) };
        average.saturating_mul(requests as u64).max(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_follows_what_requests_take() {
        let (latency, now) = (LatencyEstimate::new(), Instant::now());
        assert_eq!((latency.of(0, now), latency.of(3, now)), (0, 300_000));
        latency.note(Duration::from_micros(8));
        assert_eq!(latency.of(2, now), 16_000);
        latency.note(Duration::from_micros(4));
        assert_eq!(latency.of(1, now), 7_000);
        for _ in 0..50 {
            latency.note(Duration::from_secs(3600));
        }
        assert!(latency.of(1, now) > 4_000_000_000);
    }

    #[test]
    fn a_message_that_takes_long_is_expected_to_take_longer() {
        let (latency, now) = (LatencyEstimate::new(), Instant::now());
        latency.note(Duration::from_micros(8));
        latency.begin(now);
        assert_eq!(latency.of(1, now + Duration::from_millis(3)), 3_000_000);
        latency.end(None, Instant::now);
        assert_eq!(latency.of(1, now + Duration::from_millis(3)), 8_000);
    }

    #[test]
    fn some_requests_are_timed() {
        let (latency, now) = (LatencyEstimate::new(), Instant::now());
        let timed = (0..160).filter(|_| latency.begin(now).is_some()).count();
        assert_eq!(timed, 10);
    }
}
