//! The embedded broker: exchanges messages between the links of one provider, by the rules of NATS.
//!
//! A message goes to the current subscribers, and to one member of each queue group. It is not stored. If the queue of a
//! subscriber is full, the message is dropped for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use rand::RngExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use super::payloads::BrokerMessage;
use super::subject::{display_subject, has_wildcard, matches};

/// Maximum size of the messages in a queue. Unit: bytes.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// Size of a message in a queue, in addition to its texts and its body. Unit: bytes.
const MESSAGE_OVERHEAD: usize = 256;

/// A broker of one account.
#[derive(Debug, Default)]
pub(super) struct Broker {
    subscriptions: Mutex<Subscriptions>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Subscriptions {
    /// The subscribers without wildcards, by subject.
    exact: HashMap<String, Vec<Subscriber>>,
    /// The subscribers with wildcards, each with its filter.
    wildcards: Vec<(String, Subscriber)>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    id: u64,
    group: Option<Arc<str>>,
    queue: Arc<Queue>,
}

/// The messages that wait for a subscriber.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<Queued>,
    byte_budget: Arc<Semaphore>,
    dropped: AtomicU64,
    /// The subscriber that the log names when messages are dropped. `None` for the queue of a request, which needs one message.
    owner: Option<String>,
}

#[derive(Debug)]
struct Queued {
    message: BrokerMessage,
    _bytes: OwnedSemaphorePermit,
}

/// Ends a subscription when it is dropped.
#[derive(Debug)]
struct SubscriptionGuard {
    broker: Arc<Broker>,
    id: u64,
}

impl Broker {
    /// Subscribes, and returns the stream of messages. Dropping the stream ends the subscription.
    pub(super) fn subscribe(
        self: &Arc<Broker>,
        filters: &[String],
        group: Option<&str>,
        length: usize,
        owner: Option<String>,
    ) -> impl Stream<Item = BrokerMessage> + Send + use<> {
        let (sender, receiver) = mpsc::channel(length);
        let (byte_budget, dropped) = (Arc::new(Semaphore::new(MAX_QUEUED_BYTES)), AtomicU64::new(0));
        let queue = Arc::new(Queue { sender, byte_budget, dropped, owner });
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let group = group.map(Arc::from);
        let mut subscriptions = self.subscriptions();
        for filter in filters {
            subscriptions.add(filter, Subscriber { id, group: group.clone(), queue: queue.clone() });
        }
        drop(subscriptions);
        let subscription = SubscriptionGuard { broker: self.clone(), id };
        unfold((receiver, subscription), async |(mut receiver, subscription)| {
            let Queued { message, .. } = receiver.recv().await?;
            Some((message, (receiver, subscription)))
        })
    }

    /// Publishes a message. Returns whether its subject has a subscriber.
    pub(super) fn publish(&self, message: &BrokerMessage) -> bool {
        let subscribers = self.subscriptions().matching(&message.subject);
        let has_subscribers = !subscribers.is_empty();
        let mut groups: HashMap<Arc<str>, Vec<Subscriber>> = HashMap::new();
        for subscriber in subscribers {
            match &subscriber.group {
                Some(group) => groups.entry(group.clone()).or_default().push(subscriber),
                None => deliver(std::slice::from_ref(&subscriber), message),
            }
        }
        for members in groups.values_mut() {
            let first = rand::rng().random_range(0..members.len());
            members.rotate_left(first);
            deliver(members, message);
        }
        has_subscribers
    }

    /// Publishes a message, and waits for the first answer.
    ///
    /// # Errors
    /// Returns an error if there is no subscriber, or if no answer arrives in time.
    pub(super) async fn request(
        self: &Arc<Broker>,
        subject: String,
        body: bytes::Bytes,
        timeout: Duration,
    ) -> Result<BrokerMessage, String> {
        let inbox = format!("_INBOX.{}", Uuid::new_v4().simple());
        let answers = std::pin::pin!(self.subscribe(std::slice::from_ref(&inbox), None, 1, None));
        let request = BrokerMessage { subject, reply_to: inbox, body };
        if !self.publish(&request) {
            return Err(format!("there is no subscriber to {}", display_subject(&request.subject)));
        }
        let mut answers = answers;
        let answer = tokio::time::timeout(timeout, futures_util::StreamExt::next(&mut answers)).await;
        answer.ok().flatten().ok_or_else(|| {
            format!("there was no answer from {} within {} ms", display_subject(&request.subject), timeout.as_millis())
        })
    }

    fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        // A panic can lose a subscription, but cannot leave an inconsistent one.
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a message to the first queue with room for it.
fn deliver(members: &[Subscriber], message: &BrokerMessage) {
    if !members.iter().any(|member| member.queue.offer(message))
        && let Some(member) = members.first()
    {
        member.queue.record_drop(message);
    }
}

impl Queue {
    fn offer(&self, message: &BrokerMessage) -> bool {
        let bytes = message.body.len() + message.subject.len() + message.reply_to.len() + MESSAGE_OVERHEAD;
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let Ok(_bytes) = self.byte_budget.clone().try_acquire_many_owned(bytes) else { return false };
        self.sender.try_send(Queued { message: message.clone(), _bytes }).is_ok()
    }

    fn record_drop(&self, message: &BrokerMessage) {
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(owner) = self.owner.as_ref().filter(|_| dropped.is_power_of_two()) {
            let subject = display_subject(&message.subject);
            log::warn!("{owner} is a slow consumer: {dropped} message(s) were dropped, the last one to {subject}");
        }
    }
}

impl Subscriptions {
    fn add(&mut self, filter: &str, subscriber: Subscriber) {
        if has_wildcard(filter) {
            self.wildcards.push((filter.to_owned(), subscriber));
        } else {
            self.exact.entry(filter.to_owned()).or_default().push(subscriber);
        }
    }

    fn remove(&mut self, id: u64) {
        self.wildcards.retain(|(_, subscriber)| subscriber.id != id);
        self.exact.retain(|_, subscribers| {
            subscribers.retain(|subscriber| subscriber.id != id);
            !subscribers.is_empty()
        });
    }

    fn matching(&self, subject: &str) -> Vec<Subscriber> {
        let exact = self.exact.get(subject).into_iter().flatten();
        let wildcards =
            self.wildcards.iter().filter(|(filter, _)| matches(filter, subject)).map(|(_, subscribers)| subscribers);
        exact.chain(wildcards).cloned().collect()
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        self.broker.subscriptions().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    fn message(subject: &str) -> BrokerMessage {
        BrokerMessage { subject: subject.to_owned(), reply_to: String::new(), body: b"body".as_slice().into() }
    }

    fn subscribe(
        broker: &Arc<Broker>,
        filter: &str,
        group: Option<&str>,
    ) -> std::pin::Pin<Box<dyn Stream<Item = BrokerMessage>>> {
        Box::pin(broker.subscribe(&[filter.to_owned()], group, 4, None))
    }

    fn take_waiting(stream: &mut (impl Stream<Item = BrokerMessage> + Unpin)) -> usize {
        std::iter::from_fn(|| stream.next().now_or_never().flatten()).count()
    }

    #[test]
    fn only_subscribers_receive_a_message() {
        let broker = Arc::default();
        let (mut all, mut one) = (subscribe(&broker, ">", None), subscribe(&broker, "a.*", None));
        assert!(broker.publish(&message("a.b")) && broker.publish(&message("c")));
        assert_eq!((take_waiting(&mut all), take_waiting(&mut one)), (2, 1));
        drop(all);
        assert!(!broker.publish(&message("c")), "a subscription ends with its stream");
        assert!(broker.publish(&message("a.c")));
    }

    #[test]
    fn one_member_of_a_group_receives_each_message() {
        let broker = Arc::default();
        let mut members = [
            subscribe(&broker, ">", Some("g")),
            subscribe(&broker, "a", Some("g")),
            subscribe(&broker, "*", Some("h")),
        ];
        for _ in 0..4 {
            broker.publish(&message("a"));
        }
        let [first, second, other] = members.each_mut().map(take_waiting);
        assert_eq!((first + second, other), (4, 4));
    }

    #[test]
    fn a_slow_subscriber_does_not_affect_others() {
        let broker = Arc::default();
        let (mut slow, mut group) =
            (subscribe(&broker, "a", None), [(); 2].map(|()| subscribe(&broker, "a", Some("g"))));
        for _ in 0..8 {
            assert!(broker.publish(&message("a")));
        }
        assert_eq!(take_waiting(&mut slow), 4);
        assert_eq!(group.iter_mut().map(take_waiting).sum::<usize>(), 8, "a group has the room of all of its members");
    }
}
