//! The way into an actor's mailbox, which takes no more than it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::Addr;
use actix::prelude::Request;

use super::guest_actor::{Deliver, GuestActor, Stop};
use crate::call::CallContext;
use crate::error::{Error, ErrorKind, Result};

/// An actor's address, with room for so many calls. actix bounds its channels only for senders that wait, and a caller
/// should rather be told. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    address: Addr<GuestActor>,
    /// Ends whatever the guest is at.
    ended: Arc<AtomicBool>,
    /// The calls before this actor.
    own: Bounded,
    /// The calls under way in the host.
    host: Bounded,
}

/// A number of places, some of them taken.
#[derive(Debug, Clone)]
pub(crate) struct Bounded {
    pub(crate) taken: Arc<AtomicUsize>,
    pub(crate) limit: usize,
}

/// A taken place. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bounded {
    fn new(limit: usize) -> Bounded {
        Bounded { taken: Arc::default(), limit }
    }

    fn take(&self, what: &str) -> Result<Place> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.taken.clone());
        if taken < self.limit {
            return Ok(place);
        }
        Err(Error::new(ErrorKind::Busy, format!("{what} is full: it has room for {} calls", self.limit)))
    }
}

impl Mailbox {
    /// The mailbox of an actor, with room for `length` calls of those that the host has room for.
    pub(crate) fn new(address: Addr<GuestActor>, ended: Arc<AtomicBool>, length: usize, host: Bounded) -> Mailbox {
        Mailbox { address, ended, own: Bounded::new(length), host }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `Busy` where the actor or the host has no room for another call.
    pub(crate) fn deliver(
        &self,
        operation: String,
        message: Vec<u8>,
        context: CallContext,
    ) -> Result<Request<GuestActor, Deliver>> {
        let places = [self.own.take("the actor's mailbox")?, self.host.take("the host")?];
        Ok(self.address.send(Deliver { operation, message, context, places }))
    }

    /// Has the actor end without waiting for it: what it computes ends at its next yield.
    pub(crate) fn abandon(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.address.do_send(Stop);
    }

    /// Has the actor end once it has served what has reached it.
    pub(crate) async fn close(&self) {
        // A mailbox that is closed already has nothing left to serve.
        let _ = self.address.send(Stop).await;
    }
}
