//! The lattice as embedders see it.

use std::sync::atomic::Ordering;

use wasmcloud_lattice::LatticeState;

use super::Node;

/// A point-in-time view of a lattice. See [`Host::lattice`](crate::Host::lattice).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LatticeView {
    /// The state of this host. It is ready once it has joined.
    pub state: LatticeState,
    /// The namespace.
    pub namespace: String,
    /// Whether this host is cordoned.
    pub is_cordoned: bool,
}

impl LatticeView {
    pub(super) fn of(node: &Node) -> LatticeView {
        LatticeView {
            state: node.connection.state(),
            namespace: node.namespace.as_str().to_owned(),
            is_cordoned: node.is_cordoned.load(Ordering::Relaxed),
        }
    }
}
