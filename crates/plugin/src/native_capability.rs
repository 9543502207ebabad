//! A provider that is ready to be started: its code, its claims and its link name.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use wasmcloud_claims::ProviderArchive;
use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::error::Result;
use wasmcloud_core::identity::Image;
use wasmcloud_provider::{AsyncCapabilityProvider, CapabilityProvider, ProviderDescriptor};

use crate::isolation::Isolation;
use crate::plugin::Plugin;

/// A capability provider that is ready to be started with `Host::start_native_capability`.
#[derive(Clone)]
pub struct NativeCapability {
    descriptor: Arc<ProviderDescriptor>,
    code: Code,
}

/// The code of a provider, in one of three interfaces.
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
    /// Returns a provider that is part of this program, in the blocking interface.
    ///
    /// The claims give its public key and contract. They need no signature, because the provider is trusted with the
    /// program. `link_target_name` is the link name that the provider runs under. Default: `default`.
    ///
    /// # Errors
    /// `InvalidArgument` if the subject of the claims is not a provider's key, or the claims name no contract.
    pub fn from_instance(
        instance: impl CapabilityProvider + 'static,
        link_target_name: Option<String>,
        claims: Claims<jwt::CapabilityProvider>,
    ) -> Result<NativeCapability> {
        NativeCapability::new(Code::Blocking(Arc::new(instance)), link_target_name, claims, false)
    }

    /// Returns a provider that is part of this program, in the asynchronous interface. The other arguments are those of
    /// [`NativeCapability::from_instance`].
    ///
    /// # Errors
    /// The errors of [`NativeCapability::from_instance`].
    pub fn from_async(
        instance: impl AsyncCapabilityProvider + 'static,
        link_target_name: Option<String>,
        claims: Claims<jwt::CapabilityProvider>,
    ) -> Result<NativeCapability> {
        NativeCapability::new(Code::Async(Arc::new(instance)), link_target_name, claims, false)
    }

    /// Returns the provider of an archive: the native plugin for the target of this program. It runs in the host's process.
    /// `link_target_name` is the link name that the provider runs under. Default: `default`.
    ///
    /// The library is not opened before the provider is started.
    ///
    /// # Errors
    /// `TargetMissing` if the archive has no library for this target, and the errors of
    /// [`NativeCapability::from_instance`].
    pub fn from_archive(archive: &ProviderArchive, link_target_name: Option<String>) -> Result<NativeCapability> {
        NativeCapability::from_archive_isolated(archive, link_target_name, Isolation::InProcess)
    }

    /// Returns the provider of an archive as [`NativeCapability::from_archive`] does, with a choice of where it runs.
    ///
    /// ```no_run
    /// use wasmcloud_host::{Isolation, NativeCapability, PluginProcess, ProviderArchive};
    ///
    /// # fn main() -> wasmcloud_host::Result<()> {
    /// let archive = ProviderArchive::from_file("httpserver.par.gz")?;
    /// let process = Isolation::Process(PluginProcess::new().memory_limit(256 * 1024 * 1024));
    /// let server = NativeCapability::from_archive_isolated(&archive, None, process)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`NativeCapability::from_archive`].
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

    /// Sets the reference by which the provider's archive was pulled from a registry. Inventories, events and the lattice
    /// tell it; nothing is pulled. Default: none.
    #[must_use]
    pub fn with_image_ref(mut self, reference: impl Into<String>) -> NativeCapability {
        Arc::make_mut(&mut self.descriptor).image = Some(Arc::new(Image { reference: reference.into(), digest: None }));
        self
    }

    /// Sets the digest that the reference stood for when it was pulled: `sha256:` and 64 digits. It has no effect without a
    /// reference, which is set first. Default: none.
    #[must_use]
    pub fn with_image_digest(mut self, digest: impl Into<String>) -> NativeCapability {
        let descriptor = Arc::make_mut(&mut self.descriptor);
        descriptor.image = descriptor.image.take().map(|image| Arc::new(image.with_digest(digest)));
        self
    }

    /// Returns the provider's public key: 56 characters beginning with `V`.
    pub fn id(&self) -> String {
        self.descriptor.key.id.to_string()
    }

    /// Returns the path at which release 0.19 kept the library of a provider, in the folder for temporary files. This
    /// version reads and writes nothing there: it opens a private copy, which it removes at once.
    #[deprecated(since = "0.20.0", note = "no library is kept there: remove this call")]
    pub fn cache_path(&self) -> PathBuf {
        let claims = &self.descriptor.claims;
        let revision = claims.metadata.as_ref().and_then(|metadata| metadata.rev).unwrap_or(0);
        let folder = std::env::temp_dir().join("wasmcloudcache").join(&*self.descriptor.key.id);
        folder.join(revision.to_string()).join(ProviderArchive::host_target())
    }

    /// Returns the link name that the provider runs under.
    pub fn link_name(&self) -> &str {
        &self.descriptor.key.link_name
    }

    /// Returns the contract that the provider serves.
    pub fn contract_id(&self) -> &str {
        &self.descriptor.contract_id
    }

    /// Returns the identity of the provider.
    #[doc(hidden)]
    pub fn descriptor(&self) -> &Arc<ProviderDescriptor> {
        &self.descriptor
    }

    /// Returns where the library of an archive runs. Returns `None` for other providers, which run in the host's process.
    #[doc(hidden)]
    pub fn isolation(&self) -> Option<&Isolation> {
        match &self.code {
            Code::Plugin(plugin) => Some(plugin.isolation()),
            Code::Blocking(_) | Code::Async(_) => None,
        }
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
