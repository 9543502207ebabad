//! The messages that an actor's instance accepts, apart from health checks.

use actix::Message;
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::error::Result;

use super::call_limiter::CallPermit;

/// A call for an actor.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<u8>>")]
pub(crate) struct Deliver {
    pub(crate) request: Request,
    pub(crate) context: CallContext,
    /// Held until the call has been answered. A health check is not a call and has none.
    pub(crate) permits: Option<[CallPermit; 2]>,
}

/// Answered once the messages before this one have been served.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Flush;

/// Ends the actor once the messages before this one have been served.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;
