//! Bounds the number of series of calls. Those beyond the bound are summed, target by target: a host has tens of thousands of
//! them, of which a thousand have labels of their own.
//!
//! A series keeps its place for as long as its target runs, so that none moves into the sum or out of it, and the sum only grows.

use std::collections::HashMap;
use std::sync::Arc;

use super::bounded::Summed;
use super::targets::{Target, Targets};
use crate::child::Child;
use crate::instruments::{OperationReading, Outcome, Outcomes, Reading};

/// The series that have labels of their own, and those that are summed.
#[derive(Debug)]
pub(super) struct CallSeries {
    most: usize,
    known: HashMap<Child, Known>,
    /// The calls of each start of a target that are in no series of their own.
    others: Summed<(Child, u64), Outcomes>,
}

/// The series of a target.
#[derive(Debug, Default)]
struct Known {
    /// Which of its starts they are of.
    start: u64,
    operations: Vec<Option<Arc<str>>>,
    own: SeriesSet,
    summed: SeriesSet,
}

/// Series of a target: a bit for each outcome of each operation. A target has at most 17 operations.
#[derive(Debug, Clone, Copy, Default)]
struct SeriesSet(u128);

impl SeriesSet {
    fn has(self, series: u32) -> bool {
        self.0 >> series & 1 == 1
    }

    fn add(&mut self, series: u32) {
        self.0 |= 1 << series;
    }

    fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// A series with labels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnSeries<'a> {
    pub(super) child: &'a Child,
    /// `None` for all operations that are not counted one by one.
    pub(super) operation: Option<&'a str>,
    pub(super) outcome: Outcome,
    pub(super) calls: u64,
}

/// A series that is seen for the first time.
struct Newcomer<'a> {
    /// Its place among the series of its target, the largest first.
    rank: usize,
    child: &'a Child,
    series: u32,
}

impl CallSeries {
    /// Returns the series of a metric that has at most this many, the sum of the others included.
    pub(super) fn new(most: usize) -> CallSeries {
        CallSeries { most, known: HashMap::new(), others: Summed::default() }
    }

    /// Divides all calls into series with labels of their own, and the sum of the others. `None` if there were never others. The
    /// largest of each target get the free places first, so that no target leaves the others without.
    pub(super) fn divide<'a>(&mut self, targets: &'a Targets) -> (Vec<OwnSeries<'a>>, Option<Outcomes>) {
        self.known.retain(|child, _| targets.has(child));
        let mut newcomers = Vec::new();
        for target in &targets.all {
            self.known.entry(target.child.clone()).or_default().look_at(target, &mut newcomers);
        }
        newcomers.sort_by_key(|newcomer| newcomer.rank);
        let taken: usize = self.known.values().map(|known| known.own.len()).sum();
        let free = self.most.saturating_sub(taken + 1);
        for (number, Newcomer { child, series, .. }) in newcomers.into_iter().enumerate() {
            let Some(known) = self.known.get_mut(child) else { continue };
            if number < free { &mut known.own } else { &mut known.summed }.add(series);
        }
        self.read(targets)
    }

    fn read<'a>(&mut self, targets: &'a Targets) -> (Vec<OwnSeries<'a>>, Option<Outcomes>) {
        let mut own = Vec::new();
        let mut rest = Vec::new();
        for Target { child, reading, .. } in &targets.all {
            let Some(known) = self.known.get(child) else { continue };
            let mut others = Outcomes::default();
            for (series, operation, outcome, calls) in known.series(reading) {
                match known.own.has(series) {
                    true => own.push(OwnSeries { child, operation: operation.name.as_deref(), outcome, calls }),
                    false => others.add(outcome, calls),
                }
            }
            if known.summed.len() > 0 {
                rest.push(((child.clone(), known.start), Some(others)));
            }
        }
        let others = self.others.sum(rest);
        (own, self.others.is_used().then_some(others))
    }
}

