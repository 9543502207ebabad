//! Health checks of an actor's instance. Calls always come first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Message;
use actix::dev::RecipientRequest;
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::health::{HEALTH_REQUEST, Health, health_request, read_health};

use super::call_limiter::InstanceLimiter;
use super::messages::Deliver;

/// A health check in a mailbox. The guest is not asked if there are calls behind the check when its turn comes.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<u8>>")]
pub(crate) struct HealthCheck {
    time: Duration,
    /// The calls before the instance.
    calls: InstanceLimiter,
    /// Set by the first of two: the guest that takes the check up, or the asker that abandons it.
    claimed: Arc<AtomicBool>,
}

impl HealthCheck {
    /// Returns a check that may wait for its turn, and then for its answer, as long as `time` each, and the asker's claim.
    pub(super) fn new(calls: InstanceLimiter, time: Duration) -> (HealthCheck, Claim) {
        let claimed = Arc::<AtomicBool>::default();
        let claim = Claim { time, calls: calls.clone(), claimed: claimed.clone() };
        (HealthCheck { time, calls, claimed }, claim)
    }

    /// Returns the request for the guest. Its time begins now, so that it does not lack the time that others have used.
    ///
    /// # Errors
    /// `Busy` if the guest is not asked.
    pub(crate) fn begin(self) -> Result<Deliver> {
        if self.claimed.swap(true, Ordering::SeqCst) || self.calls.in_use() > 0 {
            return Err(Error::new(ErrorKind::Busy, "it is not asked how it is: it has work"));
        }
        let request = Request { operation: HEALTH_REQUEST.to_owned(), payload: health_request() };
        Ok(Deliver { request, context: CallContext::begin(self.time), permits: None })
    }
}

/// The right to abandon a check.
pub(super) struct Claim {
    time: Duration,
    calls: InstanceLimiter,
    claimed: Arc<AtomicBool>,
}

/// A check that has been sent.
pub(crate) struct PendingCheck {
    claim: Claim,
    answer: RecipientRequest<HealthCheck>,
}

impl Claim {
    pub(super) fn pending(self, answer: RecipientRequest<HealthCheck>) -> PendingCheck {
        PendingCheck { claim: self, answer }
    }

    /// Returns the health of an instance that has not answered. An instance that was not asked is busy if calls came in
    /// between; otherwise its health is unknown.
    fn give_up(&self) -> Option<Health> {
        if self.claimed.swap(true, Ordering::SeqCst) {
            return Some(Health::Unanswered);
        }
        (self.calls.in_use() > 0).then_some(Health::Busy)
    }
}

impl PendingCheck {
    /// Waits for the instance's health. Returns `None` if the instance was not asked in time though it has no calls.
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
    use crate::dispatch::call_limiter::CallPermit;

    /// Returns a check of an instance with a number of calls before it.
    fn check(calls: usize) -> (InstanceLimiter, Vec<CallPermit>, HealthCheck, Claim) {
        let limiter = InstanceLimiter::new(10);
        let permits = (0..calls).map(|_| limiter.acquire().unwrap()).collect();
        let (check, claim) = HealthCheck::new(limiter.clone(), Duration::from_secs(1));
        (limiter, permits, check, claim)
    }

    #[test]
    fn calls_that_come_before_the_turn_of_a_check_go_first() {
        let (limiter, _, check, _) = check(0);
        let _call = limiter.acquire().unwrap();
        assert_eq!(check.begin().map(drop).unwrap_err().kind(), ErrorKind::Busy);
    }

    #[test]
    fn a_check_that_waits_behind_calls_says_busy_and_is_not_made_later() {
        let (_, permits, check, claim) = check(1);
        assert_eq!(claim.give_up(), Some(Health::Busy));
        drop(permits);
        assert!(check.begin().is_err());
    }

    #[test]
    fn an_instance_that_was_asked_has_not_answered_whatever_came_after() {
        let (limiter, _, check, claim) = check(0);
        let Deliver { request, permits, .. } = check.begin().unwrap();
        assert_eq!(request.operation, "HealthRequest");
        assert!(permits.is_none());
        let _call = limiter.acquire().unwrap();
        assert_eq!(claim.give_up(), Some(Health::Unanswered));
    }

    #[test]
    fn nothing_is_known_of_an_instance_that_is_idle_and_cannot_be_reached() {
        let (_, _, check, claim) = check(0);
        assert_eq!(claim.give_up(), None);
        assert!(check.begin().is_err());
    }
}
