//! The identity of a provider: its key, its contract and its claims.

use std::fmt;
use std::sync::Arc;

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::entity::{KeyKind, expect_contract, expect_key, link_name};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::{Image, ProviderKey};
use wasmcloud_core::text::escaped;

/// The identity of a provider before it is started.
#[derive(Debug, Clone)]
pub struct ProviderDescriptor {
    /// The key that the provider is registered by.
    pub key: ProviderKey,
    /// The contract that the provider serves.
    pub contract_id: String,
    /// The claims of the provider.
    pub claims: Claims<jwt::CapabilityProvider>,
    /// Whether the claims come from a verified token. Otherwise the provider is part of the program, and neither dates nor
    /// the trust policy apply to it.
    pub signed: bool,
    /// The image that the provider's archive was pulled from, if it came from a registry.
    pub image: Option<Arc<Image>>,
}

impl ProviderDescriptor {
    /// Returns the identity of the provider that the claims describe, to be run under a link name.
    ///
    /// # Errors
    /// `InvalidArgument` if the subject is not a provider's key, or the claims name no contract.
    pub fn new(
        link: Option<&str>,
        claims: Claims<jwt::CapabilityProvider>,
        signed: bool,
    ) -> Result<ProviderDescriptor> {
        expect_key(&claims.subject, KeyKind::Provider)?;
        let contract_id = claims.metadata.as_ref().map(|metadata| metadata.capid.clone()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the provider's claims have no metadata, so they name no contract")
        })?;
        expect_contract(&contract_id)?;
        let key = ProviderKey::new(&claims.subject, link_name(link));
        Ok(ProviderDescriptor { key, contract_id, claims, signed, image: None })
    }
}

impl fmt::Display for ProviderDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.key, escaped(&self.contract_id))
    }
}
