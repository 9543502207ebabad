//! The test of Wilcoxon, Mann and Whitney: it looks at the order of measurements alone, so that no distribution has to be assumed.

use super::tails;

/// The most measurements whose orders are counted. With more, their sums of ranks are taken as normal.
const MOST_COUNTED: usize = 40;

/// Returns the probability that chance puts one sample as far above another, or below it. Equal values share their ranks.
pub(super) fn chance(lower: &[f64], higher: &[f64]) -> f64 {
    let all = [lower, higher].concat();
    let of = |values: &[f64]| -> Vec<usize> { values.iter().map(|value| doubled_rank(*value, &all)).collect() };
    let ranks = of(&all);
    let sum = of(higher).iter().sum();
    let above =
        if all.len() <= MOST_COUNTED { counted(&ranks, higher.len(), sum) } else { normal(&ranks, higher.len(), sum) };
    (2.0 * above).min(1.0)
}

/// Returns the least probability that samples of these sizes can have: that of samples that do not overlap.
pub(super) fn least_chance(one: usize, other: usize) -> f64 {
    let orders: f64 = (1..=other).map(|number| (one + number) as f64 / number as f64).product();
    2.0 / orders
}

/// Returns twice the rank of a value: a mean of ranks can be a half.
fn doubled_rank(value: f64, all: &[f64]) -> usize {
    let below = all.iter().filter(|other| **other < value).count();
    let up_to = all.iter().filter(|other| **other <= value).count();
    below + up_to + 1
}

/// Returns the share of all choices of so many ranks whose sum is at least this one.
fn counted(ranks: &[usize], size: usize, sum: usize) -> f64 {
    let most: usize = ranks.iter().sum();
    // The number of choices, by how many ranks were chosen and their sum.
    let mut choices = vec![vec![0.0; most + 1]; size + 1];
    choices[0][0] = 1.0;
    for rank in ranks {
        for chosen in (1..=size).rev() {
            for sum in *rank..=most {
                choices[chosen][sum] += choices[chosen - 1][sum - rank];
            }
        }
    }
    choices[size][sum..].iter().sum::<f64>() / choices[size].iter().sum::<f64>()
}

/// Returns about the same share for many ranks.
fn normal(ranks: &[usize], size: usize, sum: usize) -> f64 {
    let (all, chosen) = (ranks.len() as f64, size as f64);
    let mean = ranks.iter().sum::<usize>() as f64 / all;
    let squares: f64 = ranks.iter().map(|rank| (*rank as f64 - mean).powi(2)).sum();
    let variance = chosen * (all - chosen) / (all * (all - 1.0)) * squares;
    let above = sum as f64 - chosen * mean;
    if variance <= 0.0 {
        return 1.0;
    }
    let both = tails(above / variance.sqrt(), all - 2.0);
    if above > 0.0 { both / 2.0 } else { 1.0 - both / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_is_the_share_of_orders() {
        let five = [1.0, 2.0, 3.0, 4.0, 5.0];
        let above = [6.0, 7.0, 8.0, 9.0, 10.0];
        // Of 252 orders, one puts all of them above, and one below.
        assert!((chance(&five, &above) - 2.0 / 252.0).abs() < 1e-12);
        assert!((least_chance(5, 5) - 2.0 / 252.0).abs() < 1e-12 && (least_chance(3, 3) - 0.1).abs() < 1e-12);
        // One more order is as extreme if two neighbours change places.
        assert!((chance(&[1.0, 2.0, 3.0, 4.0, 6.0], &[5.0, 7.0, 8.0, 9.0, 10.0]) - 4.0 / 252.0).abs() < 1e-12);
        assert_eq!(chance(&above, &five), 1.0, "what lies below is not above");
        assert_eq!(chance(&[0.0; 4], &[0.0; 4]), 1.0);
        // Two of ten have something, both on one side: that happens in 2 of 9 cases by chance, and on either side.
        assert!((chance(&[0.0; 5], &[0.0, 0.0, 0.0, 3.0, 4.0]) - 4.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn many_ranks_have_about_the_chance_that_is_counted() {
        let lower: Vec<f64> = (0..20).map(f64::from).collect();
        for shift in [2.5, 5.5, 8.5] {
            let higher: Vec<f64> = lower.iter().map(|value| value + shift).collect();
            let all = [&lower[..], &higher[..]].concat();
            let of = |values: &[f64]| -> Vec<usize> { values.iter().map(|value| doubled_rank(*value, &all)).collect() };
            let (ranks, sum) = (of(&all), of(&higher).iter().sum());
            let (exact, about) = (counted(&ranks, 20, sum), normal(&ranks, 20, sum));
            assert!((exact - about).abs() < 0.02, "{shift}: {exact} and {about}");
        }
        let (none, rare) = ([0.0; 3], [[0.0; 9].as_slice(), &[1.0]].concat().repeat(10));
        assert!(chance(&none, &rare) > 0.5, "three runs without what one of ten runs has say nothing");
    }
}
