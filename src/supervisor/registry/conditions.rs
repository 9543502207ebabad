//! How children are: running, being replaced after a crash, or down for good.

use std::time::{Duration, Instant};

use super::{Change, Registry};
use crate::supervisor::child::Child;
use crate::supervisor::restart::Verdict;
use crate::supervisor::snapshot::Condition;

/// How often an instance that is being stopped is replaced, if it does nothing but crash.
const LAST_RESTARTS: u32 = 3;

impl Registry {
    /// Whether a child is down for good, unless somebody starts it again.
    pub(in crate::supervisor) fn has_failed(&self, child: &Child) -> bool {
        matches!(self.condition(child), Some(Condition::Failed(_)))
    }

    pub(in crate::supervisor) fn condition(&self, child: &Child) -> Option<&Condition> {
        match child {
            Child::Actor(key) => self.snapshot.actors.get(key).map(|actor| &actor.condition),
            Child::Provider(key) => self.snapshot.providers.get(key).map(|provider| &provider.condition),
        }
    }

    fn set_condition(&mut self, child: &Child, condition: Condition) {
        let place = match child {
            Child::Actor(key) => self.snapshot.actors.get_mut(key).map(|actor| &mut actor.condition),
            Child::Provider(key) => self.snapshot.providers.get_mut(key).map(|provider| &mut provider.condition),
        };
        if let Some(place) = place {
            *place = condition;
        }
    }

    /// Decides what is to become of a child that has crashed now, the how manieth time in a row. `chance` is a number from
    /// 0 to 1.
    pub(in crate::supervisor) fn crash(&mut self, child: &Child, now: Instant, in_a_row: u32, chance: f64) -> Verdict {
        if let Some(Condition::Failed(reason)) = self.condition(child) {
            // Another instance of it has failed before.
            return Verdict::GiveUp(reason.to_string());
        }
        let Some(record) = self.records.get_mut(child) else {
            return Verdict::GiveUp("it does not run any more".to_owned());
        };
        if self.changes.get(child) == Some(&Change::Stop) && in_a_row <= LAST_RESTARTS {
            // What has reached it is still to be served, whatever its policy says.
            return Verdict::Restart { attempt: 0, delay: Duration::ZERO };
        }
        let verdict = record.restarts.crash(now, in_a_row, chance);
        let condition = match &verdict {
            Verdict::Restart { attempt, .. } => Condition::Restarting(*attempt),
            Verdict::GiveUp(reason) => Condition::Failed(reason.as_str().into()),
        };
        self.set_condition(child, condition);
        verdict
    }

    /// Takes note that a child that crashed has been replaced.
    pub(in crate::supervisor) fn recover(&mut self, child: &Child) {
        if matches!(self.condition(child), Some(Condition::Restarting(_))) {
            self.set_condition(child, Condition::Running);
        }
    }
}
