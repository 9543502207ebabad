//! The start and the stop of a host.

use std::sync::Arc;
use std::time::Duration;

use actix::Actor as _;
use wasmcloud_claims::TrustPolicy;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::Result;

use super::builder::Configuration;
use super::own_thread::OwnThread;
use super::start_claim::StartClaim;
use super::{Host, Running};
use crate::event::EventKind;
use crate::shard::Shards;
use crate::supervisor::{Command, Supervisor, SupervisorConfig};

/// The longest period of grace: no clock ends before.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Host {
    /// Starts the host. It lives on the arbiter of this thread, beside whatever else runs there, and ends with it; for
    /// each further shard it makes a thread of its own.
    ///
    /// # Errors
    /// `NoActixSystem` where no actix `System` runs on this thread: see [`Host::start_on_own_thread`].
    /// `HostAlreadyStarted` at a second start, `Io` where a thread cannot be made.
    pub async fn start(&self) -> Result<()> {
        self.start_here(None).await
    }

    /// Starts the host on a thread of its own, with an actix `System` made for it. It is the start for programs without a
    /// `System`, such as those under `#[tokio::main]`, and for those with no runtime at all.
    ///
    /// The handle is used as after [`Host::start`], from any thread. The thread ends when the host has stopped, which
    /// [`Host::stop`] waits for.
    ///
    /// ```
    /// use wasmcloud_host::HostBuilder;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> wasmcloud_host::Result<()> {
    /// let host = HostBuilder::new().build();
    /// host.start_on_own_thread().await?;
    /// assert!(host.actors().await?.is_empty());
    /// host.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `HostAlreadyStarted` at a second start, `Io` where a thread cannot be made.
    pub async fn start_on_own_thread(&self) -> Result<()> {
        OwnThread::start(self.clone()).await
    }

    /// Starts the host on the arbiter of this thread, which is the given one where that was made for the host.
    pub(super) async fn start_here(&self, own_thread: Option<OwnThread>) -> Result<()> {
        let claim = StartClaim::take(&self.0)?;
        let shards = Arc::new(Shards::start(self.0.configuration.shards).await?);
        self.0.dispatch.authority().work_on(&shards);
        let Configuration { compilation, updates, grace, limits, health, trust, .. } = self.0.configuration.clone();
        let grace = grace.unwrap_or(limits.call_deadline).min(LONGEST_GRACE);
        let trust = trust.unwrap_or_else(|| {
            log::warn!("host {} trusts whoever signs: see HostBuilder::with_trust_policy", self.id());
            TrustPolicy::default()
        });
        let config = SupervisorConfig { compilation, updates, grace, health, trust };
        let supervisor = Supervisor::new(self.0.dispatch.clone(), shards.clone(), config).start();
        claim.keep(Running { supervisor, shards, own_thread });
        self.0.dispatch.events().emit(WasmCloudEntity::Host, EventKind::HostStarted);
        log::info!("host {} runs with {} shard(s)", self.id(), self.0.configuration.shards);
        Ok(())
    }

    /// Stops the host: providers bring no new work and finish what is under way, then every actor and provider is
    /// stopped in the reverse order of their starts, then the host's own threads. All of them share one period of grace
    /// ([`HostBuilder::with_stop_grace`]); what takes longer is ended, and starts and other changes that are still under way
    /// then fail with `HostNotRunning`. The actix `System` that it was started on goes on, unless it was made by
    /// [`Host::start_on_own_thread`]. When this returns, that has been done, whoever asked for it first. What could not be stopped
    /// in time is on the log.
    pub async fn stop(&self) {
        let Some(running) = self.0.running.get() else { return };
        let stopped = running.supervisor.send(Command::Stop).await.is_ok();
        if let Some(thread) = &running.own_thread {
            thread.end().await;
        }
        if stopped {
            log::info!("host {} has stopped", self.id());
        }
    }
}
