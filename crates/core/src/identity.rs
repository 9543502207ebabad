//! The identifiers of instances and providers within a host.

use std::sync::Arc;

use crate::text::escaped;

/// The number of an instance of an actor or provider. No two instances of a host ever have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstanceNumber(pub usize);

/// The key under which a provider is registered. One provider may run under several link names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderKey {
    /// The provider's public key.
    pub id: Arc<str>,
    /// The link name that it runs under.
    pub link_name: Arc<str>,
}

impl ProviderKey {
    /// Returns the key of a provider under a link name.
    pub fn new(id: &str, link_name: &str) -> ProviderKey {
        ProviderKey { id: id.into(), link_name: link_name.into() }
    }

    /// Returns the public key and the link name in one word, as in `V.../default`, for fields of log lines.
    pub fn joined(&self) -> String {
        format!("{}/{}", self.id, escaped(&self.link_name))
    }
}

impl std::fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "provider {} (link name {})", self.id, escaped(&self.link_name))
    }
}

/// A [`ProviderKey`] with borrowed names, for lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProviderKeyRef<'a> {
    /// The provider's public key.
    pub id: &'a str,
    /// The link name that it runs under.
    pub link_name: &'a str,
}

impl equivalent::Equivalent<ProviderKey> for ProviderKeyRef<'_> {
    fn equivalent(&self, key: &ProviderKey) -> bool {
        *self.id == *key.id && *self.link_name == *key.link_name
    }
}

/// The image in a registry that an actor or provider was started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The reference as it was given.
    pub reference: String,
    /// The digest that the reference stood for, if it is known: `sha256:` and 64 digits.
    pub digest: Option<String>,
}

impl Image {
    /// Returns the same image with the digest that its reference stands for.
    #[must_use]
    pub fn with_digest(&self, digest: impl Into<String>) -> Image {
        Image { reference: self.reference.clone(), digest: Some(digest.into()) }
    }
}
