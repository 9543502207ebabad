//! The state of a host, in pages.

use serde::{Deserialize, Serialize};
use wasmcloud_telemetry::state::HostState;

/// A list of a [`HostState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StatePart {
    /// The host alone, without any list.
    Host,
    /// The hosts of its lattice.
    Hosts,
    /// The actors that it runs.
    Actors,
    /// The providers that it runs.
    Providers,
    /// The links of its actors and providers.
    Links,
    /// Its last events.
    Events,
}

/// Asks for a page of a host's state. The request may also be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePage {
    /// The only list. Default: all lists one after another: hosts, actors, providers, links, events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<StatePart>,
    /// How many items are passed over. Default: 0.
    #[serde(default)]
    pub offset: usize,
    /// The most items of the page. It holds fewer if they do not fit into a message. Default: 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The sequence number of the last event that the client knows: older events are left out. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// A page of a host's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StateAnswer {
    /// The number of items of all pages.
    pub total: usize,
    /// The offset of the next page. `None` after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
    /// The time and the host, and the items of the page. Pages with different times (`at`) do not belong together.
    pub state: HostState,
}
