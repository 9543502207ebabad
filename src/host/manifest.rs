//! Plans and applications of manifests.
//!
//! # Layout
//! - `comparison`: compares a manifest with what runs
//! - `application`: makes the changes

mod application;
mod comparison;

use std::sync::Arc;

use wasmcloud_core::error::{ErrorKind, Result};

use super::Host;
use crate::manifest::{ApplyOptions, HostManifest, ManifestFailures, ManifestOutcome, ManifestPlan};

impl Host {
    /// Returns what [`Host::apply_manifest_with`] would change. Everything that an application checks is checked, images are
    /// pulled into the cache, and nothing else is changed.
    ///
    /// ```
    /// use wasmcloud_host::{ApplyOptions, HostBuilder, HostManifest, PlanAction};
    ///
    /// # #[actix_rt::main]
    /// # async fn main() -> wasmcloud_host::Result<()> {
    /// let host = HostBuilder::new().build();
    /// host.start().await?;
    /// let manifest = HostManifest::from_yaml("capabilities: [{ image_ref: 'builtin:logging' }]")?;
    ///
    /// let plan = host.plan_manifest(manifest.clone(), ApplyOptions::new()).await?;
    /// assert_eq!(plan.steps[0].action, PlanAction::Start);
    ///
    /// host.apply_manifest_with(manifest.clone(), ApplyOptions::new()).await?;
    /// assert!(host.plan_manifest(manifest, ApplyOptions::new()).await?.is_empty());
    /// # host.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `InvalidManifest` if an entry cannot be applied. The cause is [`ManifestFailures`], with the error of each entry
    /// - `HostNotRunning`; `Io` if no thread can be created
    pub async fn plan_manifest(&self, manifest: HostManifest, options: ApplyOptions) -> Result<ManifestPlan> {
        self.running()?;
        let applications = self.0.manifests.lock().await;
        Ok(self.compare(&Arc::new(manifest), &options, &applications).await?.plan(self.id()))
    }

    /// Makes the host run what a manifest describes, and returns what was changed, with the result of each change.
    ///
    /// The whole manifest is checked first, and nothing is changed if a check fails. The changes are made in this order: what
    /// is pruned is unlinked and stopped, then labels are set, providers and actors started or replaced, and links set in
    /// their order. A change that fails does not end the others.
    ///
    /// Another revision of a running actor or provider replaces it, which needs
    /// [`enable_live_updates`](crate::HostBuilder::enable_live_updates). An actor drops no calls; a provider is stopped before
    /// its successor starts. A successor that crashes or is unhealthy within its [probation](ApplyOptions::probation) gives
    /// way to the previous revision: see [`StepResult::RolledBack`](crate::StepResult::RolledBack) and
    /// [`EventKind::UpdateRolledBack`](crate::EventKind::UpdateRolledBack).
    ///
    /// Applying a manifest twice changes nothing the second time. Concurrent applications run one after another.
    ///
    /// # Errors
    /// - `InvalidManifest` if an entry cannot be applied; nothing was changed. The cause is [`ManifestFailures`]
    /// - `Busy` if the host remembers too many manifests
    /// - `HostNotRunning`; `Io` if no thread can be created
    pub async fn apply_manifest_with(&self, manifest: HostManifest, options: ApplyOptions) -> Result<ManifestOutcome> {
        self.running()?;
        let mut applications = self.0.manifests.lock().await;
        let comparison = self.compare(&Arc::new(manifest), &options, &applications).await?;
        self.make_changes(comparison, &options, &mut applications).await
    }

    /// Applies a manifest: adds its labels, starts its providers, then its actors, and then sets its links in their
    /// order.
    ///
    /// The whole manifest is checked first. Files must be readable and carry valid signatures, references must be
    /// well-formed, names must resolve, claims must include the capabilities that links need, and no entry may occur twice.
    /// If a check fails, nothing is changed. Failures that only appear during the application, such as a port in use or a
    /// provider that refuses a link, do not end it: the other entries are applied, and the error names every entry that
    /// failed.
    ///
    /// A manifest can be applied again, after a failure or a change. Actors and providers that run with the same token stay
    /// as they are, and so do established links with the same values. Failed actors and providers are restarted. Changed
    /// values of a link, changed options of an actor and a changed number of instances take effect. Another revision of an
    /// actor or provider replaces the running one, which needs
    /// [`enable_live_updates`](crate::HostBuilder::enable_live_updates); see [`Host::apply_manifest_with`]. What a manifest
    /// does not name is neither stopped nor removed.
    ///
    /// Concurrent applications run one after another. Files are read on a separate thread.
    ///
    /// ```
    /// use wasmcloud_host::{HostBuilder, HostManifest};
    ///
    /// # #[actix_rt::main]
    /// # async fn main() -> wasmcloud_host::Result<()> {
    /// let host = HostBuilder::new().build();
    /// host.start().await?;
    /// let manifest = HostManifest::from_yaml("
    /// labels: { zone: cellar }
    /// capabilities: [{ image_ref: 'builtin:logging' }]
    /// ")?;
    /// host.apply_manifest(manifest).await?;
    /// assert_eq!(host.labels().await["zone"], "cellar");
    /// assert_eq!(host.providers().await?[0].contract_id, "wasmcloud:logging");
    /// # host.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - `InvalidManifest` if nothing was changed
    /// - `ManifestIncomplete` if an entry failed or was rolled back; the other entries run
    /// - `HostNotRunning`; `Io` if no thread can be created
    ///
    /// The cause of the first two is [`ManifestFailures`], with the error of each entry.
    pub async fn apply_manifest(&self, manifest: HostManifest) -> Result<()> {
        let title = manifest.title();
        let outcome = self.apply_manifest_with(manifest, ApplyOptions::new()).await?;
        let mut failures = ManifestFailures::default();
        for step in outcome.steps {
            failures.record(step.step.entry, step.result.error().map_or(Ok(()), Err));
        }
        failures.into_result(&title, ErrorKind::ManifestIncomplete)
    }
}
