//! Decisions about crashes: whether an actor's instance is replaced, and the restart of a provider.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use actix::{Handler, MessageResult};
use futures_util::future::select;
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::trace::CallId;

use super::{Supervision, Supervisor};
use crate::child::Child;
use crate::event::EventKind;
use crate::lifecycle::{Crashed, Interrupted, ProviderCrashed, Restarted, ServiceRecord, Verdict};

impl Supervision {
    /// Decides about a crash, and emits the events.
    pub(super) fn handle_crash(
        &self,
        child: &Child,
        instance: InstanceNumber,
        cause: String,
        call: Option<CallId>,
        in_a_row: u32,
    ) -> Verdict {
        self.emit_crash(child, cause, call);
        let had_failed = self.registry.borrow().has_failed(child);
        let verdict =
            self.change(|registry| registry.crash(child, instance, Instant::now(), in_a_row, random_fraction()));
        if let Verdict::Fail(reason) = &verdict
            && !had_failed
            && self.registry.borrow().has_failed(child)
        {
            log::error!(actor = child.actor(), provider = child.provider(); "{} has failed: {reason}", self.subject(child));
            self.emit(child, EventKind::Failed { reason: reason.clone() });
        }
        verdict
    }

    fn emit_crash(&self, child: &Child, cause: String, call: Option<CallId>) {
        log::warn!(actor = child.actor(), provider = child.provider(), call; "{} crashed: {cause}", self.subject(child));
        if let Some(instruments) = self.registry.borrow().instruments(child) {
            instruments.count_crash();
        }
        self.emit(child, EventKind::Crashed { cause });
    }

    /// Counts that a lost instance of a child was replaced.
    pub(super) fn count_restart(&self, child: &Child) {
        if let Some(instruments) = self.registry.borrow().instruments(child) {
            instruments.count_restart();
        }
    }

    /// Counts a crash of a provider's instance and decides about it.
    pub(super) fn count_and_handle_crash(
        &self,
        child: &Child,
        instance: InstanceNumber,
        cause: String,
        service: ServiceRecord,
    ) -> Verdict {
        let in_a_row = self.registry.borrow_mut().count_crash(child, service);
        self.handle_crash(child, instance, cause, None, in_a_row)
    }

    /// Handles the crash of a provider's instance, and restarts the provider if its policy allows.
    pub(super) fn handle_provider_crash(self: &Rc<Self>, crash: ProviderCrashed) {
        let ProviderCrashed { provider, instance, cause, service } = crash;
        if self.registry.borrow_mut().record_early_crash(instance, &cause) {
            // The crash is handled once the instance is registered.
            return;
        }
        let child = Child::Provider(provider.clone());
        if !self.registry.borrow().is_in_service(&child, instance) {
            // The instance has been replaced or has failed already, so the crash only ends its last calls.
            return self.emit_crash(&child, cause, None);
        }
        let supervision = self.clone();
        let abandoned = self.abandoned.clone();
        let verdict = self.count_and_handle_crash(&child, instance, cause, service);
        actix_rt::spawn(async move {
            let recover = async {
                match verdict {
                    Verdict::Restart { attempt, delay } => {
                        supervision.restart_provider(&provider, instance, attempt, delay).await;
                    }
                    Verdict::Fail(_) => supervision.release_failed_provider(&provider, instance).await,
                }
            };
            select(pin!(recover), pin!(abandoned.ended())).await;
        });
    }
}

/// Returns a random number from 0 to 1.
fn random_fraction() -> f64 {
    // Each `RandomState` has keys of its own.
    let random = RandomState::new().build_hasher().finish();
    // An f64 has 53 bits of precision.
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

impl Handler<Crashed> for Supervisor {
    type Result = MessageResult<Crashed>;

    fn handle(&mut self, crash: Crashed, _: &mut Self::Context) -> Self::Result {
        let Crashed { actor, instance, cause, call, in_a_row } = crash;
        MessageResult(self.supervision.handle_crash(&Child::Actor(actor), instance, cause, call, in_a_row))
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
        let runs = self.supervision.change(|registry| {
            registry.recover(&child, instance);
            registry.runs(&child)
        });
        // A report may arrive after the stop of the actor, whose last event is that it was stopped.
        if runs {
            self.supervision.count_restart(&child);
            self.supervision.emit(&child, EventKind::Restarted { attempt, delay });
        }
    }
}

impl Handler<ProviderCrashed> for Supervisor {
    type Result = ();

    fn handle(&mut self, crash: ProviderCrashed, _: &mut Self::Context) {
        self.supervision.handle_provider_crash(crash);
    }
}
