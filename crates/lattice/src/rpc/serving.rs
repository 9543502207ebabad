//! Calls from other hosts.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Message;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::task::JoinHandle;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{IncomingCall, Inner, Served as ServedCall, count};
use crate::connection::{Subject, Subscription, is_inbox};
use crate::edge::{Admitted, Arrival, Outcome, Refused, Reply};
use crate::wire::{Invocation, Retry};

/// The delay before a subscription that failed is requested again.
const RETRY: Duration = Duration::from_millis(500);

/// How long a caller of 2021 waits for an answer: 2 s in its release. A payload that it fetches is kept for so long.
const UNTOLD: Duration = Duration::from_secs(2);

/// A shared subject that this host serves.
#[derive(Debug)]
pub(super) struct Served {
    close: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Takes calls on a subject, with all other hosts that do.
pub(super) async fn open(rpc: &Arc<Inner>, entity: &WasmCloudEntity) -> Result<()> {
    let Some(subject) = rpc.namespace.call(entity) else {
        return Err(Error::new(ErrorKind::InvalidArgument, "a host is never called"));
    };
    if served(rpc).contains_key(&subject) {
        return Ok(());
    }
    let subscription = rpc.connection.subscribe(Subject::shared(subject.clone())).await?;
    let (close, closing) = watch::channel(false);
    let task = tokio::spawn(serve_shared(rpc.clone(), subscription, closing));
    served(rpc).insert(subject, Served { close, task });
    Ok(())
}

/// Takes no more calls on a subject.
pub(super) async fn close(rpc: &Arc<Inner>, entity: &WasmCloudEntity) {
    let Some(subject) = rpc.namespace.call(entity) else { return };
    let closed = served(rpc).remove(&subject);
    if let Some(closed) = closed {
        closed.end().await;
    }
}

/// Takes no more calls at all, and waits until those in progress are answered.
pub(super) async fn close_all(rpc: &Arc<Inner>) {
    rpc.is_open.send_replace(false);
    let all: Vec<Served> = served(rpc).drain().map(|(_, served)| served).collect();
    futures_util::future::join_all(all.into_iter().map(Served::end)).await;
    rpc.idle().await;
}

fn served(rpc: &Inner) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, Served>> {
    rpc.served.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Served {
    async fn end(self) {
        self.close.send_replace(true);
        // The task ends by itself.
        let _ = self.task.await;
    }
}

/// Waits until a value is sent, or the sender is gone.
pub(super) async fn told(receiver: &mut watch::Receiver<bool>, value: bool) {
    // Without a sender there is nothing to wait for.
    let _ = receiver.wait_for(|sent| *sent == value).await;
}

async fn serve_shared(rpc: Arc<Inner>, mut subscription: Subscription, mut closing: watch::Receiver<bool>) {
    let subject = subscription.subject().to_owned();
    let mut is_drained = false;
    loop {
        let next = tokio::select! {
            biased;
            () = told(&mut closing, true), if !is_drained => {
                is_drained = true;
                if let Err(error) = subscription.drain(&rpc.connection).await {
                    return log::debug!("the subscription to {subject} ended with the connection: {error}");
                }
                continue;
            }
            next = subscription.next() => next,
        };
        match next {
            Some(Ok(message)) => receive(&rpc, message, Arrival::Shared, &subject),
            Some(Err(error)) => return log::error!("calls on {subject} do not reach this host: {error}"),
            None => return,
        }
    }
}

/// Takes calls on the subject of this host, until it leaves.
pub(super) async fn serve_host(rpc: Arc<Inner>) {
    let subject = Subject::new(rpc.host_subject(rpc.edge.host(), "call"));
    let Some(subscriptions) = subscribe(&rpc, vec![subject]).await else { return };
    for subscription in subscriptions {
        each(rpc.clone(), subscription, |rpc, message| receive(rpc, message, Arrival::Direct, "")).await;
    }
}

/// Subscribes to subjects as soon as the host is connected. Returns `None` if this host leaves before.
pub(super) async fn subscribe(rpc: &Inner, subjects: Vec<Subject>) -> Option<Vec<Subscription>> {
    let mut is_open = rpc.is_open.subscribe();
    loop {
        tokio::select! {
            joined = rpc.connection.joined() => if !joined { return None },
            () = told(&mut is_open, false) => return None,
        }
        match rpc.connection.subscribe_all(subjects.clone()).await {
            Ok(subscriptions) => return Some(subscriptions),
            Err(error) => log::warn!("other hosts do not reach this host yet: {error}"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Handles each message of a subscription, until this host leaves. Messages that were sent before are handled.
pub(super) async fn each(
    rpc: Arc<Inner>,
    mut subscription: Subscription,
    handle: impl Fn(&Arc<Inner>, Message) + Send,
) {
    let mut is_open = rpc.is_open.subscribe();
    let mut is_drained = false;
    loop {
        let next = tokio::select! {
            biased;
            () = told(&mut is_open, false), if !is_drained => {
                is_drained = true;
                if subscription.drain(&rpc.connection).await.is_err() {
                    return;
                }
                continue;
            }
            next = subscription.next() => next,
        };
        match next {
            Some(Ok(message)) => handle(&rpc, message),
            Some(Err(error)) => return log::error!("other hosts do not reach this host: {error}"),
            None => return,
        }
    }
}

/// Checks a call, and serves it in a task of its own.
fn receive(rpc: &Arc<Inner>, message: Message, arrival: Arrival, subject: &str) {
    let Some(inbox) = message.reply.clone().filter(|inbox| is_inbox(inbox)) else { return };
    let inbox = inbox.to_string();
    let Admitted { invocation, reply } = match rpc.edge.admit(&message.payload, arrival) {
        Ok(admitted) => admitted,
        Err(Refused { reason, answer }) => {
            log::debug!("a call from the lattice is refused: {reason}");
            if let Some(answer) = answer {
                publish(rpc, inbox, answer);
            }
            return;
        }
    };
    if arrival == Arrival::Shared && rpc.namespace.call(&invocation.target).as_deref() != Some(subject) {
        let message = format!("the call names {} on the subject of another target", invocation.target);
        let error = Error::new(ErrorKind::LatticeRefused, message);
        return publish(rpc, inbox, rpc.edge.answer(&reply, Outcome::Failed(&error)));
    }
    let Ok(permit) = rpc.permits.clone().try_acquire_owned() else {
        count(&rpc.counters.busy);
        let message = format!("host {} serves {} calls of the lattice already", rpc.edge.host(), rpc.calls_at_once);
        let error = Error::new(ErrorKind::Busy, message);
        return publish(rpc, inbox, rpc.edge.answer(&reply, Outcome::Failed(&error)));
    };
    count(&rpc.counters.served);
    tokio::spawn(serve(rpc.clone(), invocation, Answering { reply, inbox, permit }));
}

/// What is needed to answer a call.
struct Answering {
    reply: Reply,
    inbox: String,
    /// Held until the answer is sent.
    permit: OwnedSemaphorePermit,
}

async fn serve(rpc: Arc<Inner>, invocation: Invocation, answering: Answering) {
    let received = Instant::now();
    let remaining = invocation.extension.as_ref().map(|extension| Duration::from_millis(extension.remaining));
    let cancellation = invocation.extension.as_ref().and_then(|extension| extension.cancellation);
    let cancelled = cancellation.map(|commitment| rpc.cancellable.add(commitment));
    let served = tokio::select! {
        biased;
        () = revealed(cancelled) => None,
        served = execute(&rpc, invocation, remaining) => Some(served),
    };
    if let Some(commitment) = &cancellation {
        rpc.cancellable.remove(commitment);
    }
    let Answering { reply, inbox, permit } = answering;
    // A caller that has cancelled waits for no answer.
    if let Some(served) = served {
        let left = remaining.unwrap_or(UNTOLD).saturating_sub(received.elapsed());
        answer(&rpc, &reply, inbox, served, left).await;
    }
    drop(permit);
}

async fn revealed(cancelled: Option<oneshot::Receiver<()>>) {
    let is_cancelled = match cancelled {
        Some(cancelled) => cancelled.await.is_ok(),
        None => false,
    };
    if !is_cancelled {
        std::future::pending::<()>().await;
    }
}

async fn execute(rpc: &Arc<Inner>, invocation: Invocation, remaining: Option<Duration>) -> ServedCall {
    let Invocation { origin, target, operation, mut payload, host_id, extension, .. } = invocation;
    let (mut waiting, mut trace) = (Vec::new(), None);
    if let Some(extension) = extension {
        if let Some(transfer) = &extension.transfer {
            let deadline = Instant::now() + remaining.unwrap_or(UNTOLD);
            match rpc.transfers.fetch(&host_id, transfer, deadline).await {
                Ok(fetched) => payload = fetched,
                Err(error) => return ServedCall::Answered(Err(error)),
            }
        }
        waiting = extension.chain;
        trace = extension.trace;
    }
    let call = IncomingCall { host: host_id, origin, target, operation, payload, remaining, waiting, trace };
    rpc.handler.clone().serve(call).await
}

/// Sends the answer to a call.
async fn answer(rpc: &Arc<Inner>, reply: &Reply, inbox: String, served: ServedCall, left: Duration) {
    let bytes = match served {
        ServedCall::Answered(Ok(payload)) if payload.len() > rpc.transfers.inline_limit() => {
            offer(rpc, reply, payload, left)
        }
        ServedCall::Answered(Ok(payload)) => rpc.edge.answer(reply, Outcome::Payload(payload)),
        ServedCall::NotHere(_) if reply.knows_retries() => rpc.edge.answer(reply, Outcome::Retry(Retry::Elsewhere)),
        ServedCall::Answered(Err(error)) | ServedCall::NotHere(error) => {
            rpc.edge.answer(reply, Outcome::Failed(&error))
        }
    };
    if let Err(error) = rpc.connection.publish(inbox, bytes).await {
        log::warn!("the answer to a call of another host is lost: {error}");
    }
}

/// Offers a payload that exceeds a message for as long as the caller waits. Returns the answer that tells of it.
fn offer(rpc: &Arc<Inner>, reply: &Reply, payload: Vec<u8>, left: Duration) -> bytes::Bytes {
    let offer = match rpc.transfers.offer(payload.into()) {
        Ok(offer) => offer,
        Err(error) => return rpc.edge.answer(reply, Outcome::Failed(&error)),
    };
    let bytes = rpc.edge.answer(reply, Outcome::Transfer(offer.transfer()));
    tokio::spawn(async move {
        tokio::time::sleep(left).await;
        drop(offer);
    });
    bytes
}

fn publish(rpc: &Arc<Inner>, inbox: String, answer: bytes::Bytes) {
    let connection = rpc.connection.clone();
    tokio::spawn(async move {
        // The caller finds out by its deadline.
        let _ = connection.publish(inbox, answer).await;
    });
}
