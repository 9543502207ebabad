//! Calls from other hosts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::{Message, Subject as Inbox};
use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind};

use super::cancellation::Cancelled;
use super::listening::{self, Until};
use super::permits::Permit;
use super::{IncomingCall, Inner, Served as ServedCall, Serving, count};
use crate::connection::{Subject, is_inbox};
use crate::edge::{Admitted, Arrival, Outcome, Refused, Reply};
use crate::wire::{Invocation, Retry, Transfer};

/// How long a caller of 2021 waits for an answer: 2 s in its release. A payload that it fetches is kept for so long.
const UNTOLD: Duration = Duration::from_secs(2);

/// Takes calls on the subject of this host, until it leaves.
pub(super) async fn serve_host(rpc: Arc<Inner>) {
    let subject = Subject::new(rpc.host_subject(rpc.edge.host(), "call"));
    let handle = receive_direct;
    listening::listen(&rpc, subject, Until::Leaving, || {}, handle).await;
}

/// Takes a call on the subject of a target.
pub(super) fn receive(rpc: &Arc<Inner>, message: Message, arrival: Arrival<'_>) {
    let Some(inbox) = message.reply.filter(|inbox| is_inbox(inbox)) else { return rpc.edge.refuse_without_inbox() };
    match rpc.edge.admit(&message.payload, arrival) {
        Ok(admitted) => serve_admitted(rpc, admitted, inbox, rpc.permits.take()),
        Err(refused) => refuse(rpc, inbox, refused),
    }
}

/// Takes a call on the subject of this host. A token is verified in the background, since a flood of them would hold the
/// thread of the calls.
fn receive_direct(rpc: &Arc<Inner>, message: Message) {
    let Some(inbox) = message.reply.filter(|inbox| is_inbox(inbox)) else { return rpc.edge.refuse_without_inbox() };
    let invocation = match rpc.edge.read_call(&message.payload) {
        Ok(invocation) => invocation,
        Err(refused) => return refuse(rpc, inbox, refused),
    };
    if invocation.encoded_claims.is_empty() {
        return match rpc.edge.admit_read(invocation, Arrival::Direct) {
            Ok(admitted) => serve_admitted(rpc, admitted, inbox, rpc.permits.take()),
            Err(refused) => refuse(rpc, inbox, refused),
        };
    }
    // A host that leaves waits for the permit.
    let permit = rpc.permits.take();
    let expected = rpc.edge.expect(&invocation);
    let background = rpc.background.clone();
    let rpc = rpc.clone();
    background.spawn(async move {
        match rpc.edge.admit_expected(invocation, Arrival::Direct, expected) {
            Ok(admitted) => serve_admitted(&rpc, admitted, inbox, permit),
            Err(refused) => refuse(&rpc, inbox, refused),
        }
    });
}

fn refuse(rpc: &Arc<Inner>, inbox: Inbox, refused: Refused) {
    let Refused { reason, answer } = refused;
    log::debug!("a call from the lattice is refused: {reason}");
    if let Some(answer) = answer {
        let rpc = rpc.clone();
        tokio::spawn(async move { publish(&rpc, inbox, answer).await });
    }
}

/// Serves a call in a task of its own.
fn serve_admitted(rpc: &Arc<Inner>, admitted: Admitted, inbox: Inbox, permit: Option<Permit>) {
    let Admitted { invocation, reply } = admitted;
    if rpc.is_cordoned.load(Ordering::Relaxed) && reply.knows_retries() {
        let answer = rpc.edge.answer(&reply, Outcome::Retry(Retry::Elsewhere));
        let rpc = rpc.clone();
        tokio::spawn(async move { publish(&rpc, inbox, answer).await });
        return;
    }
    let Some(permit) = permit else {
        count(&rpc.counters.busy);
        let message = format!("host {} serves {} calls of the lattice already", rpc.edge.host(), rpc.permits.most());
        let answer = rpc.edge.answer(&reply, Outcome::Failed(&Error::new(ErrorKind::Busy, message)));
        let rpc = rpc.clone();
        tokio::spawn(async move {
            publish(&rpc, inbox, answer).await;
            drop(reply);
        });
        return;
    };
    count(&rpc.counters.served);
    let remaining = invocation.extension.as_ref().map(|extension| Duration::from_millis(extension.remaining));
    let commitment = invocation.extension.as_ref().and_then(|extension| extension.cancellation);
    let cancelled = commitment.and_then(|commitment| Cancelled::add(rpc, commitment));
    let answering = Answering { reply, inbox, received: Instant::now(), remaining, cancelled, _permit: permit };
    // Boxed, so that the futures that pass it on stay small.
    tokio::spawn(serve(rpc.clone(), execute(rpc, invocation, remaining), Box::new(answering)));
}

