//! Carrying out a manifest.

use std::sync::Arc;

use futures_util::future::join_all;
use wasmcloud_claims::TrustState;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_plugin::NativeCapability;

use super::Host;
use crate::dispatch::snapshot::Condition;
use crate::link::{LinkDefinition, LinkState};
use crate::manifest::plan::{Plan, PlanContext, PlannedActor};
use crate::manifest::{HostManifest, ManifestFailures};

impl Host {
    /// Has the host run what a manifest names: adds its labels, starts its providers, then its actors, and then sets its links
    /// in their order.
    ///
    /// All of it is checked first: that files can be read, are signed and are what was signed, that references are
    /// well-formed, that names lead somewhere, that claims allow what links ask for, that nothing is there twice. Where
    /// anything is wrong, nothing is done. What can only be seen by doing it — a port that is taken, a provider that refuses a
    /// link — is tried to the end: what succeeds stays, and the error names everything that failed.
    ///
    /// So a manifest can be applied again, after a failure or a change. What runs already with the same token is left as it
    /// is, and so are links that are established as the manifest has them; what has failed is started anew, and other values
    /// of a link and another number of instances take effect. Another revision of an actor that runs is refused: see [`Host::update_actor`]. Nothing is
    /// stopped or removed because a manifest does not name it.
    ///
    /// Manifests that are applied at the same time are applied one after the other. Files are read on a thread of their own.
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
    /// `InvalidManifest` where nothing was done; `ManifestIncomplete` where something failed and the rest runs. The cause of
    /// both is [`ManifestFailures`], with each entry's own error. `HostNotRunning`; `Io` where no thread can be made.
    pub async fn apply_manifest(&self, manifest: HostManifest) -> Result<()> {
        self.running()?;
        let _turn = self.0.manifests.lock().await;
        let manifest = Arc::new(manifest);
        let plan = self.plan(manifest.clone()).await?;
        self.0.labels.merge(manifest.labels.clone());
        self.carry_out(plan).await.into_result(&manifest.name(), ErrorKind::ManifestIncomplete)
    }

    /// Checks a manifest beside the shards.
    async fn plan(&self, manifest: Arc<HostManifest>) -> Result<Plan> {
        let dispatch = self.0.dispatch.clone();
        let (limits, restart) = (self.0.configuration.limits, self.0.configuration.restart);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let check = move || {
            let holder_of = |alias: &str| dispatch.snapshot().aliases.get(alias).map(|holder| holder.to_string());
            // Whoever asked may have given up.
            let _ = answer.send(manifest.plan(&PlanContext { limits, restart, holder_of: &holder_of }));
        };
        let thread = std::thread::Builder::new().name("manifest".to_owned()).spawn(check);
        thread.map_err(|error| Error::new(ErrorKind::Io, "cannot make a thread to read files on").caused_by(error))?;
        answered.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the check of the manifest panicked")))
    }

    async fn carry_out(&self, plan: Plan) -> ManifestFailures {
        let mut failures = ManifestFailures::default();
        for (entry, capability) in plan.capabilities {
            failures.record(entry, self.have_provider(capability).await);
        }
        let started = plan.actors.into_iter().map(async |(entry, actor)| (entry, self.have_actor(actor).await));
        for (entry, outcome) in join_all(started).await {
            failures.record(entry, outcome);
        }
        for (entry, link) in plan.links {
            failures.record(entry, self.have_link(link).await);
        }
        failures
    }

    /// Starts a provider, unless it runs.
    async fn have_provider(&self, capability: NativeCapability) -> Result<()> {
        let wanted = capability.descriptor();
        let runs = self.0.dispatch.snapshot().providers.get(&wanted.key).is_some_and(|running| {
            let same = if wanted.signed { running.identity.claims == wanted.claims } else { !running.identity.signed };
            same && is_up(&running.condition, &running.identity.trust)
        });
        if runs { Ok(()) } else { self.start_native_capability(capability).await }
    }

    /// Starts an actor, unless it runs. One that runs with another number of instances than it should is scaled.
    async fn have_actor(&self, planned: PlannedActor) -> Result<()> {
        let PlannedActor { actor, options, instances } = planned;
        let wanted = actor.shared_claims();
        let running = self.0.dispatch.snapshot().actors.get(wanted.subject.as_str()).and_then(|running| {
            let identity = &running.identity;
            let runs = identity.claims == wanted && is_up(&running.condition, &identity.trust) && !running.draining;
            runs.then(|| running.instances.mailboxes().len())
        });
        match (running, instances) {
            (None, _) => self.start_actor_with(actor, options).await,
            (Some(running), Some(wanted)) if running != wanted => self.scale_actor(&actor.public_key(), wanted).await,
            (Some(_), _) => Ok(()),
        }
    }

    /// Sets a link, unless it is established.
    async fn have_link(&self, link: LinkDefinition) -> Result<()> {
        let key = link.key();
        let find = || self.0.dispatch.snapshot().links.get(&key).cloned();
        if find().is_some_and(|known| *known.definition == link && known.state == LinkState::Established) {
            return Ok(());
        }
        let LinkDefinition { actor_id, provider_id, link_name, contract_id, values } = link;
        self.set_link(&actor_id, &contract_id, Some(link_name), provider_id, values).await?;
        if find().is_some_and(|link| link.state == LinkState::Pending) {
            log::warn!("the {key} waits: its actor or its provider does not run");
        }
        Ok(())
    }
}

/// Whether something can be called, or will be when it has been replaced after a crash.
fn is_up(condition: &Condition, trust: &TrustState) -> bool {
    !matches!(condition, Condition::Failed(_)) && trust.lost().is_none()
}
