//! Health: whether what runs answers when it is asked.

/// How an actor or a provider answered when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It is well.
    Healthy,
    /// It says that it is not well.
    Unhealthy {
        /// What it says, or how it failed to.
        reason: String,
    },
    /// It is at work, so it was not asked: work comes first.
    Busy,
    /// It was asked and did not answer in time.
    Unanswered,
}
