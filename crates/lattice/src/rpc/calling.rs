//! Calls to other hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Subject;
use bytes::Bytes;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::answers::Exchange;
use super::cancellation::CancelOnDrop;
use super::routes::Departure;
use super::{Inner, OutgoingCall, count};
use crate::edge::Answer;
use crate::transfer::Offer;
use crate::wire::{Extension, Invocation, MAX_CHAIN, Retry, Transfer};

/// How often a call is sent, at most. Each further attempt follows a host that did not execute it.
const ATTEMPTS: usize = 8;

/// How long a call waits before it goes to a shared subject again, whose hosts are being replaced.
const PAUSE: Duration = Duration::from_millis(25);

/// The end of an attempt.
enum Attempt {
    Done(Result<Vec<u8>>),
    /// The call was not executed, and may be executed by another host.
    NotExecuted,
    /// No host takes calls on the subject.
    NoHost,
}

/// A payload that is offered, beside what the offer says of it.
struct Offered {
    payload: Bytes,
    offer: Offer,
}

/// What became of a message.
enum Sent {
    /// The call was executed, or failed.
    Done(Result<Vec<u8>>),
    /// The call was not executed, and may be sent again.
    Retry(Retry),
    /// Nothing has received the message.
    NoSubscriber,
}

/// A call that is being made.
pub(super) struct Call {
    invocation: Invocation,
    deadline: Instant,
    /// The payload as it is offered to the host that executes the call, if it exceeds a message.
    offer: Option<Offered>,
    /// Hosts that did not execute the call.
    tried: Vec<Arc<str>>,
}

impl Inner {
    pub(super) async fn call(self: Arc<Self>, call: Result<Box<Call>>) -> Result<Vec<u8>> {
        count(&self.counters.called);
        let called = self.attempt_all(call?).await;
        if called.as_ref().is_err_and(|error| error.kind() == ErrorKind::OutcomeUnknown) {
            count(&self.counters.unknown);
        }
        called
    }

    pub(super) fn prepare(&self, call: OutgoingCall) -> Result<Box<Call>> {
        let OutgoingCall { origin, target, operation, payload, deadline, waiting, trace } = call;
        if waiting.len() > MAX_CHAIN {
            let message = format!("the call has passed through more than {MAX_CHAIN} actors");
            return Err(Error::new(ErrorKind::ChainTooDeep, message));
        }
        let mut extension = Extension::new(0, 0);
        extension.chain = waiting;
        extension.trace = trace;
        let mut invocation = Invocation {
            origin,
            target,
            operation,
            payload,
            // Each attempt has its own.
            id: String::new(),
            encoded_claims: String::new(),
            host_id: self.edge.host().to_string(),
            extension: None,
        };
        invocation.extension = Some(extension);
        // Boxed, so that the futures that pass it on stay small.
        Ok(Box::new(Call { invocation, deadline, offer: None, tried: Vec::new() }))
    }

    /// Returns whether the payload is in the message, as it should be. Most are.
    fn is_placed(&self, call: &Call, is_for_known_host: bool) -> bool {
        let fits = !is_for_known_host || call.invocation.payload.len() <= self.transfers.inline_limit();
        call.offer.is_none() && fits
    }

    /// Puts the payload into the message, or offers it to the host that executes the call. Hosts of 2021 fetch nothing: a call
    /// that they may take holds its payload, whatever its size.
    async fn place_payload(&self, call: &mut Call, is_for_known_host: bool) -> Result<()> {
        let length = call.offer.as_ref().map_or(call.invocation.payload.len(), |offered| offered.payload.len());
        let is_inline = !is_for_known_host || length <= self.transfers.inline_limit();
        match (is_inline, call.offer.take()) {
            (true, Some(offered)) => call.invocation.payload = offered.payload.into(),
            (false, None) => {
                let payload = Bytes::from(std::mem::take(&mut call.invocation.payload));
                let offer = Box::pin(self.offer(payload.clone())).await?;
                call.offer = Some(Offered { payload, offer });
            }
            (_, offer) => call.offer = offer,
        }
        if let Some(extension) = &mut call.invocation.extension {
            extension.transfer = call.offer.as_ref().map(|offered| offered.offer.transfer());
        }
        Ok(())
    }

