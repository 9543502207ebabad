//! A provider that is ready to be started: its code, its claims and the link name it is to run under.

use std::fmt;
use std::sync::Arc;

use wascap::jwt::{self, Claims};

use super::plugin::Plugin;
use super::traits::{AsyncCapabilityProvider, CapabilityProvider};
use crate::entity::{KeyKind, expect_contract, expect_key, link_name};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::snapshot::{ProviderIdentity, ProviderKey};

/// A capability provider, ready to be started with [`Host::start_native_capability`](crate::Host::start_native_capability).
#[derive(Clone)]
pub struct NativeCapability {
    identity: Arc<ProviderIdentity>,
    code: Code,
}

/// A provider's code, in either interface.
#[derive(Clone)]
pub(crate) enum Code {
    Blocking(Arc<dyn CapabilityProvider>),
    Async(Arc<dyn AsyncCapabilityProvider>),
    Plugin(Arc<Plugin>),
}

impl NativeCapability {
    /// A provider that is part of this program, in the blocking interface. `link_target_name` is the link name it is
    /// to run under, `default` if not given. The claims say who it is; the program vouches for them, so they need no
    /// signature.
    ///
    /// # Errors
    /// `InvalidArgument` where the subject is no provider's key, or the claims name no contract.
    pub fn from_instance(
        instance: impl CapabilityProvider + 'static,
        link_target_name: Option<String>,
        claims: Claims<jwt::CapabilityProvider>,
    ) -> Result<NativeCapability> {
        NativeCapability::new(Code::Blocking(Arc::new(instance)), link_target_name, claims)
    }

    /// The same for a provider that waits without blocking.
    ///
    /// # Errors
    /// Those of [`NativeCapability::from_instance`].
    pub fn from_async(
        instance: impl AsyncCapabilityProvider + 'static,
        link_target_name: Option<String>,
        claims: Claims<jwt::CapabilityProvider>,
    ) -> Result<NativeCapability> {
        NativeCapability::new(Code::Async(Arc::new(instance)), link_target_name, claims)
    }

    fn new(code: Code, link: Option<String>, claims: Claims<jwt::CapabilityProvider>) -> Result<NativeCapability> {
        expect_key(&claims.subject, KeyKind::Provider)?;
        let contract_id = claims.metadata.as_ref().map(|metadata| metadata.capid.clone()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the provider's claims have no metadata, so they name no contract")
        })?;
        expect_contract(&contract_id)?;
        let key = ProviderKey::new(&claims.subject, link_name(link.as_deref()));
        let identity = Arc::new(ProviderIdentity::new(key, contract_id, claims, false));
        Ok(NativeCapability { identity, code })
    }

    /// The provider's public key: 56 characters beginning with `V`.
    pub fn id(&self) -> String {
        self.identity.key.id.to_string()
    }

    /// The link name that it is to run under.
    pub fn link_name(&self) -> &str {
        &self.identity.key.link_name
    }

    /// The contract that it serves.
    pub fn contract_id(&self) -> &str {
        &self.identity.contract_id
    }

    /// The same provider, to be started another time.
    pub(crate) fn renewed(&self) -> NativeCapability {
        let ProviderIdentity { key, contract_id, claims, signed, .. } = &*self.identity;
        let identity = ProviderIdentity::new(key.clone(), contract_id.clone(), claims.clone(), *signed);
        NativeCapability { identity: Arc::new(identity), code: self.code.clone() }
    }

    pub(crate) fn identity(&self) -> &Arc<ProviderIdentity> {
        &self.identity
    }

    pub(crate) fn code(&self) -> Code {
        self.code.clone()
    }
}

impl fmt::Debug for NativeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeCapability")
            .field("id", &self.identity.key.id)
            .field("link_name", &self.identity.key.link_name)
            .field("contract_id", &self.identity.contract_id)
            .finish_non_exhaustive()
    }
}
