//! Starts, stops and other changes of children in progress. Each child has at most one, and the host's stop waits for all
//! of them.

use std::pin::pin;

use wasmcloud_core::error::Result;

use super::Supervision;
use super::registry::Registry;
use crate::child::Child;
use crate::identity::ActorIdentity;

/// A change in progress. It ends when this is dropped.
pub(super) struct Transition<'a> {
    supervision: &'a Supervision,
    child: Child,
}

impl Drop for Transition<'_> {
    fn drop(&mut self) {
        self.supervision.change(|registry| registry.end_change(&self.child));
        self.supervision.settled.notify_waiters();
    }
}

impl Supervision {
    pub(super) fn begin_actor_start(&self, identity: &ActorIdentity) -> Result<Transition<'_>> {
        let child = Child::Actor(identity.key.clone());
        self.begin(child, |registry, child| registry.begin_start(child)?.reserve_alias(identity))
    }

    pub(super) fn begin_start(&self, child: Child) -> Result<Transition<'_>> {
        self.begin(child, |registry, child| registry.begin_start(child).map(drop))
    }

    pub(super) fn begin_replacement(&self, child: Child) -> Result<Transition<'_>> {
        self.begin(child, Registry::begin_replacement)
    }

    pub(super) fn begin_stop(&self, child: Child) -> Result<Transition<'_>> {
        self.begin(child, Registry::begin_stop)
    }

    /// Begins a stop once no update, scaling or restart of the child is in progress.
    pub(super) async fn begin_stop_when_settled(&self, child: &Child) -> Result<Transition<'_>> {
        loop {
            // Listens before it reads the registry, so that it misses no change.
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            if !self.registry.borrow().is_being_replaced(child) {
                return self.begin_stop(child.clone());
            }
            settled.await;
        }
    }

    fn begin(&self, child: Child, begin: impl FnOnce(&mut Registry, &Child) -> Result<()>) -> Result<Transition<'_>> {
        self.change(|registry| begin(registry, &child))?;
        Ok(Transition { supervision: self, child })
    }
}
