//! What happens after a crash: an actor's instance asks whether it may be replaced, and a provider is made anew.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use actix::{Handler, MessageResult};
use futures_util::future::select;
use wasmcloud_core::identity::InstanceNumber;

use super::{Supervision, Supervisor};
use crate::child::Child;
use crate::event::EventKind;
use crate::lifecycle::{Crashed, Interrupted, ProviderCrashed, Restarted, ServiceRecord, Verdict};

impl Supervision {
    /// Decides about a crash, and tells of it.
    pub(super) fn judge(&self, child: &Child, instance: InstanceNumber, cause: String, in_a_row: u32) -> Verdict {
        self.emit_crash(child, cause);
        let had_failed = self.registry.borrow().has_failed(child);
        let verdict = self.change(|registry| registry.crash(child, instance, Instant::now(), in_a_row, chance()));
        if let Verdict::GiveUp(reason) = &verdict
            && !had_failed
            && self.registry.borrow().has_failed(child)
        {
            log::error!("{} has failed: {reason}", self.subject(child));
            self.emit(child, EventKind::Failed { reason: reason.clone() });
        }
        verdict
    }

    fn emit_crash(&self, child: &Child, cause: String) {
        log::warn!("{} crashed: {cause}", self.subject(child));
        self.emit(child, EventKind::Crashed { cause });
    }

    /// Decides about the crash of a provider's instance that has done this before.
    pub(super) fn judge_in_a_row(
        &self,
        child: &Child,
        instance: InstanceNumber,
        cause: String,
        service: ServiceRecord,
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
            return self.emit_crash(&child, cause);
        }
        let (supervision, abandoned) = (self.clone(), self.abandoned.clone());
        let verdict = self.judge_in_a_row(&child, instance, cause, service);
        actix_rt::spawn(async move {
            let recover = async {
                match verdict {
                    Verdict::Restart { attempt, delay } => {
                        supervision.restart_provider(&provider, instance, attempt, delay).await;
                    }
                    Verdict::GiveUp(_) => supervision.release_failed_provider(&provider, instance).await,
                }
            };
            select(pin!(recover), pin!(abandoned.ended())).await;
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
        self.supervision.emit(&child, EventKind::Restarted { attempt, delay });
    }
}

impl Handler<ProviderCrashed> for Supervisor {
    type Result = ();

    fn handle(&mut self, crash: ProviderCrashed, _: &mut Self::Context) {
        self.supervision.judge_provider(crash);
    }
}
