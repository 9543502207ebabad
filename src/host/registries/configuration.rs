//! What the builder of a host knows of registries.

#[cfg(feature = "oci")]
use wasmcloud_core::error::{Error, ErrorKind, Result};
#[cfg(feature = "oci")]
use wasmcloud_oci::RegistryOptions;

use crate::host::HostBuilder;

/// The registries of a builder. The methods of release 0.19 give parts of them one by one.
#[derive(Debug, Clone, Default)]
pub(in crate::host) struct RegistryConfiguration {
    allow_latest: bool,
    insecure: Vec<String>,
    #[cfg(feature = "oci")]
    options: Option<RegistryOptions>,
}

#[cfg(feature = "oci")]
impl RegistryConfiguration {
    /// Returns the options of the client.
    ///
    /// # Errors
    /// `InvalidArgument` if no folder for the cache is set, and the user has none.
    pub(super) fn options(self) -> Result<RegistryOptions> {
        let options = self.options.or_else(|| RegistryOptions::default_cache().map(RegistryOptions::new));
        let mut options = options.ok_or_else(|| {
            let message = "no folder for the cache of registries is set, and neither XDG_CACHE_HOME nor HOME names one: set \
                           one of them, or HostBuilder::with_registries";
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        if self.allow_latest {
            options = options.allow_latest(true);
        }
        Ok(self.insecure.into_iter().fold(options, RegistryOptions::allow_insecure))
    }
}

#[cfg(feature = "lattice")]
impl RegistryConfiguration {
    /// Checks that the host may pull a reference, without asking a registry.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed reference, and for one that is not pinned unless that is allowed; `Unsupported`
    /// without the feature `oci`.
    #[cfg(feature = "oci")]
    pub(in crate::host) fn expect_allowed(&self, reference: &str) -> Result<()> {
        let parsed: wasmcloud_oci::Reference = reference.parse()?;
        let is_allowed =
            self.allow_latest || self.options.as_ref().is_some_and(|options| options.check(&parsed).is_ok());
        if is_allowed { Ok(()) } else { parsed.check_pinned() }
    }

    #[cfg(not(feature = "oci"))]
    pub(in crate::host) fn expect_allowed(&self, reference: &str) -> wasmcloud_core::error::Result<()> {
        Err(super::unsupported(reference))
    }
}

impl HostBuilder {
    /// Allows references with the tag `latest` or without a tag. Default: refused, since such a reference names other
    /// content after each push. It has no effect without the feature `oci`.
    #[must_use]
    pub fn oci_allow_latest(mut self) -> HostBuilder {
        self.0.registries.allow_latest = true;
        self
    }

    /// Adds registries that are reached by HTTP without TLS: `host` or `host:port`, as in references. Default: none. It has
    /// no effect without the feature `oci`.
    #[must_use]
    pub fn oci_allow_insecure(mut self, registries: Vec<String>) -> HostBuilder {
        self.0.registries.insecure.extend(registries);
        self
    }

    /// Sets how actors and provider archives are pulled from registries: cache, credentials, limits of size and time.
    /// [`HostBuilder::oci_allow_latest`] and [`HostBuilder::oci_allow_insecure`] add to it. Default: the defaults of
    /// [`RegistryOptions`], with the cache in [`RegistryOptions::default_cache`].
    #[cfg(feature = "oci")]
    #[must_use]
    pub fn with_registries(mut self, options: RegistryOptions) -> HostBuilder {
        self.0.registries.options = Some(options);
        self
    }
}
