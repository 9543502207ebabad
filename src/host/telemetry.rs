//! The telemetry of a host: its port, and the state that it tells.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wasmcloud_core::error::Result;
#[cfg(feature = "lattice")]
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_core::text::escaped;
use wasmcloud_telemetry::TelemetryOptions;
#[cfg(feature = "lattice")]
use wasmcloud_telemetry::state::HostState;

use super::{Host, HostBuilder};
#[cfg(feature = "lattice")]
use crate::lattice::Lattice;
use crate::shard::Shards;
use crate::telemetry::{Clock, Elsewhere, HostFacts, Phase, Recorder, Stage, TelemetryService};

/// The telemetry of a running host.
pub(super) struct Telemetry {
    /// Used by the control interface.
    #[cfg_attr(not(feature = "lattice"), expect(dead_code, reason = "operators ask over a lattice"))]
    recorder: Arc<Recorder>,
    service: Option<TelemetryService>,
    phase: Arc<Phase>,
}

impl Telemetry {
    /// Records figures on the thread of the lattice, if there is no port whose thread does.
    #[cfg(feature = "lattice")]
    pub(super) fn record_on(&self, lattice: &Lattice) {
        if self.service.is_none() {
            lattice.runtime().spawn(Recorder::tick(Arc::downgrade(&self.recorder)));
        }
    }

    /// Closes the port.
    pub(super) async fn end(&self) {
        if let Some(service) = &self.service {
            service.end().await;
        }
    }
}

impl HostBuilder {
    /// Serves the dashboard, metrics, health and the state of the host on an HTTP port, and counts what they tell
    /// ([`HostBuilder::with_metrics`]). Default: there is no port.
    ///
    /// ```
    /// use wasmcloud_host::{HostBuilder, TelemetryOptions};
    ///
    /// # #[actix_rt::main]
    /// # async fn main() -> wasmcloud_host::Result<()> {
    /// let host = HostBuilder::new().with_telemetry(TelemetryOptions::new(([127, 0, 0, 1], 0).into())).build();
    /// host.start().await?;
    /// println!("the dashboard is at http://{}/", host.telemetry_address().expect("the port is open"));
    /// host.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_telemetry(mut self, options: TelemetryOptions) -> HostBuilder {
        self.0.telemetry = Some(options);
        self.with_metrics()
    }
}

impl Host {
    /// Returns the address of the host's telemetry. `None` if it was built without, or has not been started.
    pub fn telemetry_address(&self) -> Option<SocketAddr> {
        Some(self.telemetry()?.service.as_ref()?.address())
    }

    /// Makes `/readyz` tell that the host is not ready, for a reason, or leaves it to the host again. A program calls it while it
    /// has not started all that it wants to run. See [`TelemetryOptions::unready`]. Without telemetry it has no effect.
    pub fn set_unready(&self, reason: Option<&str>) {
        if let Some(telemetry) = self.telemetry() {
            telemetry.phase.set_unready(reason.map(|reason| escaped(reason).into_owned()));
        }
    }

    /// Returns the state that the dashboard shows.
    ///
    /// # Errors
    /// `HostNotRunning`; `Unsupported` if the host does not count.
    #[cfg(feature = "lattice")]
    pub(super) fn state(&self) -> Result<Arc<HostState>> {
        self.running()?;
        let untold = || {
            let message = format!(
                "host {} tells no state, since it counts no calls: start it with a port for telemetry, or with metrics",
                self.id()
            );
            Error::new(ErrorKind::Unsupported, message)
        };
        self.telemetry().ok_or_else(untold)?.recorder.whole_state()
    }

    /// Makes the readiness tell where the host is between its start and its end.
    pub(super) fn enter(&self, stage: Stage) {
        if let Some(telemetry) = self.telemetry() {
            telemetry.phase.enter(stage);
        }
    }

    fn telemetry(&self) -> Option<&Telemetry> {
        self.0.running.get()?.telemetry.as_ref()
    }

    /// Begins to tell of a host that is being started: on the port, if there is one, and to operators.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options; `Io` if the port cannot be opened.
    pub(super) async fn begin_telemetry(&self, shards: &Arc<Shards>) -> Result<Option<Telemetry>> {
        let options = self.0.configuration.telemetry.clone();
        let phase = Arc::new(Phase::new(options.as_ref().and_then(TelemetryOptions::unready_reason)));
        let facts = self.facts(shards, &phase);
        let Some(options) = options else { return Ok(self.telemetry_without_port(facts, phase)) };
        let recorder = Arc::new(Recorder::new(facts));
        let service = TelemetryService::start(options, recorder.clone(), self.events(), self.metrics()).await?;
        log::info!("the dashboard of host {} is at http://{}/", self.id(), service.address());
        Ok(Some(Telemetry { recorder, service: Some(service), phase }))
    }

    /// Returns the telemetry of a host that only its lattice may ask. `None` if it does not count: figures would be made up.
    fn telemetry_without_port(&self, facts: HostFacts, phase: Arc<Phase>) -> Option<Telemetry> {
        #[cfg(feature = "lattice")]
        if self.0.configuration.lattice.options().is_some() && self.0.dispatch.instruments().is_on() {
            let recorder = Arc::new(Recorder::hearing(facts, self.events()));
            return Some(Telemetry { recorder, service: None, phase });
        }
        let _ = (facts, phase);
        None
    }

    fn facts(&self, shards: &Arc<Shards>, phase: &Arc<Phase>) -> HostFacts {
        // A handle would keep the host alive.
        let host = Arc::downgrade(&self.0);
        #[cfg(feature = "lattice")]
        let of_lattice = host.clone();
        HostFacts {
            id: self.id(),
            clock: Clock::start(),
            dispatch: self.0.dispatch.clone(),
            shards: shards.clone(),
            labels: Box::new(move || host.upgrade().map_or_else(HashMap::new, |host| host.labels.all())),
            #[cfg(feature = "lattice")]
            lattice: Box::new(move || Some(Host(of_lattice.upgrade()?).joined_lattice()?.hosts())),
            elsewhere: self.elsewhere(),
            phase: phase.clone(),
        }
    }

    /// Returns what other hosts run, without keeping this one alive.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        #[cfg(feature = "lattice")]
        {
            let host = Arc::downgrade(&self.0);
            let has_lattice = self.0.configuration.lattice.options().is_some();
            Elsewhere {
                has_lattice: Box::new(move || has_lattice),
                host_of_provider: Box::new(move |link| Host(host.upgrade()?).joined_lattice()?.host_of_provider(link)),
            }
        }
        #[cfg(not(feature = "lattice"))]
        {
            Elsewhere { has_lattice: Box::new(|| false), host_of_provider: Box::new(|_| None) }
        }
    }
}