impl Known {
    /// Takes note of the operations of a target, and adds the series that are new.
    fn look_at<'a>(&mut self, Target { child, reading, .. }: &'a Target, newcomers: &mut Vec<Newcomer<'a>>) {
        if self.start != reading.start {
            *self = Known { start: reading.start, ..Known::default() };
        }
        for operation in &reading.operations {
            if self.slot(operation).is_none() {
                self.operations.push(operation.name.clone());
            }
        }
        let mut ranked: Vec<(u32, u64)> = self.series(reading).map(|(series, _, _, calls)| (series, calls)).collect();
        ranked.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
        let ranked = ranked.into_iter().enumerate();
        let is_new = |series| !self.own.has(series) && !self.summed.has(series);
        newcomers.extend(ranked.filter(|(_, (series, _))| is_new(*series)).map(|(rank, (series, _))| Newcomer {
            rank,
            child,
            series,
        }));
    }

    fn slot(&self, operation: &OperationReading) -> Option<u32> {
        let slot = self.operations.iter().position(|name| *name == operation.name);
        slot.and_then(|slot| u32::try_from(slot).ok())
    }

    /// Returns the series of a target that have calls: their numbers, labels and calls.
    fn series<'a>(&self, reading: &'a Reading) -> impl Iterator<Item = (u32, &'a OperationReading, Outcome, u64)> {
        let operations = reading.operations.iter().filter_map(|operation| Some((self.slot(operation)?, operation)));
        operations.flat_map(|(slot, operation)| {
            let numbered = (slot * Outcome::ALL.len() as u32..).zip(Outcome::ALL);
            let series =
                numbered.map(move |(series, outcome)| (series, operation, outcome, operation.outcomes.of(outcome)));
            series.filter(|(_, _, _, calls)| *calls > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls of an operation with an outcome.
    type Calls = (&'static str, Outcome, u64);

    fn target(key: &str, start: u64, calls: &[Calls]) -> Target {
        let mut operations = Vec::<OperationReading>::new();
        for (name, outcome, calls) in calls {
            let name = (*name != "other").then(|| Arc::from(*name));
            let known = operations.iter().position(|operation| operation.name == name);
            let at = known.unwrap_or_else(|| {
                operations.push(OperationReading { name, outcomes: Outcomes::default() });
                operations.len() - 1
            });
            operations[at].outcomes.add(*outcome, *calls);
        }
        Target::of_test(Child::Actor(key.into()), Reading { start, operations, ..Reading::default() })
    }

    /// The series of targets by name, and the calls of the others.
    fn divide(series: &mut CallSeries, targets: Vec<Target>) -> (Vec<String>, Option<u64>) {
        let targets = Targets::of_test(targets);
        let (own, others) = series.divide(&targets);
        let name = |OwnSeries { child, operation, outcome, calls }: OwnSeries<'_>| {
            format!("{} {} {} {calls}", child.actor().unwrap(), operation.unwrap_or("other"), outcome.label())
        };
        (own.into_iter().map(name).collect(), others.map(|others| others.calls()))
    }

    #[test]
    fn the_largest_of_each_target_get_the_places_first() {
        use Outcome::{Error, Ok};
        let mut series = CallSeries::new(4);
        let busy = target("a", 1, &[("x", Ok, 9), ("y", Ok, 8), ("y", Error, 7), ("other", Ok, 6)]);
        let (own, others) = divide(&mut series, vec![busy, target("b", 2, &[("z", Ok, 1)])]);
        assert_eq!(own, ["a x ok 9", "a y ok 8", "b z ok 1"]);
        assert_eq!(others, Some(13));
    }

    #[test]
    fn places_are_kept_and_the_sum_only_grows() {
        use Outcome::Ok;
        let mut series = CallSeries::new(3);
        assert_eq!(divide(&mut series, vec![target("a", 1, &[("x", Ok, 1)])]), (vec!["a x ok 1".to_owned()], None));
        let four =
            |x| vec![target("a", 1, &[("x", Ok, x), ("y", Ok, 20)]), target("b", 2, &[("x", Ok, 5), ("y", Ok, 4)])];
        assert_eq!(divide(&mut series, four(1)), (vec!["a x ok 1".to_owned(), "a y ok 20".to_owned()], Some(9)));
        // None moves, whatever is called most.
        assert_eq!(divide(&mut series, four(900)), (vec!["a x ok 900".to_owned(), "a y ok 20".to_owned()], Some(9)));
        // A place that is free goes to a newcomer, not to one in the sum.
        let later = || target("b", 2, &[("x", Ok, 5), ("y", Ok, 6), ("z", Ok, 1)]);
        assert_eq!(divide(&mut series, vec![later()]), (vec!["b z ok 1".to_owned()], Some(11)));
        // A target that starts anew takes nothing back, also if it has more calls than before.
        let anew = target("b", 3, &[("q", Ok, 50), ("y", Ok, 40), ("x", Ok, 30)]);
        assert_eq!(divide(&mut series, vec![anew]), (vec!["b q ok 50".to_owned(), "b y ok 40".to_owned()], Some(41)));
        assert_eq!(divide(&mut series, Vec::new()), (Vec::new(), Some(41)));
    }
}
