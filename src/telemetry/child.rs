//! What is remembered of an actor or provider from one second to the next.

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
    /// Whether the last look has found it.
    pub(super) is_there: bool,
}

impl Child {
    pub(super) fn started(at: u64) -> Child {
        Child { standing: Standing::started(at), ..Child::default() }
    }
}
