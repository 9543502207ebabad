//! What the thread of the lattice runs from its start on: the connections of control, membership, and advertisements.

use std::sync::Arc;

use nkeys::KeyPair;
use tokio::sync::mpsc;
use wasmcloud_core::error::Result;
use wasmcloud_lattice::{
    Advertised, Advertisements, Connection, LatticeOptions, Membership, MembershipSettings, Namespace,
    TransferSettings, Transfers,
};

use super::Labels;
use super::inventory::HostInventory;
use crate::dispatch::Dispatch;

/// How many payloads of the greatest length are moved in chunks at the same time.
const TRANSFERS: usize = 4;

/// How many advertisements wait to be applied. Further ones are dropped.
const ADVERTISED: usize = 16 * 1024;

/// What the foundation is laid with.
pub(super) struct FoundationConfig {
    pub(super) options: LatticeOptions,
    pub(super) key: Arc<KeyPair>,
    pub(super) dispatch: Dispatch,
    pub(super) labels: Labels,
}

/// What a host needs before it can call others.
pub(super) struct Foundation {
    pub(super) namespace: Namespace,
    pub(super) connection: Connection,
    pub(super) control: Connection,
    pub(super) inventory: Arc<HostInventory>,
    pub(super) membership: Membership,
    pub(super) transfers: Transfers,
    pub(super) advertisements: Advertisements,
    pub(super) advertised: mpsc::Receiver<Advertised>,
}

impl Foundation {
    /// Begins to connect. The tasks run on the current runtime.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options.
    pub(super) fn lay(config: FoundationConfig) -> Result<Foundation> {
        let FoundationConfig { options, key, dispatch, labels } = config;
        let namespace = Namespace::new(options.namespace_name())?;
        let connection = Connection::start(options.calls_connection(), &namespace, "lattice")?;
        let control = if options.is_control_separate() {
            Connection::start(options.control_connection_options(), &namespace, "control")?
        } else {
            connection.clone()
        };
        let inventory = Arc::new(HostInventory::new(dispatch.clone(), labels));
        let settings = MembershipSettings {
            connection: connection.clone(),
            control: control.clone(),
            key: key.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            source: inventory.clone(),
            era_source: Some(inventory.clone()),
        };
        let membership = Membership::start(&options, settings)?;
        let message_bytes = dispatch.limits().message_bytes;
        let transfers = Transfers::start(TransferSettings {
            namespace: namespace.clone(),
            connection: connection.clone(),
            host: key.public_key(),
            message_bytes,
            offered_bytes: message_bytes.saturating_mul(TRANSFERS),
            fetched_bytes: message_bytes.saturating_mul(TRANSFERS),
        });
        let (sender, advertised) = mpsc::channel(ADVERTISED);
        let host = key.public_key();
        let source = inventory.clone();
        let advertisements =
            Advertisements::start(&options, &host, connection.clone(), control.clone(), source, sender)?;
        Ok(Foundation { namespace, connection, control, inventory, membership, transfers, advertisements, advertised })
    }
}
