//! Running capability providers: one actix actor for each, whatever its interface.
//!
//! # Layout
//! - `provider_actor`: the actix actor of one instance
//! - `caller`: calls of an instance to actors
//! - `blocking`: the adapter for providers of the blocking interface
//! - `fault_injection`: the faults of experiments

mod blocking;
mod caller;
#[cfg(feature = "experiments")]
mod fault_injection;
mod provider_actor;

pub(crate) use provider_actor::{CrashReports, ProviderActor, ProviderStart, RELEASE_TIMEOUT};
