//! A subscription to the events of a host.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use wasmcloud_core::entity::WasmCloudEntity;

use super::{Event, EventKind};

/// A subscription to the events of a host, or to those of one actor or provider, from the time of the subscription on.
///
/// A subscriber gets every event, in order, while it keeps up. A buffer holds the events that it has not taken yet
/// ([`HostBuilder::with_event_buffer`](crate::HostBuilder::with_event_buffer)). When the buffer overflows, the oldest events
/// are dropped, and [`EventKind::Lagged`] reports their number.
///
/// [`Events::next`] waits for one event. `Events` is also a [`Stream`], which ends when the host is dropped:
///
/// ```
/// use futures_util::StreamExt;
/// use wasmcloud_host::{EventKind, HostBuilder};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// let events = host.events();
/// host.start().await?;
/// host.stop().await;
/// drop(host);
/// let kinds: Vec<EventKind> = events.map(|event| event.kind).collect().await;
/// assert_eq!(kinds, [EventKind::HostStarted, EventKind::HostStopped]);
/// # Ok(())
/// # }
/// ```
#[must_use = "events are lost unless they are taken from the subscription"]
pub struct Events {
    /// Receives the next event and gives the receiver back.
    receive: Pin<Box<dyn Future<Output = Received> + Send + Sync>>,
    only: Option<WasmCloudEntity>,
}

/// An event, and the receiver that it came from.
struct Received {
    event: Result<Event, RecvError>,
    receiver: Receiver<Event>,
}

impl Events {
    /// Returns a subscription to the events of one entity, or to all events.
    pub(super) fn new(events: Receiver<Event>, only: Option<WasmCloudEntity>) -> Events {
        Events { receive: Box::pin(receive(events)), only }
    }

    /// Waits for the next event. Returns `None` once the host has been dropped. Dropping the returned future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            let Received { event, receiver } = ready!(self.receive.as_mut().poll(context));
            self.receive = Box::pin(receive(receiver));
            let event = match event {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => {
                    return Poll::Ready(Some(Event::now(WasmCloudEntity::Host, EventKind::Lagged { missed })));
                }
                Err(RecvError::Closed) => return Poll::Ready(None),
            };
            if self.only.as_ref().is_none_or(|only| event.entity == *only) {
                return Poll::Ready(Some(event));
            }
        }
    }
}

async fn receive(mut receiver: Receiver<Event>) -> Received {
    let event = receiver.recv().await;
    Received { event, receiver }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("only", &self.only).finish_non_exhaustive()
    }
}
