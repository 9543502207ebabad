//! Reproducible random numbers. Each depends on its inputs alone, so they are the same in any order.

/// Returns a number from 0 up to, but not including, 1: the `draw`th of a rule for a call.
pub(super) fn random_fraction(seed: u64, rule: u64, call: u64, draw: u64) -> f64 {
    let bits = [rule, call, draw].into_iter().fold(mix(seed), |bits, part| mix(bits ^ mix(part)));
    // An f64 has 53 bits of precision.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns the next number of the generator SplitMix64: each bit of the result depends on each bit of the argument.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers of SplitMix64 with the seed 1234567, by its authors.
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(mix(1_234_567_u64.wrapping_add(step)), 3_203_168_211_198_807_973);
    }

    #[test]
    fn each_part_matters() {
        let draws = [
            random_fraction(1, 2, 3, 4),
            random_fraction(2, 2, 3, 4),
            random_fraction(1, 3, 3, 4),
            random_fraction(1, 2, 4, 4),
            random_fraction(1, 2, 3, 5),
        ];
        for (number, one) in draws.iter().enumerate() {
            assert!((0.0..1.0).contains(one));
            assert!(draws.iter().skip(number + 1).all(|other| other != one));
        }
    }
}
