//! What a provider counts of its own work, for the metrics of its host.

use std::collections::BTreeMap;

use wasmcloud_core::durations::Durations;

/// What a provider has counted since its start. The host counts the calls that it gets and makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderFigures {
    /// HTTP requests that it has served.
    pub http: Option<HttpFigures>,
}

/// HTTP requests that a provider has served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpFigures {
    /// How many were answered with which status. The host counts those outside of 100 to 599 together.
    pub requests: BTreeMap<u16, u64>,
    /// The times from the head of a request to the head of its response.
    pub durations: Durations,
}

impl ProviderFigures {
    /// Returns the figures of a provider that serves HTTP.
    pub fn of_http(http: HttpFigures) -> ProviderFigures {
        ProviderFigures { http: Some(http) }
    }
}

impl HttpFigures {
    /// Returns figures.
    pub fn new(requests: impl IntoIterator<Item = (u16, u64)>, durations: Durations) -> HttpFigures {
        HttpFigures { requests: requests.into_iter().collect(), durations }
    }
}
