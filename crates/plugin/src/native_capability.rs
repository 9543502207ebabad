//! A provider that is ready to be started: its code, its claims and the link name it is to run under.

use std::fmt;
use std::sync::Arc;

use wasmcloud_claims::ProviderArchive;
use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::error::Result;
use wasmcloud_provider::{AsyncCapabilityProvider, CapabilityProvider, ProviderDescriptor};

use crate::isolation::Isolation;
use crate::plugin::Plugin;

/// A capability provider, ready to be started with `Host::start_native_capability`.
#[derive(Clone)]
pub struct NativeCapability {
    descriptor: Arc<ProviderDescriptor>,
    code: Code,
}

/// A provider's code, in one of the interfaces.
#[derive(Clone)]
pub enum Code {
    /// The blocking interface.
    Blocking(Arc<dyn CapabilityProvider>),
    /// The asynchronous interface.
    Async(Arc<dyn AsyncCapabilityProvider>),
    /// A native plugin.
    Plugin(Arc<Plugin>),
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Code::Blocking(_) => "Blocking",
            Code::Async(_) => "Async",
            Code::Plugin(_) => "Plugin",
        })
    }
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
        let descriptor = Arc::new(ProviderDescriptor::new(link.as_deref(), claims, signed)?);
        Ok(NativeCapability { descriptor, code })
    }

    /// The provider's public key: 56 characters beginning with `V`.
    pub fn id(&self) -> String {
        self.descriptor.key.id.to_string()
    }

    /// The link name that it is to run under.
    pub fn link_name(&self) -> &str {
        &self.descriptor.key.link_name
    }

    /// The contract that it serves.
    pub fn contract_id(&self) -> &str {
        &self.descriptor.contract_id
    }

    /// Returns the identity of the provider.
    #[doc(hidden)]
    pub fn descriptor(&self) -> &Arc<ProviderDescriptor> {
        &self.descriptor
    }

    /// Returns the code of the provider.
    #[doc(hidden)]
    pub fn code(&self) -> Code {
        self.code.clone()
    }
}

impl fmt::Debug for NativeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeCapability")
            .field("id", &self.descriptor.key.id)
            .field("link_name", &self.descriptor.key.link_name)
            .field("contract_id", &self.descriptor.contract_id)
            .finish_non_exhaustive()
    }
}
