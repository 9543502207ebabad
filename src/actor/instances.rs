//! The instances of one actor, and which of them gets a message.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use super::mailbox::{InstanceNumber, Mailbox, Reservation};

/// What it costs to have another thread serve a message and to hear of it, in nanoseconds: two wake-ups of threads.
const CROSSING: u64 = 30_000;

/// How long a message may have to wait before each one has the other instances looked at, in nanoseconds.
const LONG: u64 = 250_000;

/// The mailboxes of an actor's instances: at least one. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Instances(Arc<[Mailbox]>);

/// Why no instance takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Each instance was ruled out.
    NoneCanBeChosen,
    /// Each instance that was not ruled out has as many calls before it as it may have.
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

    /// Takes a place before the instance that a message is to go to: of those that can be chosen and have room, the one that
    /// will have served it first, by what is before it and how long it takes for a message. One on another thread has to be
    /// reached first.
    ///
    /// To look at what other threads are busy writing costs both sides. So as long as the instance on this thread has little
    /// to do, there is a look only now and then.
    ///
    /// # Errors
    /// Where no instance can be chosen, or none of those has room.
    pub(crate) fn reserve(
        &self,
        can_be_chosen: impl Fn(InstanceNumber) -> bool,
    ) -> Result<Reservation<'_>, Unavailable> {
        let candidates = self.0.iter().filter(|mailbox| can_be_chosen(mailbox.number()));
        if candidates.clone().next().is_none() {
            return Err(Unavailable::NoneCanBeChosen);
        }
        if self.0.len() == 1 {
            return self.0[0].reserve().ok_or(Unavailable::AllFull);
        }
        let (here, now) = (std::thread::current().id(), Instant::now());
        if let Some(own) = candidates.clone().find(|mailbox| mailbox.is_on(here))
            && !own.is_due_for_a_look()
            && own.wait(now) < LONG
            && let Some(reservation) = own.reserve()
        {
            return Ok(reservation);
        }
        let crossing = |mailbox: &Mailbox| if mailbox.is_on(here) { 0 } else { CROSSING };
        loop {
            let with_room = candidates.clone().filter(|mailbox| !mailbox.is_full());
            let first = with_room.min_by_key(|mailbox| mailbox.wait(now).saturating_add(crossing(mailbox)));
            // Where another call has taken the last place in between, there is another look.
            if let Some(reservation) = first.ok_or(Unavailable::AllFull)?.reserve() {
                return Ok(reservation);
            }
        }
    }

    /// Has every instance take nothing more, and end once it has served what has reached it.
    pub(crate) async fn close(&self) {
        join_all(self.0.iter().map(Mailbox::close)).await;
    }

    /// Has every instance end what it is at.
    pub(crate) fn end(&self) {
        self.0.iter().for_each(Mailbox::end);
    }
}
