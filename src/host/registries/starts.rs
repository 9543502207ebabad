//! Starts of actors and providers by their references in registries.

use wasmcloud_core::error::Result;
use wasmcloud_plugin::{Isolation, NativeCapability};

use crate::host::Host;
use crate::supervisor::placement::ActorOptions;
use crate::supervisor::restart::RestartPolicy;

impl Host {
    /// Pulls an actor from an OCI registry and starts it. See [`Host::start_actor`].
    ///
    /// The reference is resolved to a digest, and what the digest names is verified and kept in a cache. If the registry
    /// cannot be reached, the last known digest of a tag is used and a warning is logged.
    ///
    /// # Errors
    /// - `InvalidArgument` for a malformed reference, one of a provider archive, and one with the tag `latest` or none,
    ///   unless [`oci_allow_latest`](crate::HostBuilder::oci_allow_latest) is set
    /// - `OciUnavailable`, `OciDenied`, `OciNotFound` or `OciRefused` as the registry answers
    /// - `Io` if the cache cannot be used
    /// - `Unsupported` without the feature `oci`
    /// - those of [`Actor::from_slice`](crate::Actor::from_slice) and [`Host::start_actor`]
    pub async fn start_actor_from_registry(&self, actor_ref: &str) -> Result<()> {
        self.start_actor_from_registry_with(actor_ref, ActorOptions::default()).await
    }

    /// Pulls an actor from an OCI registry and starts it with options. The options' reference is replaced.
    ///
    /// # Errors
    /// Those of [`Host::start_actor_from_registry`].
    pub async fn start_actor_from_registry_with(&self, actor_ref: &str, options: ActorOptions) -> Result<()> {
        self.running()?;
        let fetched = self.fetch_actor(actor_ref).await?;
        let options = options.image_ref(fetched.image.reference).image_digest(fetched.image.digest);
        self.start_actor_with(fetched.content, options).await
    }

    /// Pulls a provider archive from an OCI registry and starts its library for this machine, in the process of the host.
    /// `link_name` is the link name that the provider runs under. Default: `default`.
    ///
    /// # Errors
    /// - those of [`Host::start_actor_from_registry`] that concern registries
    /// - those of [`ProviderArchive::try_load`](crate::ProviderArchive::try_load) and
    ///   [`NativeCapability::from_archive`](crate::NativeCapability::from_archive)
    /// - those of [`Host::start_native_capability`]
    pub async fn start_capability_from_registry(&self, cap_ref: &str, link_name: Option<String>) -> Result<()> {
        let restart = self.0.configuration.restart;
        self.start_capability_from_registry_with(cap_ref, link_name, Isolation::InProcess, restart).await
    }

    /// Pulls a provider archive from an OCI registry and starts it, with a choice of its process and its restart policy.
    ///
    /// # Errors
    /// Those of [`Host::start_capability_from_registry`].
    pub async fn start_capability_from_registry_with(
        &self,
        cap_ref: &str,
        link_name: Option<String>,
        isolation: Isolation,
        policy: RestartPolicy,
    ) -> Result<()> {
        self.running()?;
        let fetched = self.fetch_archive(cap_ref).await?;
        let capability = NativeCapability::from_archive_isolated(&fetched.content, link_name, isolation)?;
        let capability = capability.with_image_ref(fetched.image.reference).with_image_digest(fetched.image.digest);
        self.start_native_capability_with(capability, policy).await
    }
}
