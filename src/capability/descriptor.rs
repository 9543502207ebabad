//! A provider that is ready to be started: its code, its claims and the link name it is to run under.

use std::fmt;
use std::sync::Arc;

use super::plugin::{Isolation, Plugin};
use super::traits::{AsyncCapabilityProvider, CapabilityProvider};
use crate::archive::ProviderArchive;
use crate::entity::{KeyKind, expect_contract, expect_key, link_name};
use crate::error::{Error, ErrorKind, Result};
use crate::jwt::{self, Claims};
use crate::supervisor::snapshot::{ProviderIdentity, ProviderKey};

/// A capability provider, ready to be started with [`Host::start_native_capability`](crate::Host::start_native_capability).
#[derive(Clone)]
pub struct NativeCapability {
    identity: Arc<ProviderIdentity>,
    code: Code,
}

/// A provider's code, in one of the interfaces.
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
        NativeCapability::new(Code::Blocking(Arc::new(instance)), link_target_name, claims, false)
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
        NativeCapability::new(Code::Async(Arc::new(instance)), link_target_name, claims, false)
    }

    /// The provider of an archive, for the machine that this runs on: a native plugin, which runs in the host's process.
    ///
    /// # Errors
    /// `TargetMissing` where the archive has no library for this machine, and those of
    /// [`NativeCapability::from_instance`]. Whether the library is a plugin is seen when it is started.
    pub fn from_archive(archive: &ProviderArchive, link_target_name: Option<String>) -> Result<NativeCapability> {
        NativeCapability::from_archive_isolated(archive, link_target_name, Isolation::InProcess)
    }

    /// The same, with a choice of where it runs.
    ///
    /// ```no_run
    /// use wasmcloud_host::{Isolation, NativeCapability, PluginProcess, ProviderArchive};
    ///
    /// # fn main() -> wasmcloud_host::Result<()> {
    /// let archive = ProviderArchive::from_file("httpserver.par.gz")?;
    /// let apart = Isolation::Process(PluginProcess::new().memory_limit(256 * 1024 * 1024));
    /// let server = NativeCapability::from_archive_isolated(&archive, None, apart)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`NativeCapability::from_archive`].
    pub fn from_archive_isolated(
        archive: &ProviderArchive,
        link_target_name: Option<String>,
        isolation: Isolation,
    ) -> Result<NativeCapability> {
        let code = archive.target_bytes(&ProviderArchive::host_target())?;
        let code = Code::Plugin(Arc::new(Plugin::new(code.into(), isolation)));
        NativeCapability::new(code, link_target_name, archive.claims(), true)
    }

    fn new(
        code: Code,
        link: Option<String>,
        claims: Claims<jwt::CapabilityProvider>,
        signed: bool,
    ) -> Result<NativeCapability> {
        expect_key(&claims.subject, KeyKind::Provider)?;
        let contract_id = claims.metadata.as_ref().map(|metadata| metadata.capid.clone()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the provider's claims have no metadata, so they name no contract")
        })?;
        expect_contract(&contract_id)?;
        let key = ProviderKey::new(&claims.subject, link_name(link.as_deref()));
        let identity = Arc::new(ProviderIdentity::new(key, contract_id, claims, signed));
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
