//! The hosts that are trusted, and texts that are never printed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The hosts whose messages are accepted: those with certain keys, those that certain clusters vouch for, or any. Cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub struct HostTrust(Arc<Trusted>);

#[derive(Debug, Default)]
struct Trusted {
    hosts: BTreeSet<String>,
    clusters: BTreeSet<String>,
}

impl HostTrust {
    /// Returns the trust in hosts and clusters with these public keys. Without any, all hosts are trusted.
    pub fn new(hosts: impl IntoIterator<Item = String>, clusters: impl IntoIterator<Item = String>) -> HostTrust {
        let trusted = Trusted { hosts: hosts.into_iter().collect(), clusters: clusters.into_iter().collect() };
        HostTrust(Arc::new(trusted))
    }

    /// Returns whether any host is trusted, since neither hosts nor clusters are named.
    pub fn trusts_any(&self) -> bool {
        self.0.hosts.is_empty() && self.0.clusters.is_empty()
    }

    /// Returns whether a host (`N...`) is trusted by its own key.
    pub fn trusts_host(&self, key: &str) -> bool {
        self.trusts_any() || self.0.hosts.contains(key)
    }

    /// Returns whether a cluster (`C...`) is named as trusted.
    pub fn trusts_cluster(&self, key: &str) -> bool {
        self.0.clusters.contains(key)
    }
}

/// A text that is never printed: a password, a seed, a token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Secret {
        Secret(text.into().into())
    }

    /// Returns the text.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
