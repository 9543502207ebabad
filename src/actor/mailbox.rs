//! The way into an actor's mailbox, which takes no more than it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Addr;
use actix::prelude::Request;

use super::guest_actor::{Deliver, GuestActor, Stop};
use crate::dispatch::CallContext;
use crate::error::{Error, ErrorKind, Result};

/// How many messages one actor may have before it, the one it serves included. actix bounds its channels only for
/// senders that wait, and a caller should rather be told.
const CAPACITY: usize = 1024;

/// An actor's address, and how much is on its way there. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    address: Addr<GuestActor>,
    taken: Arc<AtomicUsize>,
}

/// A place in a mailbox, given back when the message has been answered.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mailbox {
    pub(crate) fn new(address: Addr<GuestActor>) -> Mailbox {
        Mailbox { address, taken: Arc::default() }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `Busy` where the mailbox is full.
    pub(crate) fn deliver(
        &self,
        operation: String,
        message: Vec<u8>,
        context: CallContext,
    ) -> Result<Request<GuestActor, Deliver>> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.taken.clone());
        if taken >= CAPACITY {
            let message = format!("the actor's mailbox is full: {CAPACITY} calls are before this one");
            return Err(Error::new(ErrorKind::Busy, message));
        }
        Ok(self.address.send(Deliver { operation, message, context, place }))
    }

    /// Has the actor end once it has served what has reached it.
    pub(crate) async fn close(&self) {
        // A mailbox that is closed already has nothing left to serve.
        let _ = self.address.send(Stop).await;
    }
}
