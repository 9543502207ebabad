//! Capability providers as they run: an actix actor for each, whatever its interface.
//!
//! # Layout
//! - `provider_actor`: the actix actor of one instance
//! - `caller`: how an instance calls actors
//! - `blocking`: the adapter for providers of the blocking interface
//! - `fault_injection`: the faults of experiments

mod blocking;
mod caller;
#[cfg(feature = "experiments")]
mod fault_injection;
mod provider_actor;

pub(crate) use provider_actor::{CrashReports, LAST_MOMENTS, ProviderActor, ProviderStart};
