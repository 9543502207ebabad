//! Bounds the number of a metric's series. The figures of those beyond the bound are summed in one series.
//!
//! A series keeps its place for as long as there are figures for it, so that none moves into the sum or out of it. The sum only
//! grows, also when some of those that are summed end.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use wasmcloud_core::durations::Durations;

use crate::instruments::Outcomes;

/// A figure that only grows until what it belongs to starts anew.
pub(super) trait Figure: Clone + Default {
    fn merge(&mut self, other: &Self);

    /// Whether it belongs to a new start, given the figure before.
    fn is_reset_from(&self, before: &Self) -> bool;
}

impl Figure for Outcomes {
    fn merge(&mut self, other: &Outcomes) {
        Outcomes::merge(self, other);
    }

    fn is_reset_from(&self, before: &Outcomes) -> bool {
        self.calls() < before.calls()
    }
}

impl Figure for Durations {
    fn merge(&mut self, other: &Durations) {
        Durations::merge(self, other);
    }

    fn is_reset_from(&self, before: &Durations) -> bool {
        self.count() < before.count()
    }
}

/// The series of a metric.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    most: usize,
    own: HashSet<K>,
    /// The last figures of those that are summed.
    summed: HashMap<K, V>,
    /// The figures of those among them that have ended.
    ended: V,
}

/// The series that have labels of their own, and the sum of the others. `None` if there were never others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Divided<K, V> {
    pub(super) own: Vec<(K, V)>,
    pub(super) others: Option<V>,
}

impl<K: Eq + Hash + Clone, V: Figure> Bounded<K, V> {
    /// Returns the series of a metric that has at most this many, the sum of the others included.
    pub(super) fn new(most: usize) -> Bounded<K, V> {
        Bounded { most, own: HashSet::new(), summed: HashMap::new(), ended: V::default() }
    }

    /// Divides all present figures. Earlier ones in the list get the free places.
    pub(super) fn divide(&mut self, figures: Vec<(K, V)>) -> Divided<K, V> {
        let present: HashSet<K> = figures.iter().map(|(key, _)| key.clone()).collect();
        self.own.retain(|key| present.contains(key));
        let Bounded { most, own, summed, ended } = self;
        summed.retain(|key, last| {
            let remains = present.contains(key);
            if !remains {
                ended.merge(last);
            }
            remains
        });
        let mut divided = Vec::with_capacity(figures.len().min(*most));
        for (key, figure) in figures {
            if let Some(last) = summed.get_mut(&key) {
                if figure.is_reset_from(last) {
                    ended.merge(last);
                }
                *last = figure;
            } else if own.contains(&key) || own.len() + 1 < *most {
                own.insert(key.clone());
                divided.push((key, figure));
            } else {
                summed.insert(key, figure);
            }
        }
        Divided { own: divided, others: self.others() }
    }

    fn others(&self) -> Option<V> {
        let mut others = self.ended.clone();
        self.summed.values().for_each(|figure| others.merge(figure));
        let is_used = !self.summed.is_empty() || V::default().is_reset_from(&self.ended);
        is_used.then_some(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Figure for u64 {
        fn merge(&mut self, other: &u64) {
            *self += other;
        }

        fn is_reset_from(&self, before: &u64) -> bool {
            self < before
        }
    }

    fn divide(bounded: &mut Bounded<&'static str, u64>, figures: &[(&'static str, u64)]) -> (usize, Option<u64>) {
        let divided = bounded.divide(figures.to_vec());
        (divided.own.len(), divided.others)
    }

    #[test]
    fn places_are_kept_and_the_sum_only_grows() {
        let mut bounded = Bounded::new(3);
        assert_eq!(divide(&mut bounded, &[("a", 1), ("b", 2)]), (2, None));
        assert_eq!(divide(&mut bounded, &[("a", 1), ("b", 2), ("c", 10), ("d", 20)]), (2, Some(30)));
        // A free place goes to a newcomer, not to one in the sum.
        let divided = bounded.divide(vec![("b", 2), ("c", 11), ("d", 20), ("e", 5)]);
        assert_eq!(divided, Divided { own: vec![("b", 2), ("e", 5)], others: Some(31) });
        // One in the sum ends, and another one starts anew.
        assert_eq!(divide(&mut bounded, &[("b", 2), ("c", 1), ("e", 5)]), (2, Some(32)));
        assert_eq!(divide(&mut bounded, &[]), (0, Some(32)));
    }
}
