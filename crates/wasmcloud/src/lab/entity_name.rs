//! Names of actors and providers in plans.

/// An actor or provider, by what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntityName {
    /// A public key, a call alias or a name.
    Actor(String),
    /// A public key, `builtin:` and a name, a contract or a name.
    Provider { name: String, link_name: String },
}

impl EntityName {
    /// Returns the name as people write it.
    pub(super) fn as_str(&self) -> &str {
        match self {
            EntityName::Actor(name) | EntityName::Provider { name, .. } => name,
        }
    }
}
