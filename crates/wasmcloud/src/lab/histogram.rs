//! The durations of calls, counted in buckets whose width is a 64th of their value: quantiles are exact to 1.6 %.

use std::time::Duration;

/// The buckets for each doubling of the duration, as a power of two.
const PRECISION: u32 = 6;

/// The buckets below which each nanosecond has one of its own.
const EXACT: u64 = 1 << PRECISION;

/// The width of a bucket, as a share of the durations in it.
pub(super) const RELATIVE_WIDTH: f64 = 1.0 / EXACT as f64;

/// Durations, counted in buckets.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    /// The counts of the buckets up to the last one that is not empty.
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

/// A bucket that is not empty. Bounds are in nanoseconds; the upper one lies outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) count: u64,
}

impl Histogram {
    /// Counts a duration.
    pub(super) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let index = index(nanoseconds);
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    /// Adds what another histogram has counted.
    pub(super) fn add(&mut self, other: &Histogram) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// Returns how many durations were counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the duration that this share of all does not exceed, in nanoseconds. `None` without any duration.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((share * self.total as f64).ceil() as u64).clamp(1, self.total);
        let mut passed = 0;
        let index = self.counts.iter().position(|count| {
            passed += count;
            passed >= rank
        })?;
        let (from, to) = bounds(index);
        let middle = if to - from == 1 { from as f64 } else { (from as f64 + to as f64) / 2.0 };
        Some(middle.min(self.longest as f64))
    }

    /// Returns the longest duration, in nanoseconds.
    pub(super) fn longest(&self) -> Option<f64> {
        (self.total > 0).then_some(self.longest as f64)
    }

    /// Returns the buckets that are not empty, shortest first.
    pub(super) fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(index, count)| {
            let (from, to) = bounds(index);
            Bucket { from, to, count: *count }
        })
    }
}

/// Returns the bucket of a duration.
fn index(nanoseconds: u64) -> usize {
    if nanoseconds < EXACT {
        return nanoseconds as usize;
    }
    let doubling = 63 - nanoseconds.leading_zeros() - PRECISION;
    let within = (nanoseconds >> doubling) - EXACT;
    ((u64::from(doubling) + 1) * EXACT + within) as usize
}

/// Returns the bounds of a bucket.
fn bounds(index: usize) -> (u64, u64) {
    let index = index as u64;
    if index < EXACT {
        return (index, index + 1);
    }
    let doubling = index / EXACT - 1;
    let from = (EXACT + index % EXACT) << doubling;
    (from, from.saturating_add(1 << doubling))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(nanoseconds: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        nanoseconds.iter().for_each(|duration| histogram.record(Duration::from_nanos(*duration)));
        histogram
    }

    #[test]
    fn quantiles_are_those_of_the_durations() {
        let histogram = of(&(1..=1000).map(|milliseconds| milliseconds * 1_000_000).collect::<Vec<_>>());
        for (share, expected) in [(0.5, 500e6), (0.99, 990e6), (1.0, 1000e6), (0.0, 1e6)] {
            let found = histogram.quantile(share).unwrap();
            assert!((found / expected - 1.0_f64).abs() < 0.016, "{share}: {found} instead of {expected}");
        }
        assert_eq!(histogram.longest(), Some(1000e6));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_duration_lies_in_its_bucket(duration: u64) {
            let (from, to) = bounds(index(duration));
            prop_assert!(from <= duration && (duration < to || to == u64::MAX));
            prop_assert!(to - from <= (from >> PRECISION).max(1));
        }

        #[test]
        fn sums_count_everything(one in prop::collection::vec(any::<u64>(), 0..50), other in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut sum = of(&one);
            sum.add(&of(&other));
            let both: Vec<u64> = one.iter().chain(&other).copied().collect();
            prop_assert_eq!(sum.total(), both.len() as u64);
            prop_assert_eq!(sum.buckets().map(|bucket| bucket.count).sum::<u64>(), both.len() as u64);
            prop_assert_eq!(sum.quantile(0.9), of(&both).quantile(0.9));
        }
    }
}
