//! Counts requests by the status of their responses, and how long they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;

/// The first status that is counted by itself, and the number of these.
const FIRST: u16 = 100;
const STATUSES: usize = 500;

/// The number of buckets of durations, the one without an upper bound included.
const BUCKETS: usize = 28;

/// What a server has counted since it was created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// How many requests were answered with which status, from 100 to 599. Others count as 0.
    pub requests: Vec<(u16, u64)>,
    /// How many requests took at most so long, and longer than the bound before: 1 us, 2 us, 4 us, ... 67 s, and without a bound.
    pub durations: Vec<u64>,
    /// The sum of the times.
    pub total: Duration,
}

/// The counters of a server.
#[derive(Debug)]
pub(crate) struct Counters {
    statuses: Box<[AtomicU64]>,
    other: AtomicU64,
    durations: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            statuses: (0..STATUSES).map(|_| AtomicU64::default()).collect(),
            other: AtomicU64::default(),
            durations: std::array::from_fn(|_| AtomicU64::default()),
            nanoseconds: AtomicU64::default(),
        }
    }
}

impl Counters {
    /// Counts a request.
    pub(crate) fn count(&self, status: StatusCode, took: Duration) {
        let at = usize::from(status.as_u16().saturating_sub(FIRST));
        self.statuses.get(at).unwrap_or(&self.other).fetch_add(1, Ordering::Relaxed);
        self.durations[bucket(took)].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let statuses = (FIRST..).zip(self.statuses.iter().map(read)).chain([(0, read(&self.other))]);
        Figures {
            requests: statuses.filter(|(_, requests)| *requests > 0).collect(),
            durations: self.durations.iter().map(read).collect(),
            total: Duration::from_nanos(read(&self.nanoseconds)),
        }
    }
}

/// Returns the bucket of a duration: the number of binary digits of its microseconds, less one, rounded up.
fn bucket(took: Duration) -> usize {
    let microseconds = took.as_nanos().saturating_sub(1) / 1_000;
    let digits = u128::BITS - microseconds.leading_zeros();
    (digits as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_status_and_duration() {
        let counters = Counters::default();
        for status in [200, 200, 404, 599, 777] {
            counters.count(StatusCode::from_u16(status).unwrap(), Duration::from_micros(3));
        }
        let figures = counters.read();
        assert_eq!(figures.requests, [(200, 2), (404, 1), (599, 1), (0, 1)]);
        assert_eq!((figures.durations[2], figures.total), (5, Duration::from_micros(15)));
    }

    #[test]
    fn durations_are_in_the_buckets_of_their_bounds() {
        let micros = |count| bucket(Duration::from_micros(count));
        assert_eq!([micros(0), micros(1), micros(2), micros(3), micros(4), micros(5)], [0, 0, 1, 2, 2, 3]);
        assert_eq!([bucket(Duration::from_nanos(1_001)), bucket(Duration::MAX)], [1, BUCKETS - 1]);
    }
}
