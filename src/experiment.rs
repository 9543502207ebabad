//! Experiments: faults that happen to an actor or provider on purpose, by a plan, to see what its supervision makes of them.
//!
//! # Layout
//! - [`Experiment`], [`InjectedFault`]: the plan, and what it does to which call (pure)
//! - `chance`: the numbers that a seed stands for (pure)
//! - `running`: the experiments of a host, and how far they have come

mod chance;
pub(crate) mod running;

use std::ops::RangeInclusive;
use std::time::Duration;

/// A plan of faults for one actor or provider.
///
/// The calls that reach it are numbered from 1 on, those to all instances of an actor together, and the count goes on when
/// it is restarted. What happens to a call depends on the seed and on its number alone: the same plan does the same to
/// the same calls, however they are spread over time. Of several faults that are planned for one call, the one that was
/// planned first happens.
///
/// Each fault goes the way of a real one, and is told as [`EventKind::Injected`](crate::EventKind::Injected) before it
/// happens.
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_host::{Experiment, InjectedFault};
///
/// let experiment = Experiment::seeded(7).crash_nth(3).delay(Duration::from_millis(1)..=Duration::from_millis(5), 0.5);
/// assert_eq!(experiment.fault_of(3), Some(InjectedFault::Crash { call: 3 }));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    seed: u64,
    rules: Vec<Rule>,
    slow_start: Duration,
}

/// What an experiment did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InjectedFault {
    /// An instance of the actor trapped, or the provider panicked, when it was to serve a call.
    Crash {
        /// The number of the call.
        call: u64,
    },
    /// A call was lost on its way: it ends by its deadline.
    Drop {
        /// The number of the call.
        call: u64,
    },
    /// A call took longer.
    Delay {
        /// The number of the call.
        call: u64,
        /// How much longer.
        delay: Duration,
    },
    /// The making of an instance of the actor, or of the provider, took longer.
    SlowStart {
        /// How much longer.
        delay: Duration,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    when: When,
    what: What,
}

/// Which calls a fault happens to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Nth(u64),
    Every(u64),
    Probability(f64),
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Crash,
    Drop,
    Delay(RangeInclusive<Duration>),
}

impl Experiment {
    /// A plan without faults so far. Whatever in it is left to chance follows from the seed.
    pub fn seeded(seed: u64) -> Experiment {
        Experiment { seed, rules: Vec::new(), slow_start: Duration::ZERO }
    }

    /// The call of this number makes an instance of the actor trap, or the provider panic, before it is served. Its caller is
    /// told `ActorTrapped` or `ProviderPanicked`.
    pub fn crash_nth(self, call: u64) -> Experiment {
        self.plan(When::Nth(call), What::Crash)
    }

    /// Each call whose number can be divided by this one crashes, as with [`Experiment::crash_nth`]; none for 0.
    pub fn crash_every(self, calls: u64) -> Experiment {
        self.plan(When::Every(calls), What::Crash)
    }

    /// Each call crashes with this probability, from 0 to 1, as with [`Experiment::crash_nth`].
    pub fn crash_with_probability(self, probability: f64) -> Experiment {
        self.plan(When::Probability(probability), What::Crash)
    }

    /// The call of this number is lost before it is served: its caller is told `DeadlineExceeded` when its time is up. An actor
    /// goes on with the next call; a provider has it under way until then.
    pub fn drop_nth(self, call: u64) -> Experiment {
        self.plan(When::Nth(call), What::Drop)
    }

    /// Each call is lost with this probability, from 0 to 1, as with [`Experiment::drop_nth`].
    pub fn drop_with_probability(self, probability: f64) -> Experiment {
        self.plan(When::Probability(probability), What::Drop)
    }

    /// Each call takes longer with this probability, from 0 to 1, by a time that chance takes from the range. An actor that
    /// is not done in time for it is dealt with as always: the call ends by its deadline, and the instance is replaced.
    pub fn delay(self, by: RangeInclusive<Duration>, probability: f64) -> Experiment {
        self.plan(When::Probability(probability), What::Delay(by))
    }

    /// Each start takes so much longer: of every instance of an actor, or of a provider, and each restart too.
    pub fn slow_start(mut self, by: Duration) -> Experiment {
        self.slow_start = by;
        self
    }

    /// What is planned for the call of this number, if anything is.
    pub fn fault_of(&self, call: u64) -> Option<InjectedFault> {
        let chance = |rule: usize, draw| chance::draw(self.seed, rule as u64, call, draw);
        let (number, rule) =
            self.rules.iter().enumerate().find(|(number, rule)| rule.when.includes(call, chance(*number, 0)))?;
        Some(match &rule.what {
            What::Crash => InjectedFault::Crash { call },
            What::Drop => InjectedFault::Drop { call },
            What::Delay(by) => InjectedFault::Delay { call, delay: within(by, chance(number, 1)) },
        })
    }

    /// What is planned for each start, if anything is.
    fn fault_of_start(&self) -> Option<InjectedFault> {
        (!self.slow_start.is_zero()).then_some(InjectedFault::SlowStart { delay: self.slow_start })
    }

