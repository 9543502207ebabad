//! HTTP requests, as the providers of HTTP count them.

use std::collections::BTreeMap;
use std::fmt;

use wasmcloud_core::durations::Durations;
use wasmcloud_provider::HttpFigures;

use super::bounded::{Figure, Summed};
use super::label::OTHER;
use super::table;
use super::targets::{Role, Targets};
use super::writer::Writer;
use crate::child::Child;

/// The statuses of HTTP that are told one by one. Actors may answer with others.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;

/// The requests of all providers so far, also of those that have ended.
#[derive(Debug, Default)]
pub(super) struct HttpRequests(Summed<Child, Requests>);

/// The requests of one provider, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Requests {
    /// By status. `None` for those that are not told one by one.
    by_status: BTreeMap<Option<u16>, u64>,
    durations: Durations,
}

impl Requests {
    fn of(figures: &HttpFigures) -> Requests {
        let mut requests = Requests { durations: figures.durations, ..Requests::default() };
        for (status, more) in &figures.requests {
            requests.add(STATUSES.contains(status).then_some(*status), *more);
        }
        requests
    }

    fn add(&mut self, status: Option<u16>, more: u64) {
        let sum = self.by_status.entry(status).or_default();
        *sum = sum.saturating_add(more);
    }
}

impl Figure for Requests {
    fn merge(&mut self, other: &Requests) {
        other.by_status.iter().for_each(|(status, more)| self.add(*status, *more));
        self.durations.merge(&other.durations);
    }

    fn is_reset_from(&self, before: &Requests) -> bool {
        let now = |status| self.by_status.get(status).copied().unwrap_or_default();
        before.by_status.iter().any(|(status, requests)| now(status) < *requests)
            || self.durations.count() < before.durations.count()
    }
}

impl HttpRequests {
    pub(super) fn write(&mut self, writer: &mut Writer<'_>, targets: &Targets) -> fmt::Result {
        let providers = targets.all.iter().filter(|target| matches!(target.role, Role::Provider { .. }));
        let figures =
            providers.map(|target| (target.child.clone(), target.reading.figures.http.as_ref().map(Requests::of)));
        let Requests { by_status, durations } = self.0.sum(figures);
        let mut family = writer.family(&table::HTTP_REQUESTS)?;
        for (status, requests) in by_status {
            let status = status.map(|status| status.to_string());
            family.counter(&[status.as_deref().unwrap_or(OTHER)], requests)?;
        }
        writer.family(&table::HTTP_DURATION)?.histogram(&[], &durations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_begins_anew_if_one_of_its_counts_has_fallen() {
        let requests = |ok, failed| Requests::of(&HttpFigures::new([(200, ok), (7, failed)], Durations::default()));
        assert!(!requests(5, 1).is_reset_from(&requests(5, 1)));
        assert!(requests(500, 0).is_reset_from(&requests(5, 1)));
        let mut sum = requests(5, 1);
        sum.merge(&requests(6, 2));
        assert_eq!(sum.by_status, BTreeMap::from([(None, 3), (Some(200), 11)]));
    }
}