    /// Sends a call until a host has executed it.
    async fn attempt_all(self: &Arc<Self>, mut call: Box<Call>) -> Result<Vec<u8>> {
        let mut last = Attempt::NoHost;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                count(&self.counters.sent_again);
            }
            last = match self.choose(&call.invocation.target, &call.tried) {
                Some(departure) => {
                    match self.attempt_host(&mut call, &departure).await {
                        Attempt::Done(result) => Attempt::Done(result),
                        // Other hosts may run the target.
                        Attempt::NotExecuted | Attempt::NoHost => {
                            call.tried.push(departure.host.clone());
                            Attempt::NotExecuted
                        }
                    }
                }
                None => {
                    let attempt = Box::pin(self.attempt_any(&mut call)).await;
                    if matches!(attempt, Attempt::NotExecuted) {
                        Box::pin(tokio::time::sleep(PAUSE)).await;
                        call.tried.clear();
                    }
                    attempt
                }
            };
            match last {
                Attempt::Done(result) => return result,
                Attempt::NoHost => break,
                Attempt::NotExecuted => {}
            }
        }
        Err(nowhere(&call.invocation.target, &last))
    }

    /// Sends a call to one host.
    async fn attempt_host(self: &Arc<Self>, call: &mut Call, departure: &Departure<'_>) -> Attempt {
        let host = &departure.host;
        let mut with_token = false;
        for _ in 0..3 {
            let retry = match self.send(call, &departure.subject, Some(host), with_token).await {
                Ok(Sent::Done(result)) => return Attempt::Done(result),
                Ok(Sent::Retry(retry)) => retry,
                Ok(Sent::NoSubscriber) => {
                    self.routes.absent(host);
                    return Attempt::NoHost;
                }
                Err(error) => return Attempt::Done(Err(error)),
            };
            count(&self.counters.sent_again);
            match retry {
                // The host has lost the session. It is replaced in the background; answers on their way still need it.
                Retry::WithToken => {
                    self.begin_handshake(host);
                    with_token = true;
                }
                Retry::AfterHandshake => {
                    Box::pin(self.handshake(host, call.deadline)).await;
                    with_token = !with_token;
                }
                _ => return Attempt::NotExecuted,
            }
        }
        Attempt::NotExecuted
    }

    /// Sends a call to any host that takes calls on the subject of the target.
    async fn attempt_any(self: &Arc<Self>, call: &mut Call) -> Attempt {
        let Some(subject) = self.namespace.call(&call.invocation.target) else {
            let message = "a host is never called";
            return Attempt::Done(Err(Error::new(ErrorKind::InvalidArgument, message)));
        };
        match self.send(call, &subject.into(), None, true).await {
            Ok(Sent::Retry(_)) => Attempt::NotExecuted,
            Ok(Sent::Done(result)) => Attempt::Done(result),
            Ok(Sent::NoSubscriber) => Attempt::NoHost,
            // A current host may turn out to run the target, and fetches the payload.
            Err(error) if error.kind() == ErrorKind::MessageTooLarge && self.may_be_known_soon(call) => {
                Attempt::NotExecuted
            }
            Err(error) => Attempt::Done(Err(error)),
        }
    }

    /// Returns whether the inventories of hosts that may run the target of a call are not known yet.
    fn may_be_known_soon(&self, call: &Call) -> bool {
        !self.membership.hosts_of(&call.invocation.target).is_complete
    }

    /// Sends a call once, under an identifier of its own. It is cancelled if this is dropped.
    async fn send(
        self: &Arc<Self>,
        call: &mut Call,
        subject: &Subject,
        host: Option<&Arc<str>>,
        with_token: bool,
    ) -> Result<Sent> {
        let remaining = call.deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            let message = format!("the deadline passed before the call to {} was sent", call.invocation.target);
            return Err(Error::new(ErrorKind::DeadlineExceeded, message));
        }
        if !self.is_placed(call, host.is_some()) {
            Box::pin(self.place_payload(call, host.is_some())).await?;
        }
        let random = self.randomness.next();
        call.invocation.id = random.id();
        if let Some(extension) = &mut call.invocation.extension {
            extension.cancellation = Some(*blake3::hash(&random.secret).as_bytes());
        }
        let mut sealed = self.edge.seal(&mut call.invocation, host, remaining, with_token)?;
        let message = std::mem::take(&mut sealed.bytes);
        if let Some(host) = host
            && (!sealed.is_by_session() || self.edge.sessions().is_due(host))
            && self.routes.may_begin_handshake(host)
        {
            self.begin_handshake(host);
        }
        let mut cancel = CancelOnDrop::new(self, host.cloned(), random.secret);
        match self.exchange(subject, message, host, call.deadline).await? {
            Exchange::Answer(payload) => {
                let sent = match self.edge.open(&sealed, &payload)? {
                    Answer::Payload(payload) => Sent::Done(Ok(payload)),
                    Answer::Failed(error) => Sent::Done(Err(error)),
                    Answer::Retry(retry) => Sent::Retry(retry),
                    Answer::Transfer { host, transfer } => {
                        let fetched = Box::pin(self.fetch(&host, &transfer, call.deadline)).await;
                        // The secret is revealed: the host need not offer the payload any longer.
                        drop(cancel);
                        return Ok(Sent::Done(fetched));
                    }
                };
                cancel.disarm();
                Ok(sent)
            }
            Exchange::NoSubscriber => {
                cancel.disarm();
                Ok(Sent::NoSubscriber)
            }
        }
    }

    /// Fetches the payload of an answer. The call has been executed, so that no failure says otherwise.
    async fn fetch(&self, host: &str, transfer: &Transfer, deadline: Instant) -> Result<Vec<u8>> {
        self.transfers.fetch(host, transfer, deadline).await.map_err(|error| match error.kind() {
            ErrorKind::MessageTooLarge => error,
            _ => {
                let message = "the call was executed, and its answer cannot be fetched";
                Error::new(ErrorKind::OutcomeUnknown, message).caused_by(error)
            }
        })
    }
}

fn nowhere(target: &WasmCloudEntity, last: &Attempt) -> Error {
    let kind = match target {
        WasmCloudEntity::Actor(_) => ErrorKind::ActorNotFound,
        _ => ErrorKind::ProviderNotFound,
    };
    let reason = match last {
        Attempt::NotExecuted => "each host that was asked has just stopped it",
        _ => "start it on one, or check the namespace of the hosts",
    };
    Error::new(kind, format!("no host of the lattice runs {target}: {reason}"))
}
