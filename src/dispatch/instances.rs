//! The instances of one actor, and which of them gets a request.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use wasmcloud_core::identity::InstanceNumber;

use super::mailbox::{Mailbox, Reservation};

/// The cost of a request and its answer crossing threads, in nanoseconds: two wake-ups.
const CROSSING: u64 = 30_000;

/// The estimated wait from which on each request compares all instances, in nanoseconds.
const LONG: u64 = 250_000;

/// The mailboxes of an actor's instances: at least one. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Instances(Arc<[Mailbox]>);

/// Why no instance takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// No instance is eligible.
    NoneEligible,
    /// Each eligible instance has as many calls before it as its limit allows.
    AllFull,
}

impl Instances {
    pub(crate) fn new(mailboxes: Vec<Mailbox>) -> Instances {
        Instances(mailboxes.into())
    }

    pub(crate) fn mailboxes(&self) -> &[Mailbox] {
        &self.0
    }

    pub(crate) fn include(&self, instance: InstanceNumber) -> bool {
        self.0.iter().any(|mailbox| mailbox.number() == instance)
    }

    /// Returns how many calls one mailbox holds.
    pub(crate) fn mailbox_length(&self) -> usize {
        self.0.first().map_or(0, Mailbox::length)
    }

    /// Reserves room for a request at the eligible instance that is expected to serve it first: by the calls before it, by
    /// its estimated latency, and by whether the request has to cross threads.
    ///
    /// Reading counters that other threads write is expensive for both. So while the instance on this thread has little to
    /// do, the instances are compared only now and then.
    ///
    /// # Errors
    /// Why no instance takes the request.
    pub(crate) fn reserve(&self, is_eligible: impl Fn(InstanceNumber) -> bool) -> Result<Reservation<'_>, Unavailable> {
        let candidates = self.0.iter().filter(|mailbox| is_eligible(mailbox.number()));
        if candidates.clone().next().is_none() {
            return Err(Unavailable::NoneEligible);
        }
        if self.0.len() == 1 {
            return self.0[0].reserve().ok_or(Unavailable::AllFull);
        }
        let here = std::thread::current().id();
        let now = Instant::now();
        if let Some(own) = candidates.clone().find(|mailbox| mailbox.is_on(here))
            && !own.is_due_for_comparison()
            && own.wait(now) < LONG
            && let Some(reservation) = own.reserve()
        {
            return Ok(reservation);
        }
        let crossing = |mailbox: &Mailbox| if mailbox.is_on(here) { 0 } else { CROSSING };
        loop {
            let with_room = candidates.clone().filter(|mailbox| !mailbox.is_full());
            let first = with_room.min_by_key(|mailbox| mailbox.wait(now).saturating_add(crossing(mailbox)));
            // Another call may have taken the last room in between.
            if let Some(reservation) = first.ok_or(Unavailable::AllFull)?.reserve() {
                return Ok(reservation);
            }
        }
    }

    /// Takes no more requests, and ends each instance once it has served those that have reached it.
    pub(crate) async fn close(&self) {
        join_all(self.0.iter().map(Mailbox::close)).await;
    }

    /// Ends the calls that the instances serve, and fails all calls that reach them.
    pub(crate) fn end(&self) {
        self.0.iter().for_each(Mailbox::end);
    }
}
