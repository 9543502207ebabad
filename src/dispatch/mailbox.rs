//! The mailbox of an actor's instance, which takes no more calls than its limit.

use std::pin::Pin;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use actix::dev::{RecipientRequest, ToEnvelope};
use actix::{Actor, Addr, Handler, Recipient};
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::error::Result;
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::shutdown::ShutdownSignal;

use super::call_limiter::{CallPermit, HostLimiter, InstanceLimiter, ThreadLimiter};
use super::health_check::{HealthCheck, PendingCheck};
use super::latency::LatencyEstimate;
use super::messages::{Deliver, Flush, Stop};
use crate::shard::{OwnThread, Shard};

/// The mailbox of one instance. actix bounds its channels only for senders that wait, whereas a caller should be told that
/// the mailbox is full. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    calls: Recipient<Deliver>,
    /// The actor's key. Each instance has a copy of its own, because each call counts references to it.
    actor: Arc<str>,
    number: InstanceNumber,
    shared: Arc<Shared>,
    shutdown: Arc<ShutdownSignal>,
    latency: LatencyEstimate,
    /// The calls before this instance.
    own: InstanceLimiter,
    /// The calls in flight in the host.
    host: ThreadLimiter,
}

/// What all clones of a mailbox share, and calls do not need.
#[derive(Debug)]
struct Shared {
    thread: InstanceThread,
    checks: Recipient<HealthCheck>,
    flushes: Recipient<Flush>,
    stops: Recipient<Stop>,
}

/// The thread that an instance lives on.
#[derive(Debug)]
pub(crate) enum InstanceThread {
    Shard(Shard),
    /// A thread that serves no other instance and ends with this one.
    Own(OwnThread),
}

impl InstanceThread {
    pub(crate) fn shard(&self) -> &Shard {
        match self {
            InstanceThread::Shard(shard) => shard,
            InstanceThread::Own(thread) => thread.shard(),
        }
    }
}

/// What a mailbox is made of, apart from the address of its actor.
#[derive(Debug)]
pub(crate) struct MailboxConfig<'a> {
    pub(crate) actor: &'a str,
    pub(crate) number: InstanceNumber,
    pub(crate) thread: InstanceThread,
    pub(crate) shutdown: Arc<ShutdownSignal>,
    pub(crate) latency: LatencyEstimate,
    /// Limits how many calls the mailbox holds, the one being served included.
    pub(crate) limiter: InstanceLimiter,
    pub(crate) host: &'a HostLimiter,
}

/// The outcome of sending a request.
pub(crate) enum Delivery {
    /// The request is in the mailbox, and this is its answer.
    Sent(Pin<Box<RecipientRequest<Deliver>>>),
    /// The instance takes no more requests, and this one is returned.
    Closed(Request, CallContext),
}

/// A permit to send one request to an instance.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    mailbox: &'a Mailbox,
    permit: CallPermit,
}

impl<'a> Reservation<'a> {
    pub(crate) fn mailbox(&self) -> &'a Mailbox {
        self.mailbox
    }

    /// Sends the request that the permit was acquired for.
    ///
    /// # Errors
    /// `Busy` if the host has too many calls in flight.
    pub(crate) fn send(self, request: Request, context: CallContext) -> Result<Delivery> {
        let Reservation { mailbox, permit } = self;
        let permits = Some([permit, mailbox.host.acquire()?]);
        // Checked after the permit is acquired: closing a mailbox looks at its permits afterwards. So either the closing is
        // seen here, or this request is seen there and waited for.
        if mailbox.shutdown.is_closing() {
            return Ok(Delivery::Closed(request, context));
        }
        // Boxed, so that the futures of a call, each of which holds it, stay small.
        Ok(Delivery::Sent(Box::pin(mailbox.calls.send(Deliver { request, context, permits }))))
    }
}

impl Mailbox {
    pub(crate) fn new<A>(address: Addr<A>, config: MailboxConfig<'_>) -> Mailbox
    where
        A: Actor + Handler<Deliver> + Handler<HealthCheck> + Handler<Flush> + Handler<Stop>,
        A::Context: ToEnvelope<A, Deliver> + ToEnvelope<A, HealthCheck> + ToEnvelope<A, Flush> + ToEnvelope<A, Stop>,
    {
        let MailboxConfig { actor, number, thread, shutdown, latency, limiter, host } = config;
        let host = host.on(thread.shard().thread());
        let shared = Shared {
            thread,
            checks: address.clone().recipient(),
            flushes: address.clone().recipient(),
            stops: address.clone().recipient(),
        };
        Mailbox {
            calls: address.recipient(),
            actor: actor.into(),
            number,
            shared: Arc::new(shared),
            shutdown,
            latency,
            own: limiter,
            host,
        }
    }

    pub(crate) fn actor(&self) -> &Arc<str> {
        &self.actor
    }

    pub(crate) fn number(&self) -> InstanceNumber {
        self.number
    }

    /// Returns how many calls are before the instance, the one being served included.
    pub(crate) fn load(&self) -> usize {
        self.own.in_use()
    }

    /// Returns how many calls the mailbox holds, the one being served included.
    pub(super) fn length(&self) -> usize {
        self.own.limit()
    }

    /// Returns the estimated wait of a request that is sent now, in nanoseconds.
    pub(super) fn wait(&self, now: Instant) -> u64 {
        self.latency.of(self.load(), now)
    }

    /// Returns whether this instance should be compared with the actor's other instances.
    pub(super) fn is_due_for_comparison(&self) -> bool {
        self.latency.is_sampled()
    }

    pub(super) fn is_on(&self, thread: ThreadId) -> bool {
        self.shared.thread.shard().thread() == thread
    }

    pub(super) fn is_full(&self) -> bool {
        self.own.is_full()
    }

    /// Reserves room for one request, if there is any.
    pub(super) fn reserve(&self) -> Option<Reservation<'_>> {
        Some(Reservation { mailbox: self, permit: self.own.acquire()? })
    }

    /// Starts a health check, unless the instance has calls before it or is closing.
    pub(crate) fn check(&self, time: Duration) -> Option<PendingCheck> {
        if self.load() > 0 || self.shutdown.is_closing() {
            return None;
        }
        let (check, claim) = HealthCheck::new(self.own.clone(), time);
        Some(claim.pending(self.shared.checks.send(check)))
    }

    /// Ends the call that the instance serves, and fails all calls that reach it.
    pub(crate) fn end(&self) {
        self.shutdown.end();
    }

    /// Takes no more requests, and ends the instance once it has served those that have reached it.
    pub(crate) async fn close(&self) {
        self.shutdown.close();
        let Shared { thread, flushes, stops, .. } = &*self.shared;
        // A mailbox that is gone already has nothing left to serve.
        while flushes.send(Flush).await.is_ok() && self.load() > 0 {}
        let _ = stops.send(Stop).await;
        if let InstanceThread::Own(thread) = thread {
            thread.end().await;
        }
    }
}
