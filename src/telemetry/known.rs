//! What is known of an actor or provider from one second to the next.

use super::history::History;
use super::standing::Standing;
use crate::instruments::Reading;

/// What is known of an actor or provider.
#[derive(Default)]
pub(super) struct Child {
    pub(super) standing: Standing,
    pub(super) history: History,
    pub(super) reading: Option<Reading>,
    pub(super) checked_at: Option<u64>,
    pub(super) reason: Option<String>,
    /// Whether it was there at the last look.
    pub(super) is_there: bool,
}

impl Child {
    /// Returns what is known of a child that has started.
    pub(super) fn started(at: u64) -> Child {
        Child { standing: Standing::started(at), ..Child::default() }
    }
}
