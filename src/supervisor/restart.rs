//! Restart policies: how often and how soon crashed children are restarted. The terms are those of Erlang/OTP's
//! supervisors.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::lifecycle::Verdict;

/// The conditions under which an actor or provider is restarted. The names are those of Erlang/OTP's restart types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Restart {
    /// Restarts it whenever it ends without having been stopped. The default.
    #[default]
    Permanent,
    /// Restarts it after a crash, but not after it ended of its own accord, as a provider can.
    Transient,
    /// Never restarts it: its first crash is its failure.
    Temporary,
}

/// The policy by which an actor or provider is restarted after crashes.
///
/// A child that has answered a call since its last restart is restarted at once. Further crashes without an answer in
/// between are followed by a delay that doubles each time, up to a maximum. Chance shortens each delay by up to a half, so
/// that children that crash together do not restart together. A child that crashes more often in a row, or more often
/// within a period, than its policy allows is [`Failed`](crate::EventKind::Failed) until it is started again.
///
/// A guest whose deadline passes while it waits for others has not crashed. It is
/// [`Interrupted`](crate::EventKind::Interrupted) and replaced at once, and does not count against the policy.
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_host::{ActorOptions, RestartPolicy};
///
/// let patient = RestartPolicy::new().intensity(5, Duration::from_secs(60)).delays(Duration::from_secs(1), Duration::from_secs(30));
/// let options = ActorOptions::new().restart(patient);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    restart: Restart,
    pub(crate) intensity: u32,
    pub(crate) period: Duration,
    in_a_row: u32,
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

impl RestartPolicy {
    /// Returns the default policy. It keeps an actor running if one call in a few makes it crash, and fails an actor that
    /// only crashes.
    pub fn new() -> RestartPolicy {
        RestartPolicy {
            restart: Restart::Permanent,
            intensity: 10_000,
            period: Duration::from_secs(10),
            in_a_row: 100,
            shortest: Duration::from_millis(1),
            longest: Duration::from_millis(100),
        }
    }

    /// Sets the conditions of restarts. Default: [`Restart::Permanent`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> RestartPolicy {
        self.restart = restart;
        self
    }

    /// Sets the maximum number of restarts within a period, over all instances together. Default: 10,000 in 10 s.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> RestartPolicy {
        self.intensity = restarts;
        self.period = period;
        self
    }

    /// Sets the maximum number of crashes of an instance in a row, without an answer in between. Default: 100.
    #[must_use]
    pub fn in_a_row(mut self, crashes: u32) -> RestartPolicy {
        self.in_a_row = crashes;
        self
    }

    /// Sets the delay before the restart after the second crash in a row, and the longest delay. Default: 1 ms and 100
    /// ms.
    #[must_use]
    pub fn delays(mut self, second: Duration, longest: Duration) -> RestartPolicy {
        self.shortest = second;
        self.longest = longest;
        self
    }

    /// Returns the longest delay before the restart after this number of crashes in a row.
    fn delay(&self, in_a_row: u32) -> Duration {
        match in_a_row {
            0 | 1 => Duration::ZERO,
            _ => {
                let factor = 2_u32.checked_pow(in_a_row - 2).unwrap_or(u32::MAX);
                self.shortest.saturating_mul(factor).min(self.longest)
            }
        }
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        RestartPolicy::new()
    }
}

/// The restarts of one child.
#[derive(Debug)]
pub(super) struct Restarts {
    policy: RestartPolicy,
    /// The times of the restarts within the last period.
    recent: VecDeque<Instant>,
}

impl Restarts {
    pub(super) fn new(policy: RestartPolicy) -> Restarts {
        Restarts { policy, recent: VecDeque::new() }
    }

    /// Returns the period that restarts are counted in.
    pub(super) fn period(&self) -> Duration {
        self.policy.period
    }

    /// Decides about a crash. `in_a_row` is the number of crashes in a row, starting at 1. `chance` is a number from 0
    /// to 1.
    pub(super) fn crash(&mut self, now: Instant, in_a_row: u32, chance: f64) -> Verdict {
        let RestartPolicy { restart, intensity, period, in_a_row: most, .. } = self.policy;
        if restart == Restart::Temporary {
            return Verdict::Fail("it is temporary, so it is not restarted".to_owned());
        }
        if in_a_row > most {
            return Verdict::Fail(format!("it crashed more often than {most} times in a row"));
        }
        while self.recent.front().is_some_and(|&then| now.saturating_duration_since(then) >= period) {
            self.recent.pop_front();
        }
        if self.recent.len() >= intensity as usize {
            return Verdict::Fail(format!("it crashed more often than {intensity} times in {period:?}"));
        }
        self.recent.push_back(now);
        // The length is at most the intensity, which has 32 bits.
        let attempt = self.recent.len() as u32;
        let delay = self.policy.delay(in_a_row).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0);
        Verdict::Restart { attempt, delay }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_period_sees_more_restarts_than_the_intensity(
            intensity in 0_u32..6,
            period in 1_u64..1000,
            gaps in proptest::collection::vec((0_u64..400, 0.0..=1.0), 0..80),
        ) {
            let policy = RestartPolicy::new().intensity(intensity, Duration::from_millis(period)).in_a_row(u32::MAX);
            let mut restarts = Restarts::new(policy);
            let (begin, mut elapsed, mut restarted) = (Instant::now(), 0, Vec::<u64>::new());
            for (gap, chance) in gaps {
                elapsed += gap;
                let within = restarted.iter().filter(|&&then| elapsed - then < period).count();
                let in_a_row = within as u32 + 1;
                match restarts.crash(begin + Duration::from_millis(elapsed), in_a_row, chance) {
                    Verdict::Restart { attempt, delay } => {
                        prop_assert!(within < intensity as usize);
                        prop_assert_eq!(attempt as usize, within + 1);
                        prop_assert!(delay <= policy.longest);
                        prop_assert!(attempt > 1 || delay.is_zero());
                        restarted.push(elapsed);
                    }
                    Verdict::Fail(_) => prop_assert_eq!(within, intensity as usize),
                }
            }
        }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let policy = RestartPolicy::new().delays(Duration::from_millis(10), Duration::from_millis(35));
        let delays: Vec<u128> = (1..=6).map(|attempt| policy.delay(attempt).as_millis()).collect();
        assert_eq!(delays, [0, 10, 20, 35, 35, 35]);
        assert_eq!(policy.delay(u32::MAX), Duration::from_millis(35));
        let mut restarts = Restarts::new(policy);
        restarts.crash(Instant::now(), 1, 0.0);
        let delay = Duration::from_millis(5);
        assert_eq!(restarts.crash(Instant::now(), 2, 1.0), Verdict::Restart { attempt: 2, delay });
    }

    #[test]
    fn a_child_that_only_crashes_fails() {
        let mut restarts = Restarts::new(RestartPolicy::new().in_a_row(3));
        assert!((1..=3).all(|row| matches!(restarts.crash(Instant::now(), row, 0.0), Verdict::Restart { .. })));
        assert!(matches!(restarts.crash(Instant::now(), 1, 0.0), Verdict::Restart { .. }));
        assert!(matches!(restarts.crash(Instant::now(), 4, 0.0), Verdict::Fail(_)));
    }

    #[test]
    fn what_is_temporary_is_never_restarted() {
        let mut restarts = Restarts::new(RestartPolicy::new().restart(Restart::Temporary));
        assert!(matches!(restarts.crash(Instant::now(), 1, 0.0), Verdict::Fail(_)));
    }
}
