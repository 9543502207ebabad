//! The conditions of children: running, being replaced after a crash, or failed.

use std::time::{Duration, Instant};

use wasmcloud_core::identity::InstanceNumber;

use super::{Change, Registry};
use crate::child::Child;
use crate::dispatch::snapshot::Condition;
use crate::lifecycle::ServiceRecord;
use crate::lifecycle::Verdict;

/// The number of times that an instance of a child that is being stopped is replaced, if it only crashes.
const LAST_RESTARTS: u32 = 3;

impl Registry {
    /// Returns whether a child has failed: it stays down until it is started again.
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
        let current = match child {
            Child::Actor(key) => self.snapshot.actors.get_mut(key).map(|actor| &mut actor.condition),
            Child::Provider(key) => self.snapshot.providers.get_mut(key).map(|provider| {
                self.changed.push(provider.changed.clone());
                // A running provider has another instance than the one that crashed.
                provider.is_down |= condition != Condition::Running;
                &mut provider.condition
            }),
        };
        if let Some(current) = current {
            *current = condition;
        }
    }

    /// Returns whether an instance is one of the child's present ones. Former instances may still finish calls.
    pub(in crate::supervisor) fn is_current(&self, child: &Child, instance: InstanceNumber) -> bool {
        match child {
            Child::Actor(key) => self.snapshot.actors.get(key).is_some_and(|actor| actor.instances.include(instance)),
            Child::Provider(key) => {
                self.snapshot.providers.get(key).is_some_and(|provider| provider.instance == instance)
            }
        }
    }

    /// Returns whether an instance is one of the child's present ones, and neither lost nor failed.
    pub(in crate::supervisor) fn is_in_service(&self, child: &Child, instance: InstanceNumber) -> bool {
        self.is_current(child, instance)
            && !self.has_failed(child)
            && self.records.get(child).is_some_and(|record| !record.lost.contains(&instance))
    }

    /// Decides about the crash of a child's instance. `in_a_row` is the number of its crashes in a row, starting at 1.
    /// `chance` is a number from 0 to 1.
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
            // Another instance of the child has failed it.
            return Verdict::Fail(reason.to_string());
        }
        let is_last = !is_current || self.changes.get(child) == Some(&Change::Stop);
        let Some(record) = self.records.get_mut(child) else {
            return Verdict::Fail("it does not run".to_owned());
        };
        if is_last && in_a_row <= LAST_RESTARTS {
            // The calls in its mailbox are still to be served, whatever its policy says.
            return Verdict::Restart { attempt: 0, delay: Duration::ZERO };
        }
        if !is_current {
            return Verdict::Fail("another instance has replaced it".to_owned());
        }
        let verdict = record.restarts.crash(now, in_a_row, chance);
        let condition = match &verdict {
            Verdict::Restart { attempt, .. } => Condition::Restarting(*attempt),
            Verdict::Fail(reason) => Condition::Failed(reason.as_str().into()),
        };
        record.lost.insert(instance);
        self.set_condition(child, condition);
        verdict
    }

    /// Counts a crash of a provider's instance, and returns the number of crashes in a row. An instance that has answered a
    /// call, or lived for a period of its policy, ends the row.
    pub(in crate::supervisor) fn count_crash(&mut self, child: &Child, service: ServiceRecord) -> u32 {
        let Some(record) = self.records.get_mut(child) else { return 1 };
        let is_proven = service.has_served || service.lived >= record.restarts.period();
        record.in_a_row = if is_proven { 1 } else { record.in_a_row.saturating_add(1) };
        record.in_a_row
    }

    /// Records that an instance of a child is lost without having crashed. It does not count against the policy.
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

    /// Records that a crashed instance has been replaced. Returns whether the child runs.
    pub(in crate::supervisor) fn recover(&mut self, child: &Child, instance: InstanceNumber) -> bool {
        if let Some(record) = self.records.get_mut(child) {
            record.lost.remove(&instance);
        }
        self.settle_condition(child)
    }

    /// Records that a child has other instances: the replacement of its former ones is no longer awaited.
    pub(super) fn forget_former_instances(&mut self, child: &Child) {
        let Some(mut lost) = self.records.get_mut(child).map(|record| std::mem::take(&mut record.lost)) else { return };
        lost.retain(|instance| self.is_current(child, *instance));
        if let Some(record) = self.records.get_mut(child) {
            record.lost = lost;
        }
        self.settle_condition(child);
    }

    /// Sets a restarted child to running, if none of its instances is lost. Returns whether it runs.
    fn settle_condition(&mut self, child: &Child) -> bool {
        let nothing_lost = self.records.get(child).is_some_and(|record| record.lost.is_empty());
        if nothing_lost && matches!(self.condition(child), Some(Condition::Restarting(_))) {
            self.set_condition(child, Condition::Running);
        }
        self.condition(child) == Some(&Condition::Running)
    }
}
