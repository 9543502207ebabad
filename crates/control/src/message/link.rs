//! Changes and lists of links.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::outcome::RequestOptions;

/// The definition of a link, as in 2021.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkDefinition {
    /// The public key of the actor.
    pub actor_id: String,
    /// The public key of the provider.
    pub provider_id: String,
    /// The name of the link.
    pub link_name: String,
    /// The contract that the provider serves.
    pub contract_id: String,
    /// The configuration of the provider for this link. In lists, secret values are replaced by `(secret)`.
    pub values: BTreeMap<String, String>,
}

impl fmt::Debug for LinkDefinition {
    /// Writes the names of the values only: the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkDefinition")
            .field("actor_id", &self.actor_id)
            .field("provider_id", &self.provider_id)
            .field("link_name", &self.link_name)
            .field("contract_id", &self.contract_id)
            .field("value_names", &self.values.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The links that a host knows, as in 2021.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkDefinitionList {
    /// The links.
    pub links: Vec<LinkDefinition>,
}

/// Sets a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutLinkCommand {
    /// The public key of the actor, or its reference in a registry.
    pub actor_id: String,
    /// The public key of the provider.
    pub provider_id: String,
    /// The name of the link. Default: `default`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link_name: String,
    /// The contract that the provider serves.
    pub contract_id: String,
    /// The configuration of the provider for this link.
    #[serde(default)]
    pub values: LinkValues,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Removes a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveLinkCommand {
    /// The public key of the actor, or its reference in a registry.
    pub actor_id: String,
    /// The contract.
    pub contract_id: String,
    /// The name of the link. Default: `default`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link_name: String,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// The values of a link. They may be secrets: only their names are printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkValues(pub BTreeMap<String, String>);

impl fmt::Debug for LinkValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
