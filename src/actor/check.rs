//! Asking an instance how it is: work comes first, always.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Message;
use actix::prelude::Request;

use super::guest_actor::{Deliver, GuestActor};
use super::room::InstanceRoom;
use crate::call::{self, CallContext};
use crate::capability::wire::{HEALTH_REQUEST, health_request, read_health};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::health::Health;

/// A health check in a mailbox. When its turn comes and there are calls behind it, the guest is not asked.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<u8>>")]
pub(super) struct Check {
    time: Duration,
    /// The calls before the instance.
    calls: InstanceRoom,
    /// Set by whoever is first: the guest that takes the check up, or the asker that gives it up.
    claimed: Arc<AtomicBool>,
}

impl Check {
    /// A check that waits for its turn and for its answer so long each, and what its asker keeps of it.
    pub(super) fn new(calls: InstanceRoom, time: Duration) -> (Check, Claim) {
        let claimed = Arc::<AtomicBool>::default();
        let claim = Claim { time, calls: calls.clone(), claimed: claimed.clone() };
        (Check { time, calls, claimed }, claim)
    }

    /// What the guest is asked. Its time begins now: it must not lack what others have taken.
    ///
    /// # Errors
    /// Why it is not asked.
    pub(super) fn begin(self) -> Result<Deliver> {
        if self.claimed.swap(true, Ordering::SeqCst) || self.calls.taken() > 0 {
            return Err(Error::new(ErrorKind::Busy, "it is not asked how it is: it has work"));
        }
        let message = call::Message { operation: HEALTH_REQUEST.to_owned(), payload: health_request() };
        Ok(Deliver { message, context: CallContext::begin(self.time), places: None })
    }
}

/// The right to give a check up.
pub(super) struct Claim {
    time: Duration,
    calls: InstanceRoom,
    claimed: Arc<AtomicBool>,
}

/// A check that has been sent.
pub(crate) struct Asked {
    claim: Claim,
    answer: Request<GuestActor, Check>,
}

impl Claim {
    pub(super) fn of(self, answer: Request<GuestActor, Check>) -> Asked {
        Asked { claim: self, answer }
    }

    /// How an instance is that has not answered. One that was never asked, because calls came in between, is at work; of
    /// one that was not asked though it has no calls, nothing is known.
    fn give_up(&self) -> Option<Health> {
        if self.claimed.swap(true, Ordering::SeqCst) {
            return Some(Health::Unanswered);
        }
        (self.calls.taken() > 0).then_some(Health::Busy)
    }
}

impl Asked {
    /// How the instance is; nothing where it was not asked in time, though it is not at work.
    pub(crate) async fn health(self) -> Option<Health> {
        let answer = match tokio::time::timeout(self.claim.time, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Some(Health::Unhealthy { reason: format!("its instance has ended: {error}") }),
            Err(_) => return self.claim.give_up(),
        };
        Some(match answer {
            Ok(answer) => read_health(&answer).map_or_else(|reason| Health::Unhealthy { reason }, |()| Health::Healthy),
            // It has answered, so it works.
            Err(error) if error.kind() == ErrorKind::UnknownOperation => Health::Healthy,
            Err(error) => Health::of_failure(&error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::room::Place;

    /// A check of an instance that has so many calls before it.
    fn check(calls: usize) -> (InstanceRoom, Vec<Place>, Check, Claim) {
        let room = InstanceRoom::new(10);
        let places = (0..calls).map(|_| room.take().unwrap()).collect();
        let (check, claim) = Check::new(room.clone(), Duration::from_secs(1));
        (room, places, check, claim)
    }

    #[test]
    fn calls_that_come_before_the_turn_of_a_check_go_first() {
        let (room, _, check, _) = check(0);
        let _call = room.take().unwrap();
        assert_eq!(check.begin().map(drop).unwrap_err().kind(), ErrorKind::Busy);
    }

    #[test]
    fn a_check_that_waits_behind_calls_says_busy_and_is_not_made_later() {
        let (_, places, check, claim) = check(1);
        assert_eq!(claim.give_up(), Some(Health::Busy));
        drop(places);
        assert!(check.begin().is_err());
    }

    #[test]
    fn whoever_was_asked_has_not_answered_whatever_came_after() {
        let (room, _, check, claim) = check(0);
        let Deliver { message, places, .. } = check.begin().unwrap();
        assert_eq!(message.operation, "HealthRequest");
        assert!(places.is_none());
        let _call = room.take().unwrap();
        assert_eq!(claim.give_up(), Some(Health::Unanswered));
    }

    #[test]
    fn nothing_is_known_of_whoever_is_idle_and_cannot_be_reached() {
        let (_, _, check, claim) = check(0);
        assert_eq!(claim.give_up(), None);
        assert!(check.begin().is_err());
    }
}
