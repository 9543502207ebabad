//! Names in the order of their insertion.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A set of names in the order of their insertion. The cost of an operation grows with the logarithm of their number.
#[derive(Debug, Default)]
pub(super) struct InsertionOrder {
    order: BTreeMap<u64, Arc<str>>,
    numbers: HashMap<Arc<str>, u64>,
    last: u64,
}

impl InsertionOrder {
    /// Inserts a name as the newest, or moves it there.
    pub(super) fn push(&mut self, name: Arc<str>) {
        self.remove(&name);
        self.last += 1;
        self.order.insert(self.last, name.clone());
        self.numbers.insert(name, self.last);
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(number) = self.numbers.remove(name) {
            self.order.remove(&number);
        }
    }

    /// Removes and returns the oldest name, if there are more than `most`.
    pub(super) fn pop_beyond(&mut self, most: usize) -> Option<Arc<str>> {
        if self.order.len() <= most {
            return None;
        }
        let (_, oldest) = self.order.pop_first()?;
        self.numbers.remove(&oldest);
        Some(oldest)
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.order.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_name_is_removed_first() {
        let mut names = InsertionOrder::default();
        for name in ["a", "b", "c", "a"] {
            names.push(name.into());
        }
        names.remove("c");
        names.remove("unknown");
        assert_eq!(names.pop_beyond(2), None);
        assert_eq!(names.pop_beyond(1).as_deref(), Some("b"));
        assert_eq!(names.names().map(|name| &**name).collect::<Vec<_>>(), ["a"]);
    }
}
