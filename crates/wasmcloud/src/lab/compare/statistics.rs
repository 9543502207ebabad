//! Whether figures differ by more than chance.

use serde::Serialize;

/// The quantiles at 99.5 % of Student's distribution with 1 to 30 degrees of freedom: they bound 99 % on both sides.
const STUDENT: [f64; 30] = [
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921,
    2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750,
];

/// The same quantile of the normal distribution.
const NORMAL: f64 = 2.576;

/// Measurements of one quantity, as logarithms: their differences are ratios.
#[derive(Debug, Clone)]
pub(super) struct Sample(Vec<f64>);

/// The ratio of two quantities, with its confidence interval of 99 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Estimate {
    pub(super) ratio: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Sample {
    /// Returns a sample of the values above zero.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Sample {
        Sample(values.filter(|value| value.is_finite() && *value > 0.0).map(f64::ln).collect())
    }

    /// Returns the geometric mean, if there is a value.
    pub(super) fn middle(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.mean().exp())
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Returns the variance of the mean.
    fn variance_of_mean(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|value| (value - mean).powi(2)).sum();
        squares / (self.0.len() as f64 - 1.0) / self.0.len() as f64
    }

    fn freedom(&self) -> f64 {
        self.0.len() as f64 - 1.0
    }
}

impl Estimate {
    /// Returns the same interval around another ratio: samples of stretches tell how a figure scatters, and whole runs what it is.
    pub(super) fn around(self, ratio: f64) -> Estimate {
        let shift = ratio / self.ratio;
        Estimate { ratio, low: self.low * shift, high: self.high * shift }
    }

    /// Returns whether chance does not explain the difference, and it is at least as large as a threshold, such as 0.05.
    pub(super) fn differs(&self, threshold: f64) -> bool {
        let excludes_one = self.low > 1.0 || self.high < 1.0;
        excludes_one && self.ratio.max(1.0 / self.ratio) >= 1.0 + threshold
    }
}

/// Estimates the ratio of the second quantity to the first, by Welch's method for samples of unequal variance. `None` with fewer
/// than three measurements of one.
pub(super) fn estimate(before: &Sample, after: &Sample) -> Option<Estimate> {
    if before.0.len().min(after.0.len()) < 3 {
        return None;
    }
    let difference = after.mean() - before.mean();
    let (one, other) = (before.variance_of_mean(), after.variance_of_mean());
    let variance = one + other;
    let width = if variance > 0.0 {
        let freedom = variance.powi(2) / (one.powi(2) / before.freedom() + other.powi(2) / after.freedom());
        student(freedom) * variance.sqrt()
    } else {
        0.0
    };
    Some(Estimate { ratio: difference.exp(), low: (difference - width).exp(), high: (difference + width).exp() })
}

/// Returns the quantile for a number of degrees of freedom, which is rounded down.
fn student(freedom: f64) -> f64 {
    let whole = freedom.floor().max(1.0) as usize;
    // Between 30 degrees and infinity, the quantile falls about as the reciprocal of their number.
    let of_many = || NORMAL + (STUDENT[29] - NORMAL) * 30.0 / whole as f64;
    STUDENT.get(whole - 1).copied().unwrap_or_else(of_many)
}

