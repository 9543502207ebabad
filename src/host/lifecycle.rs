//! The start and the stop of a host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::Actor as _;
use wasmcloud_claims::TrustPolicy;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::Result;

use super::builder::Configuration;
#[cfg(feature = "lattice")]
use super::lattice::Joining;
use super::own_thread::OwnThread;
use super::start_claim::StartClaim;
use super::{Host, Running};
use crate::event::EventKind;
use crate::shard::Shards;
use crate::supervisor::{Command, Supervisor, SupervisorConfig};
#[cfg(feature = "telemetry")]
use crate::telemetry::Stage;

/// The longest grace period. A deadline that is further away could overflow a clock.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Host {
    /// Starts the host on the arbiter of the calling thread. The host shares the arbiter with everything else that runs
    /// there, and ends with it. Each further shard gets a thread of its own.
    ///
    /// # Errors
    /// `NoActixSystem` if no actix `System` runs on the calling thread: use [`Host::start_on_own_thread`] there.
    /// `HostAlreadyStarted` if the host was started before. `Io` if a thread cannot be created.
    pub async fn start(&self) -> Result<()> {
        self.start_here(None).await
    }

    /// Starts the host on a new thread with an actix `System` of its own. Programs without a `System`, such as those under
    /// `#[tokio::main]` or without any runtime, start a host this way.
    ///
    /// The handle is used as after [`Host::start`], from any thread. The thread ends when the host has stopped, and
    /// [`Host::stop`] waits for its end.
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
    /// `HostAlreadyStarted` if the host was started before. `Io` if a thread cannot be created.
    pub async fn start_on_own_thread(&self) -> Result<()> {
        OwnThread::start(self.clone()).await
    }

    /// Starts the host on the arbiter of the calling thread. `own_thread` is that thread if it was created for the host.
    pub(super) async fn start_here(&self, own_thread: Option<OwnThread>) -> Result<()> {
        let claim = StartClaim::take(&self.0)?;
        #[cfg(feature = "lattice")]
        let joining = Joining::prepare(&self.0.configuration.lattice)?;
        #[cfg(feature = "lattice")]
        let child_changes = joining.as_ref().map(|joining| joining.changes.clone());
        #[cfg(not(feature = "lattice"))]
        let child_changes = None;
        let shards = Arc::new(Shards::start(self.0.configuration.shards).await?);
        #[cfg(feature = "telemetry")]
        let telemetry = self.begin_telemetry(&shards).await?;
        self.0.dispatch.authority().work_on(&shards);
        let Configuration { compilation, updates, health, trust, .. } = self.0.configuration.clone();
        let grace = self.grace();
        let trust = trust.unwrap_or_else(|| {
            log::warn!(
                "host {} trusts any valid signature: see HostBuilder::with_trust_policy, or `wasmcloud run --trusted-issuer`",
                self.id()
            );
            TrustPolicy::default()
        });
        let config = SupervisorConfig { compilation, updates, grace, health, trust, child_changes };
        let supervisor = Supervisor::new(self.0.dispatch.clone(), shards.clone(), config).start();
        #[cfg(feature = "lattice")]
        let lattice = match joining {
            Some(joining) => {
                let joined = self.join(joining, &supervisor, &shards).await;
                #[cfg(feature = "telemetry")]
                if let (Err(_), Some(telemetry)) = (&joined, &telemetry) {
                    // The next start may want the same port.
                    telemetry.end().await;
                }
                Some(joined?)
            }
            None => None,
        };
        #[cfg(all(feature = "lattice", feature = "telemetry"))]
        if let (Some(telemetry), Some(lattice)) = (&telemetry, &lattice) {
            telemetry.record_on(lattice);
        }
        claim.keep(Running {
            supervisor,
            shards,
            own_thread,
            #[cfg(feature = "telemetry")]
            since: Instant::now(),
            #[cfg(feature = "lattice")]
            lattice,
            #[cfg(feature = "telemetry")]
            telemetry,
            end_is_logged: AtomicBool::new(false),
        });
        #[cfg(feature = "telemetry")]
        self.enter(Stage::Running);
        self.0.dispatch.events().emit(WasmCloudEntity::Host, EventKind::HostStarted);
        log::info!("host {} runs with {} shard(s)", self.id(), self.0.configuration.shards);
        Ok(())
    }

    /// Returns the grace period of stops.
    pub(super) fn grace(&self) -> Duration {
        let Configuration { grace, limits, .. } = &self.0.configuration;
        grace.unwrap_or(limits.call_deadline).min(LONGEST_GRACE)
    }

    /// Stops the host. Returns once shutdown has completed, even if another caller started it.
    ///
    /// A host of a lattice takes no more calls from other hosts, answers those in progress, and leaves in the end.
    ///
    /// Providers bring no new work and finish the work in progress. Actors and providers are then stopped in the reverse
    /// order of their starts, and the host's own threads after them. All of them share one grace period
    /// ([`HostBuilder::with_stop_grace`](crate::HostBuilder::with_stop_grace)). Work that exceeds it is ended. Starts and
    /// other changes that are still in progress then fail with `HostNotRunning`. The log names what could not be stopped
    /// in time.
    ///
    /// The actix `System` that the host was started on keeps running, unless [`Host::start_on_own_thread`] created it.
    pub async fn stop(&self) {
        let Some(running) = self.0.running.get() else { return };
        self.0.registries.close();
        #[cfg(feature = "telemetry")]
        self.enter(Stage::Stopping);
        let deadline = Instant::now() + self.grace();
        #[cfg(feature = "lattice")]
        if let Some(lattice) = &running.lattice {
            lattice.leave(self.grace()).await;
        }
        // It fails if the supervisor has ended already, at the wish of another caller.
        let _ = running.supervisor.send(Command::Stop { deadline: Some(deadline) }).await;
        #[cfg(feature = "lattice")]
        if let Some(lattice) = &running.lattice {
            lattice.end().await;
        }
        #[cfg(feature = "telemetry")]
        if let Some(telemetry) = &running.telemetry {
            telemetry.end().await;
        }
        if let Some(thread) = &running.own_thread {
            thread.end().await;
        }
        // Of several callers, any may be the first to come here.
        if !running.end_is_logged.swap(true, Ordering::Relaxed) {
            log::info!("host {} has stopped", self.id());
        }
    }
}
