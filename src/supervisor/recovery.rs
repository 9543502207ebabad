//! What happens after a crash: an actor's instance asks whether it may be replaced, and a provider is made anew.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Handler, Message, MessageResult};

use super::child::Child;
use super::restart::Verdict;
use super::snapshot::ProviderKey;
use super::{Supervision, Supervisor};
use crate::actor::mailbox::InstanceNumber;
use crate::event::EventKind;

/// An instance of an actor crashed. The answer is what is to become of it.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(crate) struct Crashed {
    pub(crate) actor: Arc<str>,
    pub(crate) instance: InstanceNumber,
    pub(crate) cause: String,
    /// The how manieth crash in a row it is, without an answer in between.
    pub(crate) in_a_row: u32,
}

/// An actor's instance that crashed has been replaced.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Restarted {
    pub(crate) actor: Arc<str>,
    pub(crate) instance: InstanceNumber,
    pub(crate) attempt: u32,
    pub(crate) delay: Duration,
}

/// A provider crashed. The supervisor makes it anew, or has it release everything.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ProviderCrashed {
    pub(crate) provider: ProviderKey,
    pub(crate) instance: InstanceNumber,
    pub(crate) cause: String,
}

impl Supervision {
    /// Decides about a crash, and tells of it.
    pub(super) fn judge(&self, child: &Child, instance: InstanceNumber, cause: String, in_a_row: u32) -> Verdict {
        self.tell_of_crash(child, cause);
        let had_failed = self.registry.borrow().has_failed(child);
        let verdict = self.change(|registry| registry.crash(child, instance, Instant::now(), in_a_row, chance()));
        if let Verdict::GiveUp(reason) = &verdict
            && !had_failed
            && self.registry.borrow().has_failed(child)
        {
            log::error!("{child} has failed: {reason}");
            self.tell(child, EventKind::Failed { reason: reason.clone() });
        }
        verdict
    }

    fn tell_of_crash(&self, child: &Child, cause: String) {
        log::warn!("{child} crashed: {cause}");
        self.tell(child, EventKind::Crashed { cause });
    }

    fn judge_provider(self: &Rc<Self>, ProviderCrashed { provider, instance, cause }: ProviderCrashed) {
        let child = Child::Provider(provider.clone());
        if !self.registry.borrow().is_in_service(&child, instance) {
            // It has been given up or replaced, or is about to be: what was still at work in it is lost, and that is all.
            return self.tell_of_crash(&child, cause);
        }
        let supervision = self.clone();
        match self.judge(&child, instance, cause, 1) {
            Verdict::Restart { attempt, delay } => {
                actix_rt::spawn(async move {
                    supervision.restart_provider((&provider, instance), attempt, delay).await;
                });
            }
            Verdict::GiveUp(_) => {
                actix_rt::spawn(async move { supervision.release_failed_provider(&provider, instance).await });
            }
        }
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

    fn handle(&mut self, crash: Crashed, _: &mut Self::Context) -> Self::Result {
        let Crashed { actor, instance, cause, in_a_row } = crash;
        MessageResult(self.0.judge(&Child::Actor(actor), instance, cause, in_a_row))
    }
}

impl Handler<Restarted> for Supervisor {
    type Result = ();

    fn handle(&mut self, Restarted { actor, instance, attempt, delay }: Restarted, _: &mut Self::Context) {
        let child = Child::Actor(actor);
        self.0.change(|registry| registry.recover(&child, instance));
        self.0.tell(&child, EventKind::Restarted { attempt, delay });
    }
}

impl Handler<ProviderCrashed> for Supervisor {
    type Result = ();

    fn handle(&mut self, crash: ProviderCrashed, _: &mut Self::Context) {
        self.0.judge_provider(crash);
    }
}
