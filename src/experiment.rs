//! Experiments: planned faults in an actor or provider, to observe its supervision.
//!
//! # Layout
//! - [`Experiment`], [`InjectedFault`]: the plan, and the fault for each call (pure)
//! - `random`: reproducible random numbers (pure)
//! - `running`: the experiments of a host

mod random;
pub(crate) mod running;

use std::ops::RangeInclusive;
use std::time::Duration;

/// A plan of faults for one actor or provider.
///
/// Calls are numbered from 1, over all instances of an actor, and the numbering continues after a restart. The fault of a
/// call depends on the seed and the number of the call alone: the same plan injects the same faults into the same calls,
/// whatever their timing. If several rules apply to a call, the rule that was added first does.
///
/// A fault takes the same path as a real one. [`EventKind::Injected`](crate::EventKind::Injected) precedes it.
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

/// A fault that an experiment injects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InjectedFault {
    /// An instance of the actor traps, or the provider panics, before it serves the call.
    Crash {
        /// The number of the call.
        call: u64,
    },
    /// The call is lost, and ends at its deadline.
    Drop {
        /// The number of the call.
        call: u64,
    },
    /// The call is delayed.
    Delay {
        /// The number of the call.
        call: u64,
        /// The delay.
        delay: Duration,
    },
    /// The start of an instance of the actor, or of the provider, is delayed.
    SlowStart {
        /// The delay.
        delay: Duration,
    },
}

/// A rule of an experiment.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    trigger: Trigger,
    fault: PlannedFault,
}

/// The calls that a rule applies to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trigger {
    Nth(u64),
    Every(u64),
    Probability(f64),
}

/// The fault of a rule.
#[derive(Debug, Clone, PartialEq)]
enum PlannedFault {
    Crash,
    Drop,
    Delay(RangeInclusive<Duration>),
}

impl Experiment {
    /// Returns a plan without faults. The seed determines all random choices.
    #[must_use]
    pub fn seeded(seed: u64) -> Experiment {
        Experiment { seed, rules: Vec::new(), slow_start: Duration::ZERO }
    }

    /// Crashes the call with this number: an instance of the actor traps, or the provider panics, before it serves the
    /// call. The caller gets `ActorTrapped` or `ProviderPanicked`.
    #[must_use]
    pub fn crash_nth(self, call: u64) -> Experiment {
        self.plan(Trigger::Nth(call), PlannedFault::Crash)
    }

    /// Crashes each call whose number is a multiple of this one, as [`Experiment::crash_nth`] does. 0 crashes no call.
    #[must_use]
    pub fn crash_every(self, calls: u64) -> Experiment {
        self.plan(Trigger::Every(calls), PlannedFault::Crash)
    }

    /// Crashes each call with this probability, from 0 to 1, as [`Experiment::crash_nth`] does.
    #[must_use]
    pub fn crash_with_probability(self, probability: f64) -> Experiment {
        self.plan(Trigger::Probability(probability), PlannedFault::Crash)
    }

    /// Loses the call with this number before it is served. The caller gets `DeadlineExceeded` at the call's deadline. An
    /// actor continues with the next call; for a provider, the call is in progress until then.
    #[must_use]
    pub fn drop_nth(self, call: u64) -> Experiment {
        self.plan(Trigger::Nth(call), PlannedFault::Drop)
    }

    /// Loses each call with this probability, from 0 to 1, as [`Experiment::drop_nth`] does.
    #[must_use]
    pub fn drop_with_probability(self, probability: f64) -> Experiment {
        self.plan(Trigger::Probability(probability), PlannedFault::Drop)
    }

    /// Delays each call with this probability, from 0 to 1, by a random time from the range. A delay beyond the call's
    /// deadline has the usual effect: the call fails at its deadline, and an actor's instance is replaced.
    #[must_use]
    pub fn delay(self, by: RangeInclusive<Duration>, probability: f64) -> Experiment {
        self.plan(Trigger::Probability(probability), PlannedFault::Delay(by))
    }

    /// Delays each start and restart of the provider, or of an instance of the actor, by this time.
    #[must_use]
    pub fn slow_start(mut self, by: Duration) -> Experiment {
        self.slow_start = by;
        self
    }

    /// Returns the fault for the call with this number, if any.
    pub fn fault_of(&self, call: u64) -> Option<InjectedFault> {
        let chance = |rule: usize, draw| random::random_fraction(self.seed, rule as u64, call, draw);
        let (number, rule) =
            self.rules.iter().enumerate().find(|(number, rule)| rule.trigger.includes(call, chance(*number, 0)))?;
        Some(match &rule.fault {
            PlannedFault::Crash => InjectedFault::Crash { call },
            PlannedFault::Drop => InjectedFault::Drop { call },
            PlannedFault::Delay(by) => InjectedFault::Delay { call, delay: interpolate(by, chance(number, 1)) },
        })
    }

    /// Returns the fault for each start, if any.
    fn fault_of_start(&self) -> Option<InjectedFault> {
        (!self.slow_start.is_zero()).then_some(InjectedFault::SlowStart { delay: self.slow_start })
    }

    fn plan(mut self, trigger: Trigger, fault: PlannedFault) -> Experiment {
        self.rules.push(Rule { trigger, fault });
        self
    }
}

impl Trigger {
    /// Returns whether it includes a call. `chance` is a number from 0 up to, but not including, 1.
    fn includes(self, call: u64, chance: f64) -> bool {
        match self {
            Trigger::Nth(nth) => call == nth,
            Trigger::Every(calls) => calls != 0 && call.is_multiple_of(calls),
            Trigger::Probability(probability) => chance < probability,
        }
    }
}

/// Returns the time at `chance`, from 0 to 1, within a range. An empty range is its start.
fn interpolate(range: &RangeInclusive<Duration>, chance: f64) -> Duration {
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
    fn an_empty_range_is_its_start() {
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
            // Seven times the expected deviation of 2,000 draws.
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
