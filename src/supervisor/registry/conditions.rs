//! How children are: running, being replaced after a crash, or down for good.

use std::time::{Duration, Instant};

use wasmcloud_core::identity::InstanceNumber;

use super::{Change, Registry};
use crate::child::Child;
use crate::dispatch::snapshot::Condition;
use crate::lifecycle::ServiceRecord;
use crate::lifecycle::Verdict;

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
            Child::Provider(key) => self.snapshot.providers.get_mut(key).map(|provider| {
                self.changed.push(provider.changed.clone());
                // One that runs is another instance than the one that crashed.
                provider.is_down |= condition != Condition::Running;
                &mut provider.condition
            }),
        };
        if let Some(place) = place {
            *place = condition;
        }
    }

    /// Whether this instance is one of those that a child has now. Former ones may still be at work.
    pub(in crate::supervisor) fn is_current(&self, child: &Child, instance: InstanceNumber) -> bool {
        match child {
            Child::Actor(key) => self.snapshot.actors.get(key).is_some_and(|actor| actor.instances.include(instance)),
            Child::Provider(key) => {
                self.snapshot.providers.get(key).is_some_and(|provider| provider.instance == instance)
            }
        }
    }

    /// Whether this instance is one of those that a child has now, and neither lost nor given up.
    pub(in crate::supervisor) fn is_in_service(&self, child: &Child, instance: InstanceNumber) -> bool {
        self.is_current(child, instance)
            && !self.has_failed(child)
            && self.records.get(child).is_some_and(|record| !record.lost.contains(&instance))
    }

    /// Decides what is to become of a child's instance that has crashed now, the how manieth time in a row. `chance` is a
    /// number from 0 to 1.
    pub(in crate::supervisor) fn crash(
        &mut self,
        child: &Child,
        instance: InstanceNumber,
        now: Instant,
        in_a_row: u32,
        chance: f64,
    ) -> Verdict {
        let is_current = self.is_current(child, instance);
        if let Some(Condition::Failed(reason)) = self.condition(child)
            && is_current
        {
            // Another instance of it has failed before.
            return Verdict::GiveUp(reason.to_string());
        }
        let is_last = !is_current || self.changes.get(child) == Some(&Change::Stop);
        let Some(record) = self.records.get_mut(child) else {
            return Verdict::GiveUp("it does not run any more".to_owned());
        };
        if is_last && in_a_row <= LAST_RESTARTS {
            // What has reached it is still to be served, whatever its policy says.
            return Verdict::Restart { attempt: 0, delay: Duration::ZERO };
        }
        if !is_current {
            return Verdict::GiveUp("another instance is in its place".to_owned());
        }
        let verdict = record.restarts.crash(now, in_a_row, chance);
        let condition = match &verdict {
            Verdict::Restart { attempt, .. } => Condition::Restarting(*attempt),
            Verdict::GiveUp(reason) => Condition::Failed(reason.as_str().into()),
        };
        record.lost.insert(instance);
        self.set_condition(child, condition);
        verdict
    }

    /// Counts a crash of a provider's instance that has done this before, and returns the how manieth in a row it is. One that
    /// has answered a call, or lived for a period of its policy, ends the row.
    pub(in crate::supervisor) fn count_crash(&mut self, child: &Child, service: ServiceRecord) -> u32 {
        let Some(record) = self.records.get_mut(child) else { return 1 };
        let is_proven = service.has_served || service.lived >= record.restarts.period();
        record.in_a_row = if is_proven { 1 } else { record.in_a_row.saturating_add(1) };
        record.in_a_row
    }

    /// Takes note that an instance of a child is not there, though it has not crashed. No policy counts that.
    pub(in crate::supervisor) fn interrupt(&mut self, child: &Child, instance: InstanceNumber) {
        if !self.is_in_service(child, instance) {
            return;
        }
        if let Some(record) = self.records.get_mut(child) {
            record.lost.insert(instance);
        }
        if self.condition(child) == Some(&Condition::Running) {
            self.set_condition(child, Condition::Restarting(0));
        }
    }

    /// Takes note that an instance that crashed has been replaced, and tells whether nothing of its child is lost any more.
    pub(in crate::supervisor) fn recover(&mut self, child: &Child, instance: InstanceNumber) -> bool {
        if let Some(record) = self.records.get_mut(child) {
            record.lost.remove(&instance);
        }
        self.settle_condition(child)
    }

    /// Takes note that a child has other instances: nobody waits for former ones any more.
    pub(super) fn forget_former(&mut self, child: &Child) {
        let Some(mut lost) = self.records.get_mut(child).map(|record| std::mem::take(&mut record.lost)) else { return };
        lost.retain(|instance| self.is_current(child, *instance));
        if let Some(record) = self.records.get_mut(child) {
            record.lost = lost;
        }
        self.settle_condition(child);
    }

    /// Has a child run that was restarted, if nothing of it is lost any more, and tells whether it runs.
    fn settle_condition(&mut self, child: &Child) -> bool {
        let nothing_lost = self.records.get(child).is_some_and(|record| record.lost.is_empty());
        if nothing_lost && matches!(self.condition(child), Some(Condition::Restarting(_))) {
            self.set_condition(child, Condition::Running);
        }
        self.condition(child) == Some(&Condition::Running)
    }
}
