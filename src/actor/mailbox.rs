//! The way into the mailbox of an actor's instance, which takes no more than it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;

use actix::Addr;
use actix::prelude::Request;

use super::guest_actor::{Deliver, GuestActor, Stop};
use crate::call::CallContext;
use crate::error::{Error, ErrorKind, Result};
use crate::shard::{OwnThread, Shard};

/// An instance's address, with room for so many calls. actix bounds its channels only for senders that wait, and a caller
/// should rather be told. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    address: Addr<GuestActor>,
    /// Which of the actor's instances it is.
    number: InstanceNumber,
    home: Arc<Home>,
    /// Ends whatever the guest is at.
    ended: Arc<AtomicBool>,
    /// The calls before this instance.
    own: Bounded,
    /// The calls under way in the host.
    host: Bounded,
}

/// Which instance of an actor: no two of them ever have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstanceNumber(pub(crate) usize);

/// The thread that an instance lives on.
#[derive(Debug)]
pub(crate) enum Home {
    Shard(Shard),
    /// One that nobody else has, and that ends with the instance.
    Own(OwnThread),
}

impl Home {
    pub(crate) fn shard(&self) -> &Shard {
        match self {
            Home::Shard(shard) => shard,
            Home::Own(thread) => thread.shard(),
        }
    }
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
    /// The mailbox of an instance, with room for `length` calls of those that the host has room for.
    pub(crate) fn new(
        address: Addr<GuestActor>,
        number: InstanceNumber,
        home: Home,
        ended: Arc<AtomicBool>,
        (length, host): (usize, Bounded),
    ) -> Mailbox {
        Mailbox { address, number, home: Arc::new(home), ended, own: Bounded::new(length), host }
    }

    pub(crate) fn number(&self) -> InstanceNumber {
        self.number
    }

    /// How many calls are before the instance, the one it serves included.
    pub(super) fn load(&self) -> usize {
        self.own.taken.load(Ordering::Relaxed)
    }

    pub(super) fn is_on(&self, thread: ThreadId) -> bool {
        self.home.shard().thread() == thread
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `Busy` where the instance or the host has no room for another call.
    pub(crate) fn deliver(
        &self,
        operation: String,
        message: Vec<u8>,
        context: CallContext,
    ) -> Result<Request<GuestActor, Deliver>> {
        let places = [self.own.take("the actor's mailbox")?, self.host.take("the host")?];
        Ok(self.address.send(Deliver { operation, message, context, places }))
    }

    /// Has the instance end without waiting for it: what it computes ends at its next yield.
    pub(crate) fn abandon(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.address.do_send(Stop);
    }

    /// Has the instance end once it has served what has reached it.
    pub(crate) async fn close(&self) {
        // A mailbox that is closed already has nothing left to serve.
        let _ = self.address.send(Stop).await;
        if let Home::Own(thread) = &*self.home {
            thread.end().await;
        }
    }
}
