//! Subscriptions that are made as soon as the host is connected, made again after a refusal, and drained at their end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use tokio::sync::watch;

use super::Inner;
use crate::connection::{Subject, Subscription};

/// The delay before a subscription that failed is requested again.
const RETRY: Duration = Duration::from_millis(500);

/// How long a host listens.
#[derive(Debug, Clone)]
pub(super) enum Until {
    /// Until it takes no more calls at all.
    Leaving,
    /// Until it takes no more calls on the subject, or none at all.
    Told(watch::Receiver<bool>),
    /// Until the connection is closed.
    Closed,
}

/// Waits until a value is sent, or the sender is gone.
pub(super) async fn told(receiver: &mut watch::Receiver<bool>, value: bool) {
    // Without a sender there is nothing to wait for.
    let _ = receiver.wait_for(|sent| *sent == value).await;
}

impl Until {
    /// Waits until the host no longer listens.
    async fn end(mut self, rpc: &Inner) {
        let mut is_over = rpc.is_over.subscribe();
        let mut is_open = rpc.is_open.subscribe();
        match &mut self {
            Until::Closed => told(&mut is_over, true).await,
            Until::Leaving => tokio::select! {
                () = told(&mut is_open, false) => {}
                () = told(&mut is_over, true) => {}
            },
            Until::Told(closing) => tokio::select! {
                () = told(closing, true) => {}
                () = told(&mut is_over, true) => {}
            },
        }
    }
}

/// Subscribes, and handles each message until the host no longer listens. Messages that the server has sent before are
/// handled. `subscribed` is told each time that the server has confirmed the subscription.
pub(super) async fn listen(
    rpc: &Arc<Inner>,
    subject: Subject,
    until: Until,
    subscribed: impl Fn(),
    handle: impl Fn(&Arc<Inner>, Message),
) {
    let mut over = pin!(until.clone().end(rpc));
    loop {
        tokio::select! {
            biased;
            () = &mut over => return,
            joined = rpc.connection.joined() => if !joined { return },
        }
        match rpc.connection.subscribe(subject.clone()).await {
            Ok(subscription) => {
                subscribed();
                if handle_all(rpc, subscription, until.clone(), &handle).await {
                    return;
                }
            }
            Err(error) => log::warn!("no messages on {} yet: {error}", subject.subject),
        }
        tokio::select! {
            () = &mut over => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Handles each message of a subscription until the host no longer listens. Returns whether it ended in this way, or with the
/// connection; otherwise, the server has refused the subscription.
pub(super) async fn handle_all(
    rpc: &Arc<Inner>,
    mut subscription: Subscription,
    until: Until,
    handle: &impl Fn(&Arc<Inner>, Message),
) -> bool {
    let mut over = pin!(until.end(rpc));
    let mut is_drained = false;
    loop {
        let next = tokio::select! {
            biased;
            // Asked first, since it costs less. In a flood it is not ready now and then, by the budget of tasks.
            next = subscription.next() => next,
            () = &mut over, if !is_drained => {
                is_drained = true;
                if let Err(error) = subscription.drain(&rpc.connection).await {
                    log::debug!("the subscription to {} ended with the connection: {error}", subscription.subject());
                    return true;
                }
                continue;
            }
        };
        match next {
            Some(Ok(message)) => handle(rpc, message),
            Some(Err(error)) => {
                log::error!("messages on {} do not reach this host: {error}", subscription.subject());
                return false;
            }
            None => return true,
        }
    }
}
