//! What the supervisor is told of an instance of a provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::WeakAddr;

use crate::actor::mailbox::InstanceNumber;
use crate::supervisor::Supervisor;
use crate::supervisor::recovery::{ProviderCrashed, Service};
use crate::supervisor::snapshot::ProviderKey;

/// The way to report the crash of an instance. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    supervisor: WeakAddr<Supervisor>,
    provider: ProviderKey,
    instance: InstanceNumber,
    since: Instant,
    /// Whether it has answered a call.
    has_served: Arc<AtomicBool>,
}

impl Reports {
    pub(super) fn new(supervisor: WeakAddr<Supervisor>, provider: ProviderKey, instance: InstanceNumber) -> Reports {
        Reports { supervisor, provider, instance, since: Instant::now(), has_served: Arc::default() }
    }

    pub(super) fn instance(&self) -> InstanceNumber {
        self.instance
    }

    /// Takes note that the instance has answered a call.
    pub(super) fn note_answer(&self) {
        self.has_served.store(true, Ordering::Relaxed);
    }

    /// Tells the supervisor that the instance has crashed.
    pub(super) fn tell_of_crash(&self, cause: String) {
        if let Some(supervisor) = self.supervisor.upgrade() {
            let service = Service { lived: self.since.elapsed(), has_served: self.has_served.load(Ordering::Relaxed) };
            let (provider, instance) = (self.provider.clone(), self.instance);
            supervisor.do_send(ProviderCrashed { provider, instance, cause, service });
        }
    }
}
