//! What hosts tell, and the end of orders that take longer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::printable;
use wasmcloud_lattice::{Subject, Subscription};

use super::{ControlClient, Open};
use crate::event::{ControlEvent, EventFilter, kinds};
use crate::outcome::{Outcome, Settled};

/// A subscription to events, from its beginning on.
#[must_use = "events are lost unless they are taken from the subscription"]
pub struct ControlEvents {
    subscription: Subscription,
    _open: Arc<Open>,
}

/// The events of a host or all, which tell how orders end. Begin it before the order.
#[derive(Debug)]
pub struct EventWatch(ControlEvents);

impl ControlClient {
    /// Subscribes to events of current hosts. Returns when the server knows the subscription.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed filter; `LatticeUnavailable` if the connection is lost or the server refuses.
    pub async fn events(&self, filter: &EventFilter) -> Result<ControlEvents> {
        let subject = self.subjects.events(filter.host.as_deref(), filter.kind.as_deref())?;
        let subscription = self.connection.subscribe(Subject::new(subject)).await?;
        Ok(ControlEvents { subscription, _open: self.open.clone() })
    }

    /// Begins to watch how orders end: those to one host, or to any.
    ///
    /// # Errors
    /// As [`events`](ControlClient::events).
    pub async fn watch(&self, host: Option<&str>) -> Result<EventWatch> {
        let filter = EventFilter { host: host.map(str::to_owned), kind: None };
        Ok(EventWatch(self.events(&filter).await?))
    }
}

impl ControlEvents {
    /// Waits for the next event. Returns `None` when the connection is closed. Dropping the future loses no event.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the server refuses the subscription; `Unsupported` for a message that is no event, after which
    /// others may come.
    pub async fn next(&mut self) -> Option<Result<ControlEvent>> {
        let message = match self.subscription.next().await? {
            Ok(message) => message,
            Err(refused) => return Some(Err(refused)),
        };
        Some(serde_json::from_slice(&message.payload).map_err(|error| {
            let text =
                format!("a message on {} is no event: {}", self.subscription.subject(), printable(&message.payload));
            Error::new(ErrorKind::Unsupported, text).caused_by(error)
        }))
    }
}

impl fmt::Debug for ControlEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlEvents").field("subject", &self.subscription.subject()).finish_non_exhaustive()
    }
}

impl EventWatch {
    /// Waits until an order has ended. `tell` gets each event that belongs to it. An order that is done ends at once. The stop of a
    /// host is to be watched by a watch of that host alone.
    ///
    /// # Errors
    /// The failure of the order; `DeadlineExceeded` if it does not end within `limit`; `OutcomeUnknown` if the connection is
    /// closed meanwhile.
    pub async fn settle(&mut self, order: Settled, limit: Duration, mut tell: impl FnMut(&ControlEvent)) -> Result<()> {
        let Settled::Accepted { event: awaited, request } = order else { return Ok(()) };
        let end = Instant::now() + limit;
        loop {
            let next = timeout_at(end, self.0.next()).await.map_err(|_| {
                let message = format!("the request {request} has not ended within {limit:?}: it is still in progress");
                Error::new(ErrorKind::DeadlineExceeded, message)
            })?;
            let closed = || {
                let message = format!("the connection was closed before the request {request} ended");
                Error::new(ErrorKind::OutcomeUnknown, message)
            };
            match next.ok_or_else(closed)? {
                // The end of a host belongs to no request.
                Ok(event) if event.kind == awaited && event.kind == kinds::HOST_STOPPED => return ended(event),
                Ok(event) if event.request.as_deref() == Some(&request) => {
                    tell(&event);
                    if event.kind == awaited || event.kind == kinds::REQUEST_FINISHED {
                        return ended(event);
                    }
                }
                Err(refused) if refused.kind() == ErrorKind::LatticeUnavailable => return Err(refused),
                Ok(_) | Err(_) => {}
            }
        }
    }
}

fn ended(event: ControlEvent) -> Result<()> {
    let outcome = Outcome { failure: event.failure, kind: event.error_kind, ..Outcome::default() };
    outcome.settled().map(|_| ())
}
