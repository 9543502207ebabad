//! The seeds of runs and of entries of faults, which all follow from that of the plan.

use sha2::{Digest, Sha256};

/// Returns the seed of a run, by its number from 0. The first run has the seed of the plan, so that a plan with the seed of any run
/// begins with that run.
pub(in crate::lab) fn seed_of_run(seed: u64, number: usize) -> u64 {
    derived("run", seed, number)
}

/// Returns the seed of an entry of faults in a run, by its number from 0. The first entry has the seed of the run.
pub(in crate::lab) fn seed_of_faults(seed: u64, number: usize) -> u64 {
    derived("faults", seed, number)
}

fn derived(of: &str, seed: u64, number: usize) -> u64 {
    if number == 0 {
        return seed;
    }
    let numbers =
        Sha256::new().chain_update(of).chain_update(seed.to_le_bytes()).chain_update((number as u64).to_le_bytes());
    let first = numbers.finalize().into_iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(byte));
    // Browsers show integers of 53 bits exactly.
    first >> 11
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn runs_and_entries_of_faults_have_seeds_of_their_own() {
        assert_eq!((seed_of_run(7, 0), seed_of_faults(7, 0)), (7, 7));
        let mut seeds = HashSet::new();
        for seed in 0..10 {
            for run in 0..10 {
                let of_run = seed_of_run(seed, run);
                let are_new = (0..10).all(|entry| seeds.insert(seed_of_faults(of_run, entry)));
                assert!(are_new, "seed {seed}, run {run}");
            }
        }
        assert!(seeds.iter().all(|seed| *seed < 1 << 53));
    }
}