/// Returns whether two shares (of a number of calls) differ by more than chance, by the test of two proportions.
pub(super) fn shares_differ((one, of_one): (u64, u64), (other, of_other): (u64, u64)) -> bool {
    if of_one == 0 || of_other == 0 {
        return false;
    }
    let (all_one, all_other) = (of_one as f64, of_other as f64);
    let pooled = (one + other) as f64 / (all_one + all_other);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / all_one + 1.0 / all_other)).sqrt();
    let difference = (other as f64 / all_other - one as f64 / all_one).abs();
    deviation > 0.0 && difference / deviation > NORMAL
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::of(values.iter().copied())
    }

    #[test]
    fn the_interval_is_that_of_welch() {
        // Logarithms 1, 2, 3 and 3, 4, 5: means 2 and 4, variances of means 1/3, 4 degrees of freedom.
        let e = std::f64::consts::E;
        let found = estimate(&sample(&[e, e.powi(2), e.powi(3)]), &sample(&[e.powi(3), e.powi(4), e.powi(5)])).unwrap();
        let width = 4.604 * (2.0_f64 / 3.0).sqrt();
        assert!((found.ratio.ln() - 2.0).abs() < 1e-9);
        assert!((found.high.ln() - (2.0 + width)).abs() < 1e-9 && (found.low.ln() - (2.0 - width)).abs() < 1e-9);
        assert!(!found.differs(0.05), "three scattered measurements decide nothing");
    }

    #[test]
    fn only_clear_differences_that_matter_count() {
        let before = sample(&[100.0, 101.0, 99.0, 100.5, 99.5]);
        let differs = |values: &[f64]| estimate(&before, &sample(values)).unwrap().differs(0.05);
        assert!(differs(&[110.0, 111.0, 109.0, 110.5, 109.5]), "10 %, and hardly any scatter");
        assert!(!differs(&[102.0, 103.0, 101.0, 102.5, 101.5]), "2 % do not matter");
        assert!(!differs(&[60.0, 180.0, 90.0, 140.0, 110.0]), "chance explains it");
        assert!(differs(&[50.0, 50.0, 50.0]));
        assert_eq!(estimate(&before, &sample(&[1.0, 2.0])), None);
        assert_eq!(estimate(&before, &sample(&[0.0, -1.0, f64::NAN, 5.0, 6.0])), None);
        let shifted = Estimate { ratio: 2.0, low: 1.0, high: 4.0 }.around(3.0);
        assert_eq!(shifted, Estimate { ratio: 3.0, low: 1.5, high: 6.0 });
        assert_eq!((before.middle().map(f64::round), sample(&[]).middle()), (Some(100.0), None));
        let same = estimate(&sample(&[7.0; 4]), &sample(&[7.0; 4])).unwrap();
        assert!(same.ratio == 1.0 && !same.differs(0.0));
    }

    #[test]
    fn shares_are_compared_with_their_numbers() {
        assert!(!shares_differ((2, 100), (4, 100)));
        assert!(shares_differ((200, 10_000), (400, 10_000)));
        assert!(!shares_differ((0, 0), (4, 100)));
        assert!(!shares_differ((0, 100), (0, 100)) && !shares_differ((100, 100), (100, 100)));
        assert!(shares_differ((0, 1000), (20, 1000)));
    }

    #[test]
    fn quantiles_fall_towards_the_normal_distribution() {
        let quantiles: Vec<f64> = [1.0, 2.5, 10.0, 30.0, 31.0, 100.0, 1e6].into_iter().map(student).collect();
        assert!(quantiles.is_sorted_by(|one, next| one >= next), "{quantiles:?}");
        assert!((student(60.0) - 2.660).abs() < 0.01 && (student(1e9) - NORMAL).abs() < 1e-3);
    }

    proptest! {
        /// Samples of the same distribution hardly ever differ: the interval keeps what it promises.
        #[test]
        fn equal_distributions_rarely_differ(seed: u64) {
            let mut state = seed;
            let mut next = move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // The sum of uniform numbers is about normal.
                let uniform = (state >> 33) as f64 / f64::from(1_u32 << 31);
                100.0 * (1.0 + 0.2 * (uniform - 0.5))
            };
            let mut wrong = 0;
            for _ in 0..200 {
                let before = Sample::of((0..10).map(|_| next()));
                let after = Sample::of((0..10).map(|_| next()));
                wrong += usize::from(estimate(&before, &after).is_some_and(|ratio| ratio.differs(0.0)));
            }
            // 1 % is expected: 2 of 200. More than 12 happen once in a hundred thousand times.
            prop_assert!(wrong <= 12, "{} of 200", wrong);
        }
    }
}