/// What is needed to answer a call.
struct Answering {
    reply: Reply,
    inbox: Inbox,
    received: Instant,
    /// How long the caller waits from then on. `None` for hosts of 2021, which do not say it.
    remaining: Option<Duration>,
    cancelled: Option<Cancelled>,
    /// Held until the answer is sent.
    _permit: Permit,
}

impl Answering {
    /// Returns how long the caller still waits.
    fn left(&self) -> Duration {
        self.remaining.unwrap_or(UNTOLD).saturating_sub(self.received.elapsed())
    }
}

async fn serve(rpc: Arc<Inner>, mut execution: Serving, mut answering: Box<Answering>) {
    let served = tokio::select! {
        biased;
        () = Cancelled::wait(answering.cancelled.as_mut()) => None,
        served = &mut execution => Some(served),
    };
    drop(execution);
    match served {
        Some(served) => answer(&rpc, answering, served).await,
        // The caller waits for no answer.
        None => count(&rpc.counters.cancelled),
    }
}

/// Returns the execution of a call.
fn execute(rpc: &Arc<Inner>, invocation: Invocation, remaining: Option<Duration>) -> Serving {
    let Invocation { origin, target, operation, payload, host_id, extension, .. } = invocation;
    let mut call =
        IncomingCall { host: host_id, origin, target, operation, payload, remaining, waiting: Vec::new(), trace: None };
    let Some(extension) = extension else { return rpc.handler.clone().serve(call) };
    call.waiting = extension.chain;
    call.trace = extension.trace;
    match extension.transfer {
        Some(transfer) => Box::pin(fetch_and_execute(rpc.clone(), call, transfer)),
        None => rpc.handler.clone().serve(call),
    }
}

/// Executes a call after its payload has been fetched.
async fn fetch_and_execute(rpc: Arc<Inner>, mut call: IncomingCall, transfer: Transfer) -> ServedCall {
    let deadline = Instant::now() + call.remaining.unwrap_or(UNTOLD);
    match rpc.transfers.fetch(&call.host, &transfer, deadline).await {
        Ok(fetched) => call.payload = fetched,
        Err(error) => return ServedCall::Answered(Err(error)),
    }
    rpc.handler.clone().serve(call).await
}

/// Sends the answer to a call.
async fn answer(rpc: &Arc<Inner>, answering: Box<Answering>, served: ServedCall) {
    let reply = &answering.reply;
    let bytes = match served {
        ServedCall::Answered(Ok(payload)) if payload.len() > rpc.transfers.inline_limit() && reply.knows_retries() => {
            // Boxed, since few calls need it and each would be larger.
            return Box::pin(offer(rpc, answering, payload)).await;
        }
        ServedCall::Answered(Ok(payload)) => rpc.edge.answer(reply, Outcome::Payload(payload)),
        ServedCall::NotHere(_) if reply.knows_retries() => rpc.edge.answer(reply, Outcome::Retry(Retry::Elsewhere)),
        ServedCall::Answered(Err(error)) | ServedCall::NotHere(error) => {
            rpc.edge.answer(reply, Outcome::Failed(&error))
        }
    };
    let largest = rpc.connection.max_payload().unwrap_or(usize::MAX);
    let bytes = if bytes.len() > largest { rpc.edge.answer(reply, Outcome::Failed(&too_large())) } else { bytes };
    publish(rpc, answering.inbox.clone(), bytes).await;
}

fn too_large() -> Error {
    Error::new(ErrorKind::MessageTooLarge, "the call was executed, and its answer is larger than a message may be")
}

/// Offers a payload that exceeds a message, until the caller has fetched it or no longer waits.
async fn offer(rpc: &Arc<Inner>, answering: Box<Answering>, payload: Vec<u8>) {
    let left = answering.left();
    let Answering { reply, inbox, mut cancelled, .. } = *answering;
    let offer = match rpc.offer(payload.into()).await {
        Ok(offer) => offer,
        Err(error) => {
            let message = "the call was executed, and its answer cannot be kept until it is fetched";
            let unknown = Error::new(ErrorKind::OutcomeUnknown, message).caused_by(error);
            return publish(rpc, inbox, rpc.edge.answer(&reply, Outcome::Failed(&unknown))).await;
        }
    };
    publish(rpc, inbox, rpc.edge.answer(&reply, Outcome::Transfer(offer.transfer()))).await;
    // Without a fetch the offer ends with the deadline.
    let _ = tokio::time::timeout(left, Cancelled::wait(cancelled.as_mut())).await;
    drop(offer);
}

async fn publish(rpc: &Inner, inbox: Inbox, answer: Bytes) {
    let sent = match rpc.connection.client() {
        // Boxed, since it is large and waits only if the connection is slow.
        Ok(client) => Box::pin(client.publish(inbox, answer)).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = sent {
        log::warn!("the answer to a call of another host is lost: {error}");
    }
}
