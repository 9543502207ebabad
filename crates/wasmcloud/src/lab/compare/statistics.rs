//! Whether figures differ by more than chance.
//!
//! # Layout
//! - `ranks`: the exact test, which assumes no distribution

mod ranks;
#[cfg(test)]
mod tests;

use serde::Serialize;

/// The probability with which chance alone may make a figure better or worse.
pub(super) const LEVEL: f64 = 0.01;

/// The measurements of each sample from which on something is decided.
const ENOUGH: usize = 3;

/// The quantiles at 99.5 % of Student's distribution with 1 to 30 degrees of freedom: they bound 99 % on both sides.
const STUDENT: [f64; 30] = [
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921,
    2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750,
];

/// The same quantile of the normal distribution.
pub(super) const NORMAL: f64 = 2.576;

/// The ratio of two quantities, with its confidence interval of 99 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Estimate {
    pub(super) ratio: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// The probability that equal systems differ as much.
    #[serde(skip)]
    pub(super) chance: f64,
}

impl Estimate {
    /// Estimates the ratio of the arithmetic means of quantities that can be zero. `None` with fewer than three measurements of
    /// one, or if the first mean is zero.
    pub(super) fn of_arithmetic_means(before: &[f64], after: &[f64]) -> Option<Estimate> {
        let Difference { mean, width, chance } = Difference::of(before, after, 0.0)?;
        let base = arithmetic_mean(before).filter(|base| *base > 0.0)?;
        let ratio = |difference: f64| (1.0 + difference / base).max(0.0);
        Some(Estimate { ratio: ratio(mean), low: ratio(mean - width), high: ratio(mean + width), chance })
    }

    /// Estimates the ratio of the geometric means of quantities above zero, which are known up to a share of their value. `None`
    /// with fewer than three measurements of one, or if one is zero.
    pub(super) fn of_geometric_means(before: &[f64], after: &[f64], inexact: f64) -> Option<Estimate> {
        let logarithms = |values: &[f64]| -> Option<Vec<f64>> {
            values.iter().map(|value| (*value > 0.0).then(|| value.ln())).collect()
        };
        let Difference { mean, width, chance } =
            Difference::of(&logarithms(before)?, &logarithms(after)?, inexact.ln_1p())?;
        Some(Estimate { ratio: mean.exp(), low: (mean - width).exp(), high: (mean + width).exp(), chance })
    }

    /// Returns the same interval around another ratio: samples of stretches tell how a figure scatters, and whole runs its value.
    pub(super) fn around(self, ratio: f64) -> Estimate {
        let shift = ratio / self.ratio;
        Estimate { ratio, low: self.low * shift, high: self.high * shift, chance: self.chance }
    }

    /// Returns whether chance does not explain the difference, and it is at least as large as a threshold, such as 0.05.
    pub(super) fn differs(&self, threshold: f64) -> bool {
        let excludes_one = self.low > 1.0 || self.high < 1.0;
        excludes_one && self.ratio.max(1.0 / self.ratio) >= 1.0 + threshold
    }
}

/// Whether one sample lies above another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Order {
    pub(super) certainty: Certainty,
    /// The probability that equal systems differ as much.
    pub(super) chance: f64,
}

/// How sure a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    Sure,
    /// It may be one, and there are too few measurements to be sure.
    Unsure,
    /// Chance explains it.
    Chance,
}

/// Returns whether one sample lies above another, whatever their distributions are. `None` with fewer than three measurements of
/// one.
///
/// The exact test of ranks decides. With 3 or 4 measurements of each it cannot be sure of anything: then the samples must not
/// overlap, and Welch's method must be sure.
pub(super) fn order(lower: &[f64], higher: &[f64]) -> Option<Order> {
    let by_means = Difference::of(lower, higher, 0.0)?.chance;
    let by_ranks = ranks::chance(lower, higher);
    let are_few = ranks::least_chance(lower.len(), higher.len()) > LEVEL;
    let certainty = if by_ranks <= LEVEL {
        Certainty::Sure
    } else if !are_few || !are_apart(lower, higher) {
        Certainty::Chance
    } else if by_means <= LEVEL {
        Certainty::Sure
    } else {
        Certainty::Unsure
    };
    Some(Order { certainty, chance: by_ranks.min(by_means) })
}

/// Returns whether each value of one sample lies above all of another.
fn are_apart(lower: &[f64], higher: &[f64]) -> bool {
    lower.iter().all(|low| higher.iter().all(|high| low < high))
}

/// Returns the arithmetic mean, if there is a value.
pub(super) fn arithmetic_mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the geometric mean, if there is a value. It is that of values above zero.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    arithmetic_mean(&logarithms).map(f64::exp)
}

/// The difference of two means, with half the width of its confidence interval of 99 %.
#[derive(Debug)]
struct Difference {
    mean: f64,
    width: f64,
    /// The probability that equal systems differ as much.
    chance: f64,
}

impl Difference {
    /// Subtracts the first mean from the second, by Welch's method for samples of unequal variance. The difference may be off by
    /// `inexact` because measurements are rounded.
    fn of(before: &[f64], after: &[f64], inexact: f64) -> Option<Difference> {
        if before.len().min(after.len()) < ENOUGH {
            return None;
        }
        let mean = arithmetic_mean(after)? - arithmetic_mean(before)?;
        // Means of equal values differ in their last digits.
        let largest = before.iter().chain(after).fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let inexact = inexact + 1e-12 * largest;
        let (one, other) = (variance_of_mean(before)?, variance_of_mean(after)?);
        let variance = one + other;
        let beyond = (mean.abs() - inexact).max(0.0);
        if variance <= 0.0 {
            return Some(Difference { mean, width: inexact, chance: if beyond > 0.0 { 0.0 } else { 1.0 } });
        }
        let (of_one, of_other) = (before.len() as f64 - 1.0, after.len() as f64 - 1.0);
        let freedom = (variance.powi(2) / (one.powi(2) / of_one + other.powi(2) / of_other)).floor().max(1.0);
        let error = variance.sqrt();
        Some(Difference { mean, width: quantile(freedom) * error + inexact, chance: tails(beyond / error, freedom) })
    }
}

fn variance_of_mean(values: &[f64]) -> Option<f64> {
    let mean = arithmetic_mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let number = values.len() as f64;
    Some(squares / (number - 1.0) / number)
}

/// Returns the quantile for a whole number of degrees of freedom.
fn quantile(freedom: f64) -> f64 {
    // Between 30 degrees and infinity, the quantile falls about as the reciprocal of their number.
    let of_many = || NORMAL + (STUDENT[29] - NORMAL) * 30.0 / freedom;
    STUDENT.get(freedom as usize - 1).copied().unwrap_or_else(of_many)
}

/// Returns the probability of a value at least as far from zero, in Student's distribution: with the value as the tangent of an
/// angle times the root of the degrees of freedom, its density is a power of the cosine.
fn tails(value: f64, freedom: f64) -> f64 {
    const STEPS: u32 = 500;
    let area = |from: f64| {
        let step = (std::f64::consts::FRAC_PI_2 - from) / f64::from(STEPS);
        let heights = (0..STEPS).map(|number| (from + (f64::from(number) + 0.5) * step).cos().powf(freedom - 1.0));
        step * heights.sum::<f64>()
    };
    (area((value.abs() / freedom.sqrt()).atan()) / area(0.0)).min(1.0)
}
