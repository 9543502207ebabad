//! What actors and providers use, and what becomes of them.

use std::collections::HashSet;
use std::fmt;

use super::bounded::{Bounded, Divided, Figure};
use super::calls::MOST;
use super::label::OTHER;
use super::table::{self, Metric};
use super::targets::{Role, Target, Targets};
use super::writer::Writer;
use crate::child::Child;
use crate::instruments::Reading;

/// The actors and providers that have labels of their own.
#[derive(Debug)]
pub(super) struct BoundedChildren(Bounded<Child, Counts>);

/// The counts of an actor or provider.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    crashes: u64,
    restarts: u64,
    fuel: u64,
    nanoseconds: u64,
    /// The calls that took this time.
    timed: u64,
}

impl Counts {
    fn of(reading: &Reading) -> Counts {
        let Reading { latency, crashes, restarts, fuel, .. } = reading;
        Counts {
            crashes: *crashes,
            restarts: *restarts,
            fuel: *fuel,
            nanoseconds: latency.nanoseconds,
            timed: latency.count(),
        }
    }
}

impl Figure for Counts {
    fn merge(&mut self, other: &Counts) {
        self.crashes += other.crashes;
        self.restarts += other.restarts;
        self.fuel = self.fuel.saturating_add(other.fuel);
        self.nanoseconds = self.nanoseconds.saturating_add(other.nanoseconds);
        self.timed += other.timed;
    }

    fn is_reset_from(&self, before: &Counts) -> bool {
        self.crashes < before.crashes
            || self.restarts < before.restarts
            || self.fuel < before.fuel
            || self.nanoseconds < before.nanoseconds
            || self.timed < before.timed
    }
}

impl Default for BoundedChildren {
    fn default() -> BoundedChildren {
        BoundedChildren(Bounded::new(MOST))
    }
}

/// The present reading, divided.
struct Children<'a> {
    targets: &'a Targets,
    counts: Divided<Child, Counts>,
    own: HashSet<Child>,
}

impl BoundedChildren {
    pub(super) fn write(&mut self, writer: &mut Writer<'_>, targets: &Targets) -> fmt::Result {
        let counts = targets.all.iter().map(|target| (target.child.clone(), Counts::of(&target.reading)));
        let counts = self.0.divide(counts.collect());
        let own = counts.own.iter().map(|(child, _)| child.clone()).collect();
        Children { targets, counts, own }.write(writer)
    }
}

impl Children<'_> {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        self.call_time(writer)?;
        self.counter(writer, &table::TIMED_CALLS, |_, counts| Some(counts.timed))?;
        self.gauge(writer, &table::IN_FLIGHT, |target| Some(target.reading.in_flight))?;
        self.gauge(writer, &table::MAILBOX, |target| of_actor(target, target.reading.mailbox))?;
        self.gauge(writer, &table::MAILBOX_CAPACITY, |target| match target.role {
            Role::Actor { capacity, .. } => Some(capacity as u64),
            Role::Provider { .. } => None,
        })?;
        self.instances(writer)?;
        self.counter(writer, &table::CRASHES, |_, counts| Some(counts.crashes))?;
        self.counter(writer, &table::RESTARTS, |_, counts| Some(counts.restarts))?;
        self.gauge(writer, &table::FAILED, |target| Some(target.has_failed.into()))?;
        self.gauge(writer, &table::DISTRUSTED, |target| Some(target.is_distrusted.into()))?;
        self.counter(writer, &table::FUEL, |child, counts| {
            matches!(child, Some(Child::Actor(_)) | None).then_some(counts.fuel)
        })?;
        self.gauge(writer, &table::MEMORY, |target| of_actor(target, target.reading.memory_bytes))
    }

    fn call_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let mut family = writer.family(&table::CALL_TIME)?;
        for (child, counts) in &self.counts.own {
            family.seconds(&[self.targets.label(child)], counts.nanoseconds as f64 / 1e9)?;
        }
        let Some(others) = &self.counts.others else { return Ok(()) };
        family.seconds(&[OTHER], others.nanoseconds as f64 / 1e9)
    }

    /// Writes a counter. Its closure gets no child for the sum of the others.
    fn counter(
        &self,
        writer: &mut Writer<'_>,
        metric: &Metric,
        count: impl Fn(Option<&Child>, &Counts) -> Option<u64>,
    ) -> fmt::Result {
        let mut family = writer.family(metric)?;
        for (child, counts) in &self.counts.own {
            if let Some(count) = count(Some(child), counts) {
                family.counter(&[self.targets.label(child)], count)?;
            }
        }
        let others = self.counts.others.as_ref().and_then(|others| count(None, others));
        others.map_or(Ok(()), |others| family.counter(&[OTHER], others))
    }

    /// Writes a gauge of those targets that its closure has a value for.
    fn gauge(&self, writer: &mut Writer<'_>, metric: &Metric, value: impl Fn(&Target) -> Option<u64>) -> fmt::Result {
        let mut family = writer.family(metric)?;
        let mut others = 0;
        for target in &self.targets.all {
            match value(target) {
                Some(value) if self.own.contains(&target.child) => family.gauge(&[&target.label], value)?,
                Some(value) => others += value,
                None => {}
            }
        }
        if self.counts.others.is_none() { Ok(()) } else { family.gauge(&[OTHER], others) }
    }

    /// Writes the instances of actors. Those of the others are counted as running.
    fn instances(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let mut family = writer.family(&table::INSTANCES)?;
        let mut others = 0;
        for target in &self.targets.all {
            let Role::Actor { instances, state, .. } = &target.role else { continue };
            if self.own.contains(&target.child) {
                family.gauge(&[&target.label, state], *instances as u64)?;
            } else {
                others += *instances as u64;
            }
        }
        if self.counts.others.is_none() { Ok(()) } else { family.gauge(&[OTHER, OTHER], others) }
    }
}

fn of_actor(target: &Target, value: u64) -> Option<u64> {
    matches!(target.role, Role::Actor { .. }).then_some(value)
}
