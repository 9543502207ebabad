//! The reports of an actor's instance to its supervisor.

use actix::dev::ToEnvelope;
use actix::{Actor, Handler, WeakAddr, WeakRecipient};

use crate::lifecycle::{Crashed, Interrupted, Restarted, Verdict};

/// Reports to the supervisor of an instance. It does not keep the supervisor alive. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SupervisorHandle {
    crashed: WeakRecipient<Crashed>,
    interrupted: WeakRecipient<Interrupted>,
    restarted: WeakRecipient<Restarted>,
}

impl SupervisorHandle {
    pub(crate) fn new<A>(supervisor: &WeakAddr<A>) -> SupervisorHandle
    where
        A: Actor + Handler<Crashed> + Handler<Interrupted> + Handler<Restarted>,
        A::Context: ToEnvelope<A, Crashed> + ToEnvelope<A, Interrupted> + ToEnvelope<A, Restarted>,
    {
        SupervisorHandle {
            crashed: supervisor.clone().recipient(),
            interrupted: supervisor.clone().recipient(),
            restarted: supervisor.clone().recipient(),
        }
    }

    /// Reports a crash, and waits for the decision. Returns `None` if the supervisor has ended.
    pub(super) async fn crashed(&self, crash: Crashed) -> Option<Verdict> {
        self.crashed.upgrade()?.send(crash).await.ok()
    }

    pub(super) fn interrupted(&self, interruption: Interrupted) {
        if let Some(supervisor) = self.interrupted.upgrade() {
            supervisor.do_send(interruption);
        }
    }

    pub(super) fn restarted(&self, restart: Restarted) {
        if let Some(supervisor) = self.restarted.upgrade() {
            supervisor.do_send(restart);
        }
    }
}
