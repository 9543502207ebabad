//! Links: which provider serves an actor's contract, under which name, with which values.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wasmcloud_core::entity::{KeyKind, expect_contract, expect_key};
use wasmcloud_core::error::Result;
use wasmcloud_core::text::escaped;

/// A link as it was asked for. The field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkDefinition {
    /// The public key of the actor that may use the provider, and that the provider may call.
    pub actor_id: String,
    /// The public key of the provider.
    pub provider_id: String,
    /// The name that tells several links of one actor to one contract apart; usually `default`.
    pub link_name: String,
    /// The contract that the provider serves, such as `wasmcloud:httpserver`.
    pub contract_id: String,
    /// What the provider is told about this link. May hold secrets.
    pub values: HashMap<String, String>,
}

impl LinkDefinition {
    pub(crate) fn validate(&self) -> Result<()> {
        expect_key(&self.actor_id, KeyKind::Actor)?;
        expect_key(&self.provider_id, KeyKind::Provider)?;
        expect_contract(&self.contract_id)
    }

    pub(crate) fn key(&self) -> LinkKey {
        LinkKey::new(&self.actor_id, &self.contract_id, &self.link_name)
    }
}

impl std::fmt::Debug for LinkDefinition {
    /// Shows the names of the values only: among the values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names: Vec<&String> = self.values.keys().collect();
        names.sort();
        f.debug_struct("LinkDefinition")
            .field("actor_id", &self.actor_id)
            .field("provider_id", &self.provider_id)
            .field("link_name", &self.link_name)
            .field("contract_id", &self.contract_id)
            .field("value_names", &names)
            .finish()
    }
}

/// How far a link has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// It is known, and waits for its actor or its provider to be started.
    Pending,
    /// The provider is being told of it.
    Establishing,
    /// The provider has accepted it: calls pass.
    Established,
    /// The provider is being told to let go of it.
    Releasing,
    /// It could not be established when both sides were there; the text says why.
    Refused(String),
}

impl LinkState {
    /// Whether the actor's calls pass.
    pub(crate) fn actor_may_call(&self) -> bool {
        *self == LinkState::Established
    }

    /// Whether the provider's calls pass: from the moment it is told of the link (it may call at once, before its
    /// answer is in) until it has let go of it (what it is still working on may finish).
    pub(crate) fn provider_may_call(&self) -> bool {
        matches!(self, LinkState::Establishing | LinkState::Established | LinkState::Releasing)
    }
}

/// A link and its state.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) definition: Arc<LinkDefinition>,
    pub(crate) state: LinkState,
    /// While the link is changed, the other definition that is in effect beside this one: the new one until its
    /// provider has answered, then the old one until its provider has let go. Both providers may call the actor.
    pub(crate) beside: Option<Arc<LinkDefinition>>,
    /// Whether it waits for a provider that crashed, or for its place with the next one. The actor's calls wait as well.
    pub(crate) is_returning: bool,
    /// Told when another version of the link, or none, has been published.
    pub(crate) changed: Arc<Notify>,
}

impl Link {
    /// Whether it does more than wait.
    pub(crate) fn is_live(&self) -> bool {
        self.state != LinkState::Pending || self.beside.is_some()
    }

    /// Whether the calls of this provider to the actor pass.
    pub(crate) fn lets_call(&self, provider_id: &str) -> bool {
        (self.definition.provider_id == provider_id && self.state.provider_may_call())
            || self.beside.as_ref().is_some_and(|beside| beside.provider_id == provider_id)
    }
}

/// What a link is found by. Two links of one actor differ in contract or name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkKey {
    pub(crate) actor: Arc<str>,
    pub(crate) contract: Arc<str>,
    pub(crate) link_name: Arc<str>,
}

impl LinkKey {
    pub(crate) fn new(actor: &str, contract: &str, link_name: &str) -> LinkKey {
        LinkKey { actor: actor.into(), contract: contract.into(), link_name: link_name.into() }
    }
}

impl std::fmt::Display for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "link {} of actor {} to {}", escaped(&self.link_name), self.actor, escaped(&self.contract))
    }
}

/// Finding a link by borrowed names, so that a call allocates nothing to be resolved.
impl equivalent::Equivalent<LinkKey> for (&str, &str, &str) {
    fn equivalent(&self, key: &LinkKey) -> bool {
        *self.0 == *key.actor && *self.1 == *key.contract && *self.2 == *key.link_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_by_borrowed_names() {
        let mut links = imbl::HashMap::new();
        links.insert(LinkKey::new("a", "c", "default"), 1);
        assert_eq!(links.get(&("a", "c", "default")), Some(&1));
        assert_eq!(links.get(&("a", "c", "other")), None);
    }

    #[test]
    fn link_values_are_not_shown() {
        let values = HashMap::from([("PASSWORD".to_string(), "hunter2".to_string())]);
        let definition = LinkDefinition {
            actor_id: "M".into(),
            provider_id: "V".into(),
            link_name: "default".into(),
            contract_id: "c".into(),
            values,
        };
        let shown = format!("{definition:?}");
        assert!(shown.contains("PASSWORD") && !shown.contains("hunter2"), "{shown}");
    }
}
