//! The way into the mailbox of an actor's instance, which takes no more than it holds.

use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Duration;
use std::time::Instant;

use actix::Addr;
use actix::prelude::Request;

use super::check::{Asked, Check};
use super::guest_actor::{Deliver, GuestActor, Pass, Stop};
use super::pace::Pace;
use super::room::{HostRoom, InstanceRoom, Place, ThreadRoom};
use crate::call::{CallContext, Message};
use crate::ending::Ending;
use crate::error::Result;
use crate::shard::{OwnThread, Shard};

/// An instance's address, with room for so many calls. actix bounds its channels only for senders that wait, and a caller
/// should rather be told. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    address: Addr<GuestActor>,
    /// The actor's key, shared with nobody: each call counts who holds it.
    actor: Arc<str>,
    /// Which of the actor's instances it is.
    number: InstanceNumber,
    home: Arc<Home>,
    ending: Arc<Ending>,
    pace: Pace,
    /// The calls before this instance.
    own: InstanceRoom,
    /// The calls under way in the host.
    host: ThreadRoom,
}

/// Which instance of an actor or provider: no two of a host ever have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// What became of a message.
pub(crate) enum Delivery {
    /// It is in the mailbox, and this is the answer.
    Sent(Request<GuestActor, Deliver>),
    /// The instance takes nothing any more, and the message is back.
    Closed(Message, CallContext),
}

/// The place of a call before an instance. It is given back when this is dropped.
pub(crate) struct Reservation<'a> {
    mailbox: &'a Mailbox,
    place: Place,
}

impl<'a> Reservation<'a> {
    pub(crate) fn mailbox(&self) -> &'a Mailbox {
        self.mailbox
    }

    /// Sends the message that the place was taken for.
    ///
    /// # Errors
    /// `Busy` where the host has no room for another call.
    pub(crate) fn send(self, message: Message, context: CallContext) -> Result<Delivery> {
        let Reservation { mailbox, place } = self;
        let places = Some([place, mailbox.host.take()?]);
        // Looked at after the place is taken: whoever closes the mailbox looks at the places afterwards, and so either
        // is seen here, or sees this message there and waits for it.
        if mailbox.ending.is_closing() {
            return Ok(Delivery::Closed(message, context));
        }
        Ok(Delivery::Sent(mailbox.address.send(Deliver { message, context, places })))
    }
}

impl Mailbox {
    /// The mailbox of an instance, with room for `length` calls of those that the host has room for.
    pub(crate) fn new(
        address: Addr<GuestActor>,
        (actor, number): (&str, InstanceNumber),
        home: Home,
        (ending, pace): (Arc<Ending>, Pace),
        (length, host): (usize, &HostRoom),
    ) -> Mailbox {
        let (own, host) = (InstanceRoom::new(length), host.on(home.shard().thread()));
        Mailbox { address, actor: actor.into(), number, home: Arc::new(home), ending, pace, own, host }
    }

    pub(crate) fn actor(&self) -> &Arc<str> {
        &self.actor
    }

    pub(crate) fn number(&self) -> InstanceNumber {
        self.number
    }

    /// How many calls are before the instance, the one it serves included.
    pub(crate) fn load(&self) -> usize {
        self.own.taken()
    }

    /// How long a message that is sent now waits for its turn, as far as one can tell, in nanoseconds.
    pub(super) fn wait(&self, now: Instant) -> u64 {
        self.pace.of(self.load(), now)
    }

    /// Whether it is time to compare it with the actor's other instances.
    pub(super) fn is_due_for_a_look(&self) -> bool {
        self.pace.is_sampled()
    }

    pub(super) fn is_on(&self, thread: ThreadId) -> bool {
        self.home.shard().thread() == thread
    }

    /// Whether the instance has as many calls before it as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.own.is_full()
    }

    /// Takes the place of a call before the instance, if there is one.
    pub(super) fn reserve(&self) -> Option<Reservation<'_>> {
        Some(Reservation { mailbox: self, place: self.own.take()? })
    }

    /// Asks the instance how it is, unless it has calls before it or takes nothing any more.
    pub(crate) fn check(&self, time: Duration) -> Option<Asked> {
        if self.load() > 0 || self.ending.is_closing() {
            return None;
        }
        let (check, claim) = Check::new(self.own.clone(), time);
        Some(claim.of(self.address.send(check)))
    }

    /// Has the instance end what it is at, and answer whatever reaches it with an error.
    pub(crate) fn end(&self) {
        self.ending.end();
    }

    /// Has the instance take nothing more, and end once it has served what has reached it.
    pub(crate) async fn close(&self) {
        self.ending.close();
        // A mailbox that is gone already has nothing left to serve.
        while self.address.send(Pass).await.is_ok() && self.load() > 0 {}
        let _ = self.address.send(Stop).await;
        if let Home::Own(thread) = &*self.home {
            thread.end().await;
        }
    }
}
