//! Links: the providers that serve an actor's contracts, under a name and with values.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wasmcloud_core::entity::{KeyKind, expect_contract, expect_key};
use wasmcloud_core::error::Result;
use wasmcloud_core::text::escaped;

/// The definition of a link. The field names are those of the wire format.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkDefinition {
    /// The public key of the actor. The actor may call the provider, and the provider the actor.
    pub actor_id: String,
    /// The public key of the provider.
    pub provider_id: String,
    /// The name of the link, which distinguishes several links of one actor to one contract. Usually `default`.
    pub link_name: String,
    /// The contract that the provider serves, such as `wasmcloud:httpserver`.
    pub contract_id: String,
    /// The configuration of the provider for this link. The values may be secrets.
    pub values: HashMap<String, String>,
}

/// The prefix of the link values that the host sets. Providers ignore those that they do not know.
pub(crate) const HOST_PREFIX: &str = "__wasmcloud_";

/// The link value with the names of the values that are secrets, separated by commas.
pub(crate) const SECRETS: &str = "__wasmcloud_secrets";

/// What listings show in place of a secret.
const HIDDEN: &str = "(secret)";

/// Marks values as secrets.
pub(crate) fn mark_secrets<'a>(values: &mut HashMap<String, String>, names: impl Iterator<Item = &'a String>) {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if !names.is_empty() {
        values.insert(SECRETS.to_owned(), names.join(","));
    }
}

impl LinkDefinition {
    /// Returns the values as listings show them: `(secret)` in place of each value that came from a secret of a manifest.
    pub fn listed_values(&self) -> HashMap<String, String> {
        let is_secret = |name: &str| {
            let names = self.values.get(SECRETS);
            names.is_some_and(|names| names.split(',').any(|secret| secret == name))
        };
        let shown = |name: &str, value: &str| if is_secret(name) { HIDDEN.to_owned() } else { value.to_owned() };
        let values = self.values.iter().filter(|(name, _)| *name != SECRETS);
        values.map(|(name, value)| (name.clone(), shown(name, value))).collect()
    }

    /// Returns the same link with its values as listings show them.
    pub(crate) fn listed(&self) -> LinkDefinition {
        LinkDefinition {
            actor_id: self.actor_id.clone(),
            provider_id: self.provider_id.clone(),
            link_name: self.link_name.clone(),
            contract_id: self.contract_id.clone(),
            values: self.listed_values(),
        }
    }

    /// Returns the same text without the secrets of the link, for errors of its provider.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        /// A shorter secret would hide more of the text than it is worth.
        const SHORTEST: usize = 4;
        let names = self.values.get(SECRETS).map(String::as_str).unwrap_or_default().split(',');
        let mut secrets: Vec<&String> = names.filter_map(|name| self.values.get(name)).collect();
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // One secret may contain another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
    }

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
    /// Writes the names of the values only: the values may be secrets.
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

/// The state of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// The link waits for its actor or its provider to start.
    Pending,
    /// The link has been sent to the provider, which has not answered yet.
    Establishing,
    /// The provider has accepted the link: calls pass.
    Established,
    /// The provider has been told to release the link, and has not answered yet.
    Releasing,
    /// The link could not be established although both ends run. The text is the reason.
    Refused(String),
}

impl LinkState {
    /// Returns whether the actor's calls pass.
    pub(crate) fn actor_may_call(&self) -> bool {
        *self == LinkState::Established
    }

    /// Returns whether the provider's calls pass. They pass as soon as the provider is told of the link, before its answer,
    /// until it has released the link, so that it can finish the calls in progress.
    pub(crate) fn provider_may_call(&self) -> bool {
        matches!(self, LinkState::Establishing | LinkState::Established | LinkState::Releasing)
    }
}

/// A link, its state, and what calls over it wait for.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) definition: Arc<LinkDefinition>,
    pub(crate) state: LinkState,
    /// While the link is changed, the other definition in effect: the new one until its provider has answered, then the
    /// old one until its provider has released it. Both providers may call the actor.
    pub(crate) overlapping: Option<Arc<LinkDefinition>>,
    /// Whether it waits for the restart of its provider, or to be established afterwards. The actor's calls wait as well.
    pub(crate) awaits_restart: bool,
    /// Notified when another version of the link, or its removal, has been published.
    pub(crate) changed: Arc<Notify>,
}

impl Link {
    /// Returns whether the link does more than wait for its ends.
    pub(crate) fn is_live(&self) -> bool {
        self.state != LinkState::Pending || self.overlapping.is_some()
    }

    /// Returns whether calls of this provider to the actor pass.
    pub(crate) fn allows_calls_of(&self, provider_id: &str) -> bool {
        (self.definition.provider_id == provider_id && self.state.provider_may_call())
            || self.overlapping.as_ref().is_some_and(|other| other.provider_id == provider_id)
    }
}

/// The key of a link. Two links of one actor differ in contract or name.
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

/// Finds a link by borrowed names, so that the resolution of a call allocates nothing.
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
    fn listings_hide_secrets() {
        let mut values: HashMap<String, String> =
            [("URL", "redis://r"), ("PASSWORD", "hunter2"), ("TOKEN", "hunter2hunter3")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let definition = |values: &HashMap<String, String>| LinkDefinition {
            actor_id: "M".into(),
            provider_id: "V".into(),
            link_name: "default".into(),
            contract_id: "c".into(),
            values: values.clone(),
        };
        assert_eq!(definition(&values).listed_values(), values);
        assert_eq!(definition(&values).without_secrets("hunter2"), "hunter2");
        mark_secrets(&mut values, ["PASSWORD".to_owned(), "TOKEN".to_owned()].iter());
        let marked = definition(&values);
        let listed = marked.listed_values();
        assert_eq!((listed["URL"].as_str(), listed["PASSWORD"].as_str(), listed.len()), ("redis://r", "(secret)", 3));
        let text = marked.without_secrets("cannot reach redis://:hunter2@r with hunter2hunter3");
        assert_eq!(text, "cannot reach redis://:(secret)@r with (secret)");
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
