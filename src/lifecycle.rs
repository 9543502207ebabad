//! The reports of instances to their supervisor, and its decisions.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use wasmcloud_core::identity::{InstanceNumber, ProviderKey};
use wasmcloud_core::trace::CallId;

/// An instance of an actor has crashed. The answer decides whether it is replaced.
#[derive(Debug, Message)]
#[rtype(result = "Verdict")]
pub(crate) struct Crashed {
    pub(crate) actor: Arc<str>,
    pub(crate) instance: InstanceNumber,
    pub(crate) cause: String,
    /// The call that it crashed in.
    pub(crate) call: Option<CallId>,
    /// Crash count without an answer in between, starting at 1.
    pub(crate) in_a_row: u32,
}

/// An instance of an actor was lost through no fault of its own, and cannot be replaced for now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Interrupted {
    pub(crate) actor: Arc<str>,
    pub(crate) instance: InstanceNumber,
}

/// An instance of an actor has been replaced.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Restarted {
    pub(crate) actor: Arc<str>,
    pub(crate) instance: InstanceNumber,
    pub(crate) attempt: u32,
    pub(crate) delay: Duration,
}

/// An instance of a provider has crashed. The supervisor restarts the provider, or marks it as failed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ProviderCrashed {
    pub(crate) provider: ProviderKey,
    pub(crate) instance: InstanceNumber,
    pub(crate) cause: String,
    pub(crate) service: ServiceRecord,
}

/// The life of a provider's instance before its crash.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServiceRecord {
    pub(crate) lived: Duration,
    /// Whether it has answered a call.
    pub(crate) has_served: bool,
}

/// The decision about a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The instance is replaced after the delay.
    Restart { attempt: u32, delay: Duration },
    /// The instance is not replaced, for this reason.
    Fail(String),
}
