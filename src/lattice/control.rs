//! The control interface of the host: its service, and the events that it publishes for operators, in the format of current
//! hosts and in that of 2021.

mod telling;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nkeys::KeyPair;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use wasmcloud_control::{
    ControlAuthority, ControlCounts, ControlEvent, ControlHandler, ControlService, ControlSettings, kinds,
};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::{EraEvent, LatticeOptions};

use super::foundation::Foundation;
use super::{Lattice, Node};
use crate::child::Child;
use crate::event::{Event, EventKind};
pub(crate) use telling::health_text;

/// How long the events of a stop may take to be published.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// How often a drain looks whether calls are still in progress.
const OBSERVATION: Duration = Duration::from_millis(5);

/// The control interface of a host.
pub(super) struct ControlInterface {
    service: ControlService,
    is_open: bool,
    /// How often each child was restarted since its start.
    restarts: Mutex<HashMap<Child, u64>>,
    /// Publishes the events of the host.
    events: Mutex<Option<JoinHandle<()>>>,
}

impl ControlInterface {
    /// Starts to serve, on the runtime of the lattice.
    ///
    /// # Errors
    /// `InvalidArgument` for an issuer that is none.
    pub(super) fn start(
        options: &LatticeOptions,
        key: &KeyPair,
        foundation: &Foundation,
        handler: Arc<dyn ControlHandler>,
        runtime: &Handle,
    ) -> Result<ControlInterface> {
        let authority = ControlAuthority::new(options.control_issuer_keys().iter().cloned(), options.window())?;
        let is_open = authority.is_open();
        let settings = ControlSettings {
            namespace: foundation.namespace.clone(),
            host: key.public_key(),
            connection: foundation.control.clone(),
            authority,
            handler,
        };
        let _runtime = runtime.enter();
        let service = ControlService::start(settings)?;
        Ok(ControlInterface { service, is_open, restarts: Mutex::default(), events: Mutex::default() })
    }

    /// Returns whether any program on the NATS server may control the host.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn counts(&self) -> ControlCounts {
        self.service.counts()
    }

    /// Takes note of the task that publishes events.
    pub(super) fn follow(&self, task: JoinHandle<()>) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Takes no more requests, and waits until the last events have been published, if they can be.
    pub(super) async fn leave(&self, is_connected: bool) {
        self.service.leave().await;
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(events) = events
            && is_connected
            && timeout(LAST_EVENTS, events).await.is_err()
        {
            log::debug!("the last events of the host are not published");
        }
    }

    fn restarts_of(&self, child: &Child) -> u64 {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).get(child).copied().unwrap_or(0)
    }

    /// Counts restarts. A child that starts or stops begins anew.
    fn count(&self, event: &Event) {
        let Ok(child) = Child::of(&event.entity) else { return };
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        match event.kind {
            EventKind::Started | EventKind::Stopped => drop(restarts.remove(&child)),
            EventKind::Restarted { .. } => *restarts.entry(child).or_default() += 1,
            _ => {}
        }
    }
}

/// Publishes the events of the host, until it has stopped.
pub(super) async fn follow(node: Arc<Node>) {
    let mut events = node.dispatch.events().subscribe(None);
    // What has happened before the first connection is told then. What happens without a connection later is not.
    if !node.control.joined().await {
        return;
    }
    while let Some(event) = events.next().await {
        node.control_interface.count(&event);
        if let Some(told) = telling::event(&event) {
            node.tell(told).await;
        }
        if let Some(told) = telling::event_of_2021(&event) {
            node.tell_of_2021(&told).await;
        }
        if event.kind == EventKind::HostStopped {
            return;
        }
    }
}

impl Node {
    async fn tell(&self, event: ControlEvent) {
        if let Err(error) = self.control_interface.service.tell(event).await {
            log::debug!("an event is not told: {error}");
        }
    }

    async fn tell_of_2021(&self, event: &EraEvent) {
        if let Err(error) = self.membership.tell(event).await {
            log::debug!("an event of 2021 is not told: {error}");
        }
    }

    pub(super) async fn tell_cordon(&self, is_cordoned: bool) {
        let kind = if is_cordoned { kinds::HOST_CORDONED } else { kinds::HOST_UNCORDONED };
        self.tell(ControlEvent::new(kind)).await;
    }
}

impl Lattice {
    /// Returns whether the host accepts nothing new from the lattice.
    pub(crate) fn is_cordoned(&self) -> bool {
        self.node.is_cordoned.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Returns how many current hosts are up, this one included.
    pub(crate) fn hosts_up(&self) -> usize {
        let peers = self.node.membership.peers();
        1 + peers.iter().filter(|peer| peer.status == wasmcloud_lattice::PeerStatus::Up).count()
    }

    /// Returns how many hosts of 2021 were heard lately.
    pub(crate) fn hosts_of_2021(&self) -> usize {
        self.node.membership.era_hosts().len()
    }

    /// Returns the number that changes with each start and stop.
    pub(crate) fn inventory_revision(&self) -> u64 {
        wasmcloud_lattice::InventorySource::version(&*self.node.inventory)
    }

    /// Returns how often a child was restarted since its start.
    pub(crate) fn restarts_of(&self, child: &Child) -> u64 {
        self.node.control_interface.restarts_of(child)
    }

    /// Tells other hosts and operators that labels have changed.
    pub(crate) async fn labels_changed(&self) {
        self.node.inventory.changed();
        self.node.membership.inventory_changed();
        self.node.tell(ControlEvent::new(kinds::HOST_LABELED)).await;
    }

    /// Publishes an event of 2021.
    pub(crate) async fn tell_of_2021(&self, event: EraEvent) {
        self.node.tell_of_2021(&event).await;
    }

    /// Publishes an event.
    pub(crate) async fn tell(&self, event: ControlEvent) {
        self.node.tell(event).await;
    }

    /// Returns the runtime of the lattice.
    pub(crate) fn runtime(&self) -> &Handle {
        self.thread.runtime()
    }

    /// Cordons the host and waits until the calls of other hosts that are in progress are answered.
    ///
    /// # Errors
    /// `DeadlineExceeded` if some are not within `limit`. The host stays cordoned.
    pub(crate) async fn drain(&self, limit: Duration) -> Result<()> {
        self.set_cordoned(true).await?;
        self.node.membership.set_cordoned(true, true);
        self.tell(ControlEvent::new(kinds::HOST_DRAINING)).await;
        let end = Instant::now() + limit;
        while self.node.rpc.in_progress() > 0 {
            if Instant::now() >= end {
                let calls = self.node.rpc.in_progress();
                let message =
                    format!("{calls} calls of other hosts are still in progress after {limit:?}: drain again");
                return Err(Error::new(ErrorKind::DeadlineExceeded, message));
            }
            sleep(OBSERVATION).await;
        }
        Ok(())
    }
}
