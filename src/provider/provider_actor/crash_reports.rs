//! The crash reports of a provider's instance to the supervisor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::WeakRecipient;
use wasmcloud_core::identity::{InstanceNumber, ProviderKey};

use crate::lifecycle::{ProviderCrashed, ServiceRecord};

/// Reports the crash of an instance to its supervisor. It does not keep the supervisor alive. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct CrashReports {
    supervisor: WeakRecipient<ProviderCrashed>,
    provider: ProviderKey,
    instance: InstanceNumber,
    since: Instant,
    has_served: Arc<AtomicBool>,
}

impl CrashReports {
    pub(crate) fn new(
        supervisor: WeakRecipient<ProviderCrashed>,
        provider: ProviderKey,
        instance: InstanceNumber,
    ) -> CrashReports {
        CrashReports { supervisor, provider, instance, since: Instant::now(), has_served: Arc::default() }
    }

    pub(super) fn instance(&self) -> InstanceNumber {
        self.instance
    }

    /// Records that the instance has answered a call.
    pub(super) fn answered(&self) {
        self.has_served.store(true, Ordering::Relaxed);
    }

    /// Reports that the instance has crashed.
    pub(super) fn crashed(&self, cause: String) {
        if let Some(supervisor) = self.supervisor.upgrade() {
            let has_served = self.has_served.load(Ordering::Relaxed);
            let service = ServiceRecord { lived: self.since.elapsed(), has_served };
            let provider = self.provider.clone();
            supervisor.do_send(ProviderCrashed { provider, instance: self.instance, cause, service });
        }
    }
}
