//! Bounds the number of a metric's series. The figures of those beyond the bound are summed in one series.
//!
//! A series keeps its place for as long as there are figures for it, so that none moves into the sum or out of it. A sum only
//! grows, also when some of those that are summed end: Prometheus takes a counter that falls for one that has begun anew.

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

/// A sum of figures that does not fall while some of those that it is made of end.
#[derive(Debug)]
pub(super) struct Summed<K, V> {
    /// The last figures of those that are there.
    last: HashMap<K, V>,
    /// The figures of those that have ended.
    ended: V,
}

impl<K, V: Default> Default for Summed<K, V> {
    fn default() -> Self {
        Summed { last: HashMap::new(), ended: V::default() }
    }
}

impl<K: Eq + Hash, V: Figure> Summed<K, V> {
    /// Replaces all figures, and returns their sum. One that is there without figures keeps its last.
    pub(super) fn sum(&mut self, figures: impl IntoIterator<Item = (K, Option<V>)>) -> V {
        let mut before = std::mem::take(&mut self.last);
        for (key, figure) in figures {
            match (figure, before.remove(&key)) {
                (Some(figure), Some(last)) => self.replace(key, last, figure),
                (Some(figure), None) | (None, Some(figure)) => drop(self.last.insert(key, figure)),
                (None, None) => {}
            }
        }
        before.values().for_each(|last| self.ended.merge(last));
        self.total()
    }

    fn replace(&mut self, key: K, last: V, figure: V) {
        if figure.is_reset_from(&last) {
            self.ended.merge(&last);
        }
        self.last.insert(key, figure);
    }

    fn total(&self) -> V {
        let mut total = self.ended.clone();
        self.last.values().for_each(|figure| total.merge(figure));
        total
    }

    /// Returns whether there was ever something to sum.
    pub(super) fn is_used(&self) -> bool {
        !self.last.is_empty() || V::default().is_reset_from(&self.ended)
    }
}

/// The series of a metric.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    most: usize,
    own: HashSet<K>,
    others: Summed<K, V>,
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
        Bounded { most, own: HashSet::new(), others: Summed::default() }
    }

    /// Divides all present figures. Earlier ones in the list get the free places.
    pub(super) fn divide(&mut self, figures: Vec<(K, V)>) -> Divided<K, V> {
        let present: HashSet<K> = figures.iter().map(|(key, _)| key.clone()).collect();
        let Bounded { most, own, others } = self;
        own.retain(|key| present.contains(key));
        let mut divided = Vec::with_capacity(figures.len().min(*most));
        let mut rest = Vec::new();
        for (key, figure) in figures {
            let is_summed = others.last.contains_key(&key);
            if !is_summed && (own.contains(&key) || own.len() + 1 < *most) {
                own.insert(key.clone());
                divided.push((key, figure));
            } else {
                rest.push((key, Some(figure)));
            }
        }
        let sum = others.sum(rest);
        Divided { own: divided, others: others.is_used().then_some(sum) }
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

    #[test]
    fn a_sum_never_falls() {
        let mut summed = Summed::default();
        assert_eq!(summed.sum([("a", Some(1_000)), ("b", Some(900))]), 1_900);
        // One between two instances tells nothing, and then goes on.
        assert_eq!(summed.sum([("a", None), ("b", Some(901))]), 1_901);
        assert_eq!(summed.sum([("a", Some(1_001)), ("b", Some(902))]), 1_903);
        // One ends, another one begins anew.
        assert_eq!(summed.sum([("b", Some(3))]), 1_906);
        assert_eq!(summed.sum([("a", Some(5)), ("b", Some(3))]), 1_911);
        assert_eq!(summed.sum([]), 1_911);
    }
}
