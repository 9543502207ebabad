//! How long things took: a histogram with exponential buckets.

use std::time::Duration;

/// The number of buckets, the one without an upper bound included.
pub const BUCKETS: usize = 28;

/// The upper bounds of the buckets but the last: 1 us, 2 us, 4 us, ... 67 s. Unit: nanoseconds.
pub const BOUNDS: [u64; BUCKETS - 1] = {
    let mut bounds = [1_000; BUCKETS - 1];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
};

/// Returns the bucket of a duration.
pub fn bucket(nanoseconds: u64) -> usize {
    let thousands = nanoseconds.saturating_sub(1) / BOUNDS[0];
    let bucket = u64::BITS - thousands.leading_zeros();
    (bucket as usize).min(BUCKETS - 1)
}

/// How long things took, such as calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many are in each bucket. Each is in one bucket.
    pub buckets: [u64; BUCKETS],
    /// The sum. Unit: nanoseconds.
    pub nanoseconds: u64,
}

impl Durations {
    /// Adds others.
    pub fn merge(&mut self, other: &Durations) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, more)| *sum += more);
        self.nanoseconds += other.nanoseconds;
    }

    /// Adds so many that took so long. Unit: nanoseconds.
    pub fn add(&mut self, nanoseconds: u64, times: u64) {
        self.buckets[bucket(nanoseconds)] += times;
        self.nanoseconds = self.nanoseconds.saturating_add(nanoseconds.saturating_mul(times));
    }

    /// Returns how many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns what has come since an earlier reading.
    pub fn since(&self, earlier: &Durations) -> Durations {
        let mut since = *self;
        since.buckets.iter_mut().zip(earlier.buckets).for_each(|(now, before)| *now = now.saturating_sub(before));
        since.nanoseconds = since.nanoseconds.saturating_sub(earlier.nanoseconds);
        since
    }

    /// Returns the time that this fraction took at most, estimated by the bounds of its bucket. `None` if there are none.
    pub fn quantile(&self, fraction: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * fraction.clamp(0.0, 1.0)).ceil().max(1.0);
        let mut below = 0;
        for (at, count) in self.buckets.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            if (below + count) as f64 >= rank {
                let lower = if at == 0 { 0 } else { BOUNDS[at - 1] };
                let upper = BOUNDS.get(at).copied().unwrap_or(lower * 2);
                let share = (rank - below as f64) / count as f64;
                return Some(Duration::from_nanos(lower + ((upper - lower) as f64 * share) as u64));
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_of_its_bounds() {
        for (at, bound) in BOUNDS.into_iter().enumerate() {
            assert_eq!([bucket(bound - 1), bucket(bound), bucket(bound + 1)], [at, at, at + 1], "{bound}");
        }
        assert_eq!([bucket(0), bucket(1), bucket(u64::MAX)], [0, 0, BUCKETS - 1]);
    }

    #[test]
    fn quantiles_lie_within_their_buckets() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantile(0.5), None);
        durations.buckets[bucket(3_000)] += 90;
        durations.buckets[bucket(900_000)] += 10;
        let [half, nine, most] = [0.5, 0.9, 0.99].map(|fraction| durations.quantile(fraction).unwrap().as_micros());
        assert!((2..=4).contains(&half) && nine == 4 && (512..=1024).contains(&most), "{half} {nine} {most}");
        let before = durations;
        durations.buckets[bucket(50)] += 1;
        assert_eq!(durations.since(&before).count(), 1);
        assert!(durations.since(&before).quantile(1.0).unwrap() <= Duration::from_micros(1));
    }
}
