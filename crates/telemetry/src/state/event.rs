//! An event, as viewers are told it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An event of the telling host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its number: the next event has the next one.
    pub sequence: u64,
    /// Unit: milliseconds since 1970.
    pub at: u64,
    /// The public key of the telling host.
    pub host: String,
    /// The kind, such as `crashed`.
    pub kind: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// The key of the actor, provider or other host that the event is about.
    pub entity: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The event in one line.
    pub text: String,
    /// The fields of the event.
    pub detail: BTreeMap<String, serde_json::Value>,
}
