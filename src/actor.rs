//! Actors as they run: actix actors whose mailboxes feed one waPC guest each.
//!
//! # Layout
//! - `guest_actor`: the actix actor of one instance
//! - `instance_context`: the state of an instance, and the service of one call
//! - `recovery`: the replacement of lost guests
//! - `clock`: the time of a call that the guest itself uses
//! - `supervision`: the reports of an instance to its supervisor
//! - `unknown_operation`: the errors by which guests of different SDKs refuse an operation
//! - `fault_injection`: the faults of experiments

mod clock;
#[cfg(feature = "experiments")]
mod fault_injection;
mod guest_actor;
mod instance_context;
mod recovery;
mod supervision;
mod unknown_operation;

pub(crate) use clock::Clock;
pub(crate) use guest_actor::GuestActor;
pub(crate) use instance_context::InstanceContext;
pub(crate) use supervision::SupervisorHandle;
