//! How messages reach a linked actor: as many at once as its link allows, until it is drained.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmcloud_provider::ActorDispatcher;

use super::payloads::{BrokerMessage, HANDLE_MESSAGE};
use super::subject::display_subject;

/// Messages as they come in.
pub(super) type MessageStream = Pin<Box<dyn Stream<Item = BrokerMessage> + Send>>;

/// Who is brought messages.
pub(super) struct MessageReceiver {
    pub(super) actor: String,
    pub(super) dispatcher: ActorDispatcher,
    pub(super) body_limit: usize,
}

/// The messages of one link on their way to its actor.
pub(super) struct MessageDelivery {
    stop: oneshot::Sender<()>,
    delivering: JoinHandle<()>,
}

impl MessageDelivery {
    /// Begins to deliver, on this thread.
    pub(super) fn start(source: MessageStream, receiver: MessageReceiver, concurrency: usize) -> MessageDelivery {
        let (stop, stopped) = oneshot::channel();
        let delivering = tokio::task::spawn_local(async move {
            let deliveries = source.take_until(stopped);
            deliveries.for_each_concurrent(concurrency, |message| receiver.deliver(message)).await;
        });
        MessageDelivery { stop, delivering }
    }

    /// Begins no more deliveries, and waits for those under way.
    pub(super) async fn end(self) {
        // Where nobody listens, the deliveries have ended before.
        let _ = self.stop.send(());
        if let Err(error) = self.delivering.await {
            log::error!("the delivery of messages did not end as it should: {error}");
        }
    }
}

impl MessageReceiver {
    /// What an actor does with a message is its own affair: nobody is waiting to be told.
    async fn deliver(&self, message: BrokerMessage) {
        if let Err(reason) = self.try_deliver(&message).await {
            let (subject, actor) = (display_subject(&message.subject), &self.actor);
            log::warn!("a message to {subject} was not handled by actor {actor}: {reason}");
        }
    }

    async fn try_deliver(&self, message: &BrokerMessage) -> Result<(), String> {
        let (bytes, limit) = (message.body.len(), self.body_limit);
        if bytes > limit {
            return Err(format!("its body has {bytes} bytes, and the link's BODY_LIMIT allows {limit}"));
        }
        let payload = message.encode().map_err(|error| error.to_string())?;
        // The contract has no answer here: an actor answers by publishing.
        let handled = self.dispatcher.dispatch(&self.actor, HANDLE_MESSAGE, payload).await;
        handled.map(drop).map_err(|error| error.to_string())
    }
}
