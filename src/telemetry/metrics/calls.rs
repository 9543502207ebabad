//! Calls by target, operation and outcome, and how long they took.

use std::collections::BTreeMap;
use std::fmt;

use wasmcloud_core::durations::{BUCKETS, Durations};

use super::bounded::{Bounded, Divided, Summed};
use super::call_series::{CallSeries, OwnSeries};
use super::label::{ABSENT, OTHER};
use super::table;
use super::targets::{Role, Targets};
use super::writer::Writer;
use crate::child::Child;
use crate::instruments::{Outcome, Outcomes};

/// The most series of a metric.
pub(super) const MOST: usize = 1_000;

/// The most series of calls that have labels of their own. Those that are absent are among the others.
const MOST_CALLS: usize = MOST - 2 * Outcome::ALL.len() + 1;

/// The maximum number of histograms of a metric. A histogram is a series for each bucket, one for the sum and one for the count.
const MOST_HISTOGRAMS: usize = MOST / (BUCKETS + 2);

/// The series of calls that have labels of their own.
#[derive(Debug)]
pub(super) struct BoundedCalls {
    calls: CallSeries,
    durations: Bounded<Child, Durations>,
    contracts: Bounded<String, Durations>,
    /// The providers of each contract that has any.
    providers: BTreeMap<String, Summed<Child, Durations>>,
}

impl Default for BoundedCalls {
    fn default() -> BoundedCalls {
        BoundedCalls {
            calls: CallSeries::new(MOST_CALLS),
            durations: Bounded::new(MOST_HISTOGRAMS),
            contracts: Bounded::new(MOST_HISTOGRAMS),
            providers: BTreeMap::new(),
        }
    }
}

impl BoundedCalls {
    pub(super) fn write(&mut self, writer: &mut Writer<'_>, targets: &Targets, absent: Outcomes) -> fmt::Result {
        self.write_calls(writer, targets, absent)?;
        self.write_durations(writer, targets)?;
        self.write_contracts(writer, targets)
    }

    fn write_calls(&mut self, writer: &mut Writer<'_>, targets: &Targets, absent: Outcomes) -> fmt::Result {
        let (own, others) = self.calls.divide(targets);
        let mut family = writer.family(&table::CALLS)?;
        for OwnSeries { child, operation, outcome, calls } in own {
            family.counter(&[targets.label(child), operation.unwrap_or(OTHER), outcome.label()], calls)?;
        }
        for outcome in Outcome::ALL {
            family.counter(&[ABSENT, OTHER, outcome.label()], absent.of(outcome))?;
            if let Some(others) = others {
                family.counter(&[OTHER, OTHER, outcome.label()], others.of(outcome))?;
            }
        }
        Ok(())
    }

    fn write_durations(&mut self, writer: &mut Writer<'_>, targets: &Targets) -> fmt::Result {
        let timed = targets.all.iter().filter(|target| target.reading.latency.count() > 0);
        let figures = timed.map(|target| (target.child.clone(), target.reading.latency));
        let Divided { own, others } = self.durations.divide(figures.collect());
        let mut family = writer.family(&table::CALL_DURATION)?;
        for (child, durations) in own {
            family.histogram(&[targets.label(&child)], &durations)?;
        }
        others.map_or(Ok(()), |others| family.histogram(&[OTHER], &others))
    }

    fn write_contracts(&mut self, writer: &mut Writer<'_>, targets: &Targets) -> fmt::Result {
        let contracts = self.sum_by_contract(targets);
        let Divided { own, others } = self.contracts.divide(contracts);
        let mut family = writer.family(&table::PROVIDER_CALL_DURATION)?;
        for (contract, durations) in own {
            family.histogram(&[&contract], &durations)?;
        }
        others.map_or(Ok(()), |others| family.histogram(&[OTHER], &others))
    }
}

impl BoundedCalls {
    /// Sums the times of the providers of each contract. Those of a provider that ends stay in the sum as long as another one
    /// serves its contract.
    fn sum_by_contract(&mut self, targets: &Targets) -> Vec<(String, Durations)> {
        let mut present = BTreeMap::<&str, Vec<_>>::new();
        for target in &targets.all {
            if let Role::Provider { contract } = &target.role {
                present.entry(contract).or_default().push((target.child.clone(), Some(target.reading.latency)));
            }
        }
        self.providers.retain(|contract, _| present.contains_key(contract.as_str()));
        let sum = |(contract, times): (&str, Vec<_>)| {
            (contract.to_owned(), self.providers.entry(contract.to_owned()).or_default().sum(times))
        };
        present.into_iter().map(sum).collect()
    }
}
