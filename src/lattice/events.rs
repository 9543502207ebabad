//! The changes of the lattice, as events of the host and lines of its log.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_lattice::{ConnectionEvent, LatticeState, MembershipEvent};

use super::Node;
use crate::event::EventKind;

/// Emits events until the host stops.
pub(super) async fn follow(node: Arc<Node>) {
    let mut connected = node.connection.watch();
    let mut calls = node.calls.watch();
    let mut control = node.control.watch();
    let mut known = node.is_known.subscribe();
    let mut peers = node.membership.events();
    let mut connection = node.connection.events();
    let mut last = LatticeState::Joining;
    loop {
        let state = node.state();
        if std::mem::discriminant(&state) != std::mem::discriminant(&last) {
            log::info!("host {} in lattice {}: {state}", node.host_id, node.namespace);
            node.emit(EventKind::LatticeChanged { state: state.clone() });
            last = state;
        }
        tokio::select! {
            changed = connected.changed() => if changed.is_err() { return },
            changed = calls.changed() => if changed.is_err() { return },
            changed = control.changed() => if changed.is_err() { return },
            changed = known.changed() => if changed.is_err() { return },
            event = peers.recv() => match event {
                Ok(event) => node.report_peer(event),
                Err(RecvError::Lagged(missed)) => log::warn!("{missed} changes of the lattice's hosts were not reported"),
                Err(RecvError::Closed) => return,
            },
            event = connection.recv() => match event {
                Ok(event) => node.report_connection(event),
                Err(RecvError::Lagged(missed)) => log::warn!("{missed} events of the lattice were not reported"),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

impl Node {
    /// Returns the state of the host in the lattice.
    pub(super) fn state(&self) -> LatticeState {
        let state = self.connection.state().and(self.control.state()).and(self.calls.state());
        if state.is_joined() && !*self.is_known.borrow() { LatticeState::Joining } else { state }
    }

    fn emit(&self, kind: EventKind) {
        self.dispatch.events().emit(WasmCloudEntity::Host, kind);
    }

    fn report_peer(&self, event: MembershipEvent) {
        #[cfg(feature = "telemetry")]
        if let Some(peer) = event.host().and_then(|host| self.membership.peer(host)) {
            self.silent.note(&peer);
        }
        match event {
            MembershipEvent::Up { host } => self.emit(EventKind::PeerUp { host }),
            MembershipEvent::Down { host } => self.emit(EventKind::PeerDown { host }),
            MembershipEvent::Left { host } => self.emit(EventKind::PeerLeft { host }),
            MembershipEvent::DuplicateKey => {
                log::error!("another host of the lattice uses the key of host {}: give one another", self.host_id);
            }
            _ => {}
        }
    }

    fn report_connection(&self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::SlowConsumer => {
                log::warn!("host {} reads too slowly: messages of the lattice were dropped", self.host_id);
                self.emit(EventKind::SlowConsumer);
            }
            ConnectionEvent::PermissionDenied { subject, .. } => {
                log::error!("the NATS server denies the subject {subject}: allow it to the user of the host");
                self.emit(EventKind::LatticeDenied { subject });
            }
            ConnectionEvent::AttemptFailed { reason } => log::warn!("the NATS server cannot be reached: {reason}"),
            ConnectionEvent::ServerError { text } => log::warn!("the NATS server reports: {text}"),
            _ => {}
        }
    }
}
