//! What happens after a crash: an actor's instance asks whether it may be replaced, and a provider is made anew.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Handler, Message, MessageResult};
use futures_util::future::select;

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

/// An instance of an actor was lost for what others did, and cannot be made again for now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Interrupted {
    pub(crate) actor: Arc<str>,
    pub(crate) instance: InstanceNumber,
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
    pub(crate) service: Service,
}

/// What an instance of a provider has done before it crashed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Service {
    pub(crate) lived: Duration,
    /// Whether it has answered a call.
    pub(crate) has_served: bool,
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
            log::error!("{} has failed: {reason}", self.subject(child));
            self.tell(child, EventKind::Failed { reason: reason.clone() });
        }
        verdict
    }

    fn tell_of_crash(&self, child: &Child, cause: String) {
        log::warn!("{} crashed: {cause}", self.subject(child));
        self.tell(child, EventKind::Crashed { cause });
    }

    /// Decides about the crash of a provider's instance that has done this before.
    pub(super) fn judge_in_a_row(
        &self,
        child: &Child,
        instance: InstanceNumber,
        cause: String,
        service: Service,
    ) -> Verdict {
        let in_a_row = self.registry.borrow_mut().count_crash(child, service);
        self.judge(child, instance, cause, in_a_row)
    }

    pub(super) fn judge_provider(self: &Rc<Self>, crash: ProviderCrashed) {
        let ProviderCrashed { provider, instance, cause, service } = crash;
        if self.registry.borrow_mut().keep_crash(instance, &cause) {
            // It is judged once it is registered: before that, it is nobody's.
            return;
        }
        let child = Child::Provider(provider.clone());
        if !self.registry.borrow().is_in_service(&child, instance) {
            // It has been given up or replaced, or is about to be: what was still at work in it is lost, and that is all.
            return self.tell_of_crash(&child, cause);
        }
        let (supervision, given_up) = (self.clone(), self.given_up.clone());
        let verdict = self.judge_in_a_row(&child, instance, cause, service);
        actix_rt::spawn(async move {
            let recover = async {
                match verdict {
                    Verdict::Restart { attempt, delay } => {
                        supervision.restart_provider((&provider, instance), attempt, delay).await;
                    }
                    Verdict::GiveUp(_) => supervision.release_failed_provider(&provider, instance).await,
                }
            };
            select(pin!(recover), pin!(given_up.ended())).await;
        });
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
        MessageResult(self.supervision.judge(&Child::Actor(actor), instance, cause, in_a_row))
    }
}

impl Handler<Interrupted> for Supervisor {
    type Result = ();

    fn handle(&mut self, Interrupted { actor, instance }: Interrupted, _: &mut Self::Context) {
        self.supervision.change(|registry| registry.interrupt(&Child::Actor(actor), instance));
    }
}

impl Handler<Restarted> for Supervisor {
    type Result = ();

    fn handle(&mut self, Restarted { actor, instance, attempt, delay }: Restarted, _: &mut Self::Context) {
        let child = Child::Actor(actor);
        self.supervision.change(|registry| registry.recover(&child, instance));
        self.supervision.tell(&child, EventKind::Restarted { attempt, delay });
    }
}

impl Handler<ProviderCrashed> for Supervisor {
    type Result = ();

    fn handle(&mut self, crash: ProviderCrashed, _: &mut Self::Context) {
        self.supervision.judge_provider(crash);
    }
}