    fn plan(mut self, when: When, what: What) -> Experiment {
        self.rules.push(Rule { when, what });
        self
    }
}

impl When {
    /// Whether a call is one of them. `chance` is a number from 0 up to, but not including, 1.
    fn includes(self, call: u64, chance: f64) -> bool {
        match self {
            When::Nth(nth) => call == nth,
            When::Every(calls) => calls != 0 && call.is_multiple_of(calls),
            When::Probability(probability) => chance < probability,
        }
    }
}

/// The time that stands where `chance` does between 0 and 1. A range that ends before it begins is its beginning.
fn within(range: &RangeInclusive<Duration>, chance: f64) -> Duration {
    let width = range.end().saturating_sub(*range.start());
    range.start().saturating_add(width.mul_f64(chance))
}

impl std::fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InjectedFault::Crash { call } => write!(f, "an experiment's crash in call {call}"),
            InjectedFault::Drop { call } => write!(f, "call {call} lost by an experiment"),
            InjectedFault::Delay { call, delay } => write!(f, "call {call} delayed by {delay:?} for an experiment"),
            InjectedFault::SlowStart { delay } => write!(f, "a start delayed by {delay:?} for an experiment"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn of_several_faults_the_one_planned_first_happens() {
        let experiment = Experiment::seeded(1).drop_nth(6).crash_every(3).delay(milliseconds(1)..=milliseconds(1), 1.0);
        let delayed = |call| Some(InjectedFault::Delay { call, delay: milliseconds(1) });
        assert_eq!(experiment.fault_of(1), delayed(1));
        assert_eq!(experiment.fault_of(3), Some(InjectedFault::Crash { call: 3 }));
        assert_eq!(experiment.fault_of(6), Some(InjectedFault::Drop { call: 6 }));
        assert_eq!(experiment.fault_of(7), delayed(7));
    }

    #[test]
    fn a_plan_without_faults_and_one_for_no_call_do_nothing() {
        for experiment in [
            Experiment::seeded(1),
            Experiment::seeded(1).crash_nth(0).crash_every(0),
            Experiment::seeded(1).crash_with_probability(0.0).drop_with_probability(-1.0),
            Experiment::seeded(1).crash_with_probability(f64::NAN),
        ] {
            assert!((1..1000).all(|call| experiment.fault_of(call).is_none()), "{experiment:?}");
            assert_eq!(experiment.fault_of_start(), None);
        }
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_its_beginning() {
        #[allow(clippy::reversed_empty_ranges, reason = "what is tested is that this does no harm")]
        let experiment = Experiment::seeded(1).delay(milliseconds(5)..=milliseconds(1), 1.0);
        assert_eq!(experiment.fault_of(1), Some(InjectedFault::Delay { call: 1, delay: milliseconds(5) }));
        let longest = Experiment::seeded(1).delay(Duration::MAX..=Duration::MAX, 1.0);
        assert_eq!(longest.fault_of(1), Some(InjectedFault::Delay { call: 1, delay: Duration::MAX }));
    }

    proptest! {
        #[test]
        fn a_plan_depends_on_seed_and_number_alone(seed: u64, calls in proptest::collection::vec(any::<u64>(), 1..50)) {
            let plan = || {
                Experiment::seeded(seed)
                    .crash_with_probability(0.3)
                    .drop_with_probability(0.3)
                    .delay(milliseconds(1)..=milliseconds(9), 0.5)
            };
            let asked_in_order: Vec<_> = calls.iter().map(|&call| plan().fault_of(call)).collect();
            let (same_plan, mut asked_backwards) = (plan(), Vec::new());
            asked_backwards.extend(calls.iter().rev().map(|&call| same_plan.fault_of(call)));
            asked_backwards.reverse();
            prop_assert_eq!(asked_in_order, asked_backwards);
        }

        #[test]
        fn probabilities_and_ranges_are_kept(seed: u64, percent in 0_u32..=100, shortest in 0_u64..50, width in 0_u64..50) {
            let range = milliseconds(shortest)..=milliseconds(shortest + width);
            let probability = f64::from(percent) / 100.0;
            let experiment = Experiment::seeded(seed).delay(range.clone(), probability);
            let faults: Vec<_> = (1..=2000).filter_map(|call| experiment.fault_of(call)).collect();
            let share = faults.len() as f64 / 2000.0;
            // Seven times the deviation that 2,000 draws are to be expected to have.
            prop_assert!((share - probability).abs() < 0.08, "{} instead of {}", share, probability);
            for fault in faults {
                let InjectedFault::Delay { delay, .. } = fault else { panic!("{fault}") };
                prop_assert!(range.contains(&delay));
            }
        }

        #[test]
        fn other_seeds_make_other_plans(seed: u64) {
            let faults = |seed| -> Vec<bool> {
                let experiment = Experiment::seeded(seed).crash_with_probability(0.5);
                (1..=200).map(|call| experiment.fault_of(call).is_some()).collect()
            };
            prop_assert_ne!(faults(seed), faults(seed.wrapping_add(1)));
        }
    }
}
