//! Actors as they run: actix actors whose mailboxes feed one waPC guest each.
//!
//! # Layout
//! - `guest_actor`: the actix actor of one instance
//! - `instance_context`: what an instance serves its calls with
//! - `recovery`: how an instance is replaced
//! - `clock`: how much of a call's time the guest itself uses
//! - `supervision`: how an instance reports to its supervisor
//! - `unknown_operation`: how guests of different SDKs refuse an operation
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
