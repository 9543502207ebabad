//! The operations of an actor or provider that are counted one by one: the first 16 that it has served. Callers choose names as
//! they like, so the others are counted together.

use std::sync::{Arc, OnceLock};

/// The number of operations that are counted one by one.
pub(super) const MOST: usize = 16;

/// The slot of all other operations.
pub(super) const OTHER: usize = MOST;

/// The number of slots.
pub(super) const SLOTS: usize = MOST + 1;

/// The longest name of an operation that is counted by itself. Unit: bytes.
const LONGEST: usize = 64;

/// The names of the operations, each in a slot that it keeps.
#[derive(Debug, Default)]
pub(super) struct Operations([OnceLock<Arc<str>>; MOST]);

impl Operations {
    /// Returns whether a slot is that of an operation.
    pub(super) fn is(&self, slot: usize, operation: &str) -> bool {
        self.0.get(slot).and_then(OnceLock::get).is_some_and(|name| **name == *operation)
    }

    /// Returns the slot of an operation. `None` if it has none, and there is a free one for it.
    pub(super) fn find(&self, operation: &str) -> Option<usize> {
        if operation.len() > LONGEST {
            return Some(OTHER);
        }
        for (slot, name) in self.0.iter().enumerate() {
            if **name.get()? == *operation {
                return Some(slot);
            }
        }
        Some(OTHER)
    }

    /// Returns the slot of an operation, which takes a free one if it has none.
    pub(super) fn find_or_add(&self, operation: &str) -> usize {
        if operation.len() > LONGEST {
            return OTHER;
        }
        let is_it = |name: &OnceLock<Arc<str>>| **name.get_or_init(|| operation.into()) == *operation;
        self.0.iter().position(is_it).unwrap_or(OTHER)
    }

    /// Returns the name of the operation in a slot. `None` for the slot of all others.
    pub(super) fn name(&self, slot: usize) -> Option<&Arc<str>> {
        self.0.get(slot).and_then(OnceLock::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_keeps_its_slot_and_further_ones_share_the_last() {
        let operations = Operations::default();
        assert_eq!(operations.find("Op0"), None);
        for number in 0..2 * MOST {
            let name = format!("Op{number}");
            let slot = operations.find_or_add(&name);
            assert_eq!((slot, operations.find(&name)), (number.min(OTHER), Some(number.min(OTHER))));
        }
        assert_eq!(operations.name(3).map(|name| &**name), Some("Op3"));
        assert!(operations.is(3, "Op3") && !operations.is(4, "Op3") && !operations.is(OTHER, "Op30"));
        assert_eq!(operations.name(OTHER), None);
    }

    #[test]
    fn a_long_name_takes_no_slot() {
        let operations = Operations::default();
        let long = "x".repeat(LONGEST + 1);
        assert_eq!((operations.find(&long), operations.find_or_add(&long)), (Some(OTHER), OTHER));
        assert_eq!(operations.find_or_add(&long[1..]), 0);
    }
}
