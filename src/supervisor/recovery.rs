//! What happens after a crash: an actor's instance asks whether it may be replaced, and a provider is made anew.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Handler, Message, MessageResult};

use super::child::Child;
use super::restart::Verdict;
use super::{Supervision, Supervisor};
use crate::event::EventKind;

/// A child crashed. The answer is what is to become of it; a provider is made anew by the supervisor itself.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(crate) struct Crashed {
    pub(crate) child: Child,
    pub(crate) cause: String,
    /// The how manieth crash in a row it is, without an answer in between.
    pub(crate) in_a_row: u32,
}

/// An actor's instance that crashed has been replaced.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Restarted {
    pub(crate) child: Child,
    pub(crate) attempt: u32,
    pub(crate) delay: Duration,
}

impl Supervision {
    /// Decides about a crash, and tells of it.
    pub(super) fn judge(&self, child: &Child, cause: String, in_a_row: u32) -> Verdict {
        log::warn!("{child} crashed: {cause}");
        self.tell(child, EventKind::Crashed { cause });
        let had_failed = self.registry.borrow().has_failed(child);
        let verdict = self.change(|registry| registry.crash(child, Instant::now(), in_a_row, chance()));
        if let Verdict::GiveUp(reason) = &verdict
            && !had_failed
        {
            log::error!("{child} has failed: {reason}");
            self.tell(child, EventKind::Failed { reason: reason.clone() });
        }
        verdict
    }

    /// Takes note that a child is back.
    pub(super) fn welcome_back(&self, child: &Child, attempt: u32, delay: Duration) {
        self.change(|registry| registry.recover(child));
        self.tell(child, EventKind::Restarted { attempt, delay });
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    // Each of these has keys of its own.
    let random = RandomState::new().build_hasher().finish();
    // As many bits as a number of this type has.
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

impl Handler<Crashed> for Supervisor {
    type Result = MessageResult<Crashed>;

    fn handle(&mut self, Crashed { child, cause, in_a_row }: Crashed, _: &mut Self::Context) -> Self::Result {
        let verdict = self.0.judge(&child, cause, in_a_row);
        if let (Child::Provider(key), Verdict::Restart { attempt, delay }) = (&child, &verdict) {
            let (supervision, key) = (Rc::clone(&self.0), key.clone());
            let (attempt, delay) = (*attempt, *delay);
            actix_rt::spawn(async move { supervision.restart_provider(&key, attempt, delay).await });
        }
        MessageResult(verdict)
    }
}

impl Handler<Restarted> for Supervisor {
    type Result = ();

    fn handle(&mut self, Restarted { child, attempt, delay }: Restarted, _: &mut Self::Context) {
        self.0.welcome_back(&child, attempt, delay);
    }
}
