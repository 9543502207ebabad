//! Names in the order in which they were noted, so that the oldest can be forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Names, the one that was noted first at the front. Each operation takes no longer with many of them.
#[derive(Debug, Default)]
pub(super) struct Recency {
    order: BTreeMap<u64, Arc<str>>,
    numbers: HashMap<Arc<str>, u64>,
    last: u64,
}

impl Recency {
    /// Notes a name as the newest, wherever it was before.
    pub(super) fn note(&mut self, name: Arc<str>) {
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

    /// Forgets the oldest name, if there are more than so many, and returns it.
    pub(super) fn forget_beyond(&mut self, most: usize) -> Option<Arc<str>> {
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
    fn the_oldest_name_is_forgotten_first() {
        let mut recency = Recency::default();
        for name in ["a", "b", "c", "a"] {
            recency.note(name.into());
        }
        recency.remove("c");
        recency.remove("unknown");
        assert_eq!(recency.forget_beyond(2), None);
        assert_eq!(recency.forget_beyond(1).as_deref(), Some("b"));
        assert_eq!(recency.names().map(|name| &**name).collect::<Vec<_>>(), ["a"]);
    }
}
