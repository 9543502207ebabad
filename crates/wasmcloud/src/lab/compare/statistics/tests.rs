//! Intervals and probabilities, against known figures and by experiments.

use proptest::prelude::*;

use super::*;

fn ratio(before: &[f64], after: &[f64]) -> Estimate {
    Estimate::of_geometric_means(before, after, 0.0).unwrap()
}

#[test]
fn the_interval_is_that_of_welch() {
    // Logarithms 1, 2, 3 and 3, 4, 5: means 2 and 4, variances of means 1/3, 4 degrees of freedom.
    let e = std::f64::consts::E;
    let found = ratio(&[e, e.powi(2), e.powi(3)], &[e.powi(3), e.powi(4), e.powi(5)]);
    let width = 4.604 * (2.0_f64 / 3.0).sqrt();
    assert!((found.ratio.ln() - 2.0).abs() < 1e-9);
    assert!((found.high.ln() - (2.0 + width)).abs() < 1e-9 && (found.low.ln() - (2.0 - width)).abs() < 1e-9);
    assert!(!found.differs(0.05), "three scattered measurements decide nothing");
    let linear = Estimate::of_arithmetic_means(&[1.0, 2.0, 3.0], &[3.0, 4.0, 5.0]).unwrap();
    assert!((linear.ratio - 2.0).abs() < 1e-9 && (linear.high - (2.0 + width / 2.0)).abs() < 1e-9, "{linear:?}");
}

#[test]
fn only_clear_differences_that_matter_count() {
    let before = [100.0, 101.0, 99.0, 100.5, 99.5];
    for estimate in [ratio, |one: &[f64], other: &[f64]| Estimate::of_arithmetic_means(one, other).unwrap()] {
        let differs = |values: &[f64]| estimate(&before, values).differs(0.05);
        assert!(differs(&[110.0, 111.0, 109.0, 110.5, 109.5]), "10 %, and hardly any scatter");
        assert!(!differs(&[102.0, 103.0, 101.0, 102.5, 101.5]), "2 % do not matter");
        assert!(!differs(&[60.0, 180.0, 90.0, 140.0, 110.0]), "chance explains it");
        assert!(differs(&[50.0, 50.0, 50.0]));
        let same = estimate(&[7.0; 4], &[7.0; 4]);
        assert!(same.ratio == 1.0 && same.chance == 1.0 && !same.differs(0.0));
    }
    let shifted = Estimate { ratio: 2.0, low: 1.0, high: 4.0, chance: 0.01 }.around(3.0);
    assert_eq!(shifted, Estimate { ratio: 3.0, low: 1.5, high: 6.0, chance: 0.01 });
}

#[test]
fn too_few_measurements_and_zeros_have_no_ratio() {
    let three = [1.0, 2.0, 3.0];
    assert_eq!(Estimate::of_geometric_means(&three, &[1.0, 2.0], 0.0), None);
    assert_eq!(Estimate::of_geometric_means(&three, &[0.0, 5.0, 6.0], 0.0), None, "a zero is not left out");
    assert_eq!(Estimate::of_arithmetic_means(&[0.0; 3], &three), None);
    let zeros = Estimate::of_arithmetic_means(&three, &[0.0; 3]).unwrap();
    assert_eq!((zeros.ratio, zeros.low), (0.0, 0.0));
    assert_eq!((geometric_mean(&[]), arithmetic_mean(&[])), (None, None));
    assert_eq!(geometric_mean(&[1.0, 100.0]).map(f64::round), Some(10.0));
}

#[test]
fn a_difference_within_the_rounding_of_figures_is_none() {
    let rounded = |after: f64| Estimate::of_geometric_means(&[64.0; 5], &[after; 5], 1.0 / 64.0).unwrap();
    assert!(!rounded(65.0).differs(0.0) && rounded(65.0).chance == 1.0, "the next bucket");
    let equal = Estimate::of_arithmetic_means(&[0.1; 3], &[0.1; 7]).unwrap();
    assert!(!equal.differs(0.0) && equal.chance == 1.0, "{equal:?}");
    assert!(rounded(67.0).differs(0.0) && rounded(67.0).chance == 0.0);
}

#[test]
fn probabilities_agree_with_the_quantiles() {
    for (number, bound) in STUDENT.iter().enumerate() {
        let freedom = number as f64 + 1.0;
        assert!((tails(*bound, freedom) - 0.01).abs() < 2e-5, "{freedom}: {}", tails(*bound, freedom));
        assert_eq!(quantile(freedom), *bound);
    }
    for freedom in [60.0, 1_000.0] {
        assert!((tails(quantile(freedom), freedom) - 0.01).abs() < 1e-4, "{freedom}");
    }
    assert!((tails(1.0, 1.0) - 0.5).abs() < 1e-9 && tails(0.0, 5.0) == 1.0);
    assert!((quantile(60.0) - 2.660).abs() < 0.01 && (quantile(1e9) - NORMAL).abs() < 1e-3);
}

#[test]
fn an_order_needs_runs_that_do_not_overlap_or_enough_of_them() {
    let certainty = |lower: &[f64], higher: &[f64]| order(lower, higher).map(|order| order.certainty);
    assert_eq!(certainty(&[0.0; 3], &[1.0; 3]), Some(Certainty::Sure), "nothing failed, and now all do");
    assert_eq!(certainty(&[0.0; 3], &[0.01, 0.02, 0.03]), Some(Certainty::Unsure));
    assert_eq!(certainty(&[0.0; 5], &[0.002, 0.004, 0.01, 0.03, 0.06]), Some(Certainty::Sure), "each run fails now");
    assert_eq!(certainty(&[0.0; 5], &[0.0, 0.0, 0.0, 0.0, 0.9]), Some(Certainty::Chance), "one bad run of five");
    assert_eq!(certainty(&[0.0, 0.0, 0.5], &[0.5, 0.5, 0.5]), Some(Certainty::Chance));
    assert_eq!(certainty(&[0.0; 2], &[1.0; 5]), None);
}

/// A stream of numbers from 0 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 31)
    }

    /// Returns the share of 10,000 calls that failed in bursts of 50, of which a run has one on average.
    fn share(&mut self) -> f64 {
        (0..10).filter(|_| self.next() < 0.1).count() as f64 * 50.0 / 10_000.0
    }
}

/// Calls fail together: that runs differ is no difference of what was changed.
#[test]
fn bursts_of_failures_rarely_make_a_difference() {
    let mut random = Random(7);
    let wrong = (0..1_000).filter(|_| {
        let [one, other] = [(); 2].map(|()| [(); 5].map(|()| random.share()));
        let [lower, higher] = if arithmetic_mean(&one) < arithmetic_mean(&other) { [one, other] } else { [other, one] };
        order(&lower, &higher).is_some_and(|order| order.certainty == Certainty::Sure)
    });
    // Less than 1 % are expected, since equal shares are common.
    let wrong = wrong.count();
    assert!(wrong <= 15, "{wrong} of 1000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Samples of the same distribution hardly ever differ: the interval keeps what it promises.
    #[test]
    fn equal_distributions_rarely_differ(seed: u64) {
        let mut random = Random(seed);
        let mut next = || 100.0 * (1.0 + 0.2 * (random.next() - 0.5));
        let mut wrong = 0;
        for _ in 0..200 {
            let [before, after] = [(); 2].map(|()| [(); 10].map(|()| next()));
            wrong += usize::from(ratio(&before, &after).differs(0.0));
        }
        // 1 % is expected: 2 of 200. More than 12 happen in 2 of 10,000,000 cases.
        prop_assert!(wrong <= 12, "{} of 200", wrong);
    }
}
