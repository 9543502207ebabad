//! Delivers messages to a linked actor, with the concurrency of its link, until the link is drained.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmcloud_provider::ActorDispatcher;

use super::payloads::{BrokerMessage, HANDLE_MESSAGE};
use super::subject::display_subject;

/// The messages of a link's subscriptions.
pub(super) type MessageStream = Pin<Box<dyn Stream<Item = BrokerMessage> + Send>>;

/// The actor that receives the messages.
pub(super) struct MessageReceiver {
    pub(super) actor: String,
    pub(super) dispatcher: ActorDispatcher,
    pub(super) body_limit: usize,
}

/// The running delivery of a link.
pub(super) struct MessageDelivery {
    stop: oneshot::Sender<()>,
    delivering: JoinHandle<()>,
}

impl MessageDelivery {
    /// Starts the delivery on this thread.
    pub(super) fn start(source: MessageStream, receiver: MessageReceiver, concurrency: usize) -> MessageDelivery {
        let (stop, stopped) = oneshot::channel();
        let delivering = tokio::task::spawn_local(async move {
            let deliveries = source.take_until(stopped);
            deliveries.for_each_concurrent(concurrency, |message| receiver.deliver(message)).await;
        });
        MessageDelivery { stop, delivering }
    }

    /// Stops the delivery, and waits for the messages in flight.
    pub(super) async fn end(self) {
        // An error means that the delivery has ended already.
        let _ = self.stop.send(());
        if let Err(error) = self.delivering.await {
            log::error!("the delivery of messages panicked: {error}");
        }
    }
}

impl MessageReceiver {
    /// Delivers a message. A failure is logged, because no caller waits for it.
    async fn deliver(&self, message: BrokerMessage) {
        let dispatcher = self.dispatcher.in_chain();
        if let Err(reason) = self.try_deliver(&dispatcher, &message).await {
            let (subject, actor, call) = (display_subject(&message.subject), self.actor.as_str(), dispatcher.call_id());
            log::warn!(actor, call; "a message to {subject} was not handled by actor {actor}: {reason}");
        }
    }

    async fn try_deliver(&self, dispatcher: &ActorDispatcher, message: &BrokerMessage) -> Result<(), String> {
        let (bytes, limit) = (message.body.len(), self.body_limit);
        if bytes > limit {
            return Err(format!("its body has {bytes} bytes, and the link's BODY_LIMIT allows {limit}"));
        }
        let payload = message.encode().map_err(|error| error.to_string())?;
        // The answer has no meaning in the contract: an actor answers by publishing.
        let handled = dispatcher.dispatch(&self.actor, HANDLE_MESSAGE, payload).await;
        handled.map(drop).map_err(|error| error.to_string())
    }
}
