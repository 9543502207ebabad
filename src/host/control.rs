//! What operators request of a host over its lattice.
//!
//! # Layout
//! - `orders`: carries out what changes the host
//! - `description`: what the host tells about itself
//! - `auctions`: whether the host could run an actor or provider

mod auctions;
mod description;
mod orders;

use std::sync::{Arc, Weak};
use std::time::Instant;

use wasmcloud_control::message::{
    ActorAuctionRequest, HostSummary, InventoryPage, PageRequest, ProviderAuctionRequest,
};
use wasmcloud_control::{ControlHandler, Order, Work};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::EraEvent;
use wasmcloud_telemetry::state::HostState;

use super::{Host, Inner};

/// Answers operators. It does not keep the host alive.
#[derive(Debug, Clone)]
pub(super) struct HostControl {
    host: Weak<Inner>,
    started: Instant,
}

impl HostControl {
    pub(super) fn of(host: &Host) -> Arc<HostControl> {
        Arc::new(HostControl { host: Arc::downgrade(&host.0), started: Instant::now() })
    }

    /// Returns the host while it runs.
    ///
    /// # Errors
    /// `HostNotRunning`.
    fn host(&self) -> Result<Host> {
        let stopped = || Error::new(ErrorKind::HostNotRunning, "the host is being stopped");
        let host = Host(self.host.upgrade().ok_or_else(stopped)?);
        host.running()?;
        Ok(host)
    }
}

impl ControlHandler for HostControl {
    fn summary(&self) -> HostSummary {
        self.host().map_or_else(|_| HostSummary::default(), |host| description::summary(&host, self.started))
    }

    fn page(&self, request: &PageRequest) -> InventoryPage {
        self.host().map_or_else(|_| InventoryPage::default(), |host| description::page(&host, self.started, request))
    }

    fn state(&self) -> Result<Arc<HostState>> {
        let host = self.host()?;
        #[cfg(feature = "telemetry")]
        return host.state();
        #[cfg(not(feature = "telemetry"))]
        {
            let message = format!("host {} tells no state: it was built without telemetry", host.id());
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }

    fn can_run_actor(&self, request: &ActorAuctionRequest) -> bool {
        self.host().and_then(|host| auctions::expect_actor(&host, request)).is_ok()
    }

    fn can_run_provider(&self, request: &ProviderAuctionRequest) -> bool {
        self.host().and_then(|host| auctions::expect_provider(&host, request)).is_ok()
    }

    fn carry_out(self: Arc<Self>, order: Order) -> Work {
        Box::pin(async move {
            match self.host() {
                Ok(host) => orders::carry_out(host, order).await,
                Err(stopped) => Err(stopped).into(),
            }
        })
    }

    fn failed(&self, order: &Order, error: &Error) {
        let failure = error.to_string();
        let event = match order {
            Order::StartActor(command) => EraEvent::ActorStartFailed { actor_ref: command.actor_ref.clone(), failure },
            Order::StartProvider(command) => EraEvent::ProviderStartFailed {
                provider_ref: command.provider_ref.clone(),
                link_name: command.link_name.clone(),
                failure,
            },
            _ => return,
        };
        let Ok(host) = self.host() else { return };
        if let Some(lattice) = host.joined_lattice() {
            let runtime = lattice.runtime().clone();
            runtime.spawn(async move {
                if let Some(lattice) = host.joined_lattice() {
                    lattice.tell_of_2021(event).await;
                }
            });
        }
    }
}
