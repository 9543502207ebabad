//! Admission control: decides which calls and answers of a plugin the host holds. It is the same for plugins in either process.

use super::budget::{PluginBudgets, ReservedBytes};
use super::request::{ActorRequest, Outcome, RequestFailure};

/// The limits of one plugin. Cheap to clone. Does not keep the host alive, because a plugin may outlive it.
#[derive(Debug, Clone)]
pub(super) struct AdmissionControl {
    budgets: PluginBudgets,
    /// The size of the largest payload to an actor, in bytes.
    largest_payload: usize,
}

/// An outcome that waits for the plugin to receive it.
pub(super) struct AdmittedOutcome {
    pub(super) outcome: Outcome,
    /// The bytes of the outcome. `None` if not even a refusal fits.
    pub(super) reserved: Option<ReservedBytes>,
}

impl AdmissionControl {
    /// Returns the limits of a plugin of the host with these budgets.
    pub(super) fn new(host: &PluginBudgets, largest_payload: usize) -> AdmissionControl {
        AdmissionControl { budgets: host.of_plugin(largest_payload), largest_payload }
    }

    pub(super) fn largest_payload(&self) -> usize {
        self.largest_payload
    }

    /// Reserves the bytes of a call that an actor makes, until the plugin has served it. Returns `None` if the calls before
    /// the plugin, or before all plugins of the host, have too many bytes.
    pub(super) fn reserve_call(&self, bytes: usize) -> Option<ReservedBytes> {
        self.budgets.reserve_call(bytes)
    }

    /// Reserves the bytes of a plugin's call to an actor while it is in flight.
    ///
    /// # Errors
    /// `Failed` if the call is too large, `Unavailable` if the plugin, or all plugins of the host, have too many in flight.
    pub(super) fn reserve_actor_call(&self, request: &ActorRequest) -> Result<ReservedBytes, RequestFailure> {
        request.check_own_sizes(self.largest_payload)?;
        let bytes = request.actor.len() + request.operation.len() + request.payload.len();
        self.budgets
            .reserve_actor_call(bytes)
            .ok_or_else(|| RequestFailure::busy("too many calls to actors are in flight: call again later"))
    }

    /// Reserves the bytes of an outcome until the plugin receives it. An answer that does not fit is replaced by a refusal.
    pub(super) fn admit(&self, outcome: Outcome) -> AdmittedOutcome {
        let refusal = match outcome {
            Ok(answer) => match self.budgets.reserve_answer(answer.len()) {
                Some(reserved) => return AdmittedOutcome { outcome: Ok(answer), reserved: Some(reserved) },
                None => RequestFailure::busy("too many bytes of answers wait for the provider to receive them"),
            },
            Err(refusal) => refusal,
        };
        let reserved = self.budgets.reserve_refusal(refusal.text.len());
        AdmittedOutcome { outcome: Err(refusal), reserved }
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::super::request::FailureKind;
    use super::*;

    const LARGEST: usize = 1024;

    fn admission() -> AdmissionControl {
        AdmissionControl::new(&PluginBudgets::of_host(LARGEST), LARGEST)
    }

    fn request(payload: usize, name: usize) -> ActorRequest {
        let payload = ByteBuf::from(vec![0; payload]);
        ActorRequest { within: 0, actor: "a".repeat(name), operation: String::new(), payload }
    }

    #[test]
    fn the_refusal_of_a_call_that_is_too_large_names_its_size() {
        assert!(admission().reserve_actor_call(&request(LARGEST, 64 * 1024)).is_ok());
        let refusal = admission().reserve_actor_call(&request(LARGEST + 1, 1)).unwrap_err();
        assert_eq!(refusal.kind, FailureKind::Failed);
        assert!(refusal.text.contains("1025 bytes"), "{}", refusal.text);
        let refusal = admission().reserve_actor_call(&request(0, 64 * 1024 + 1)).unwrap_err();
        assert!(refusal.text.contains("65537 bytes"), "{}", refusal.text);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_replaced_by_a_refusal_while_refusals_fit() {
        let admission = admission();
        let answer = |bytes| Ok(ByteBuf::from(vec![0; bytes]));
        let first = admission.admit(answer(16 * 1024 * 1024));
        assert!(first.outcome.is_ok());
        let refused = admission.admit(answer(2 * 1024 * 1024));
        assert_eq!(refused.outcome.unwrap_err().kind, FailureKind::Unavailable);
        let small = admission.admit(answer(1));
        assert!(small.outcome.is_ok(), "a small answer still fits");
        let refusal = || Err(RequestFailure::busy("no"));
        let held: Vec<ReservedBytes> = std::iter::from_fn(|| admission.admit(refusal()).reserved).collect();
        assert!(held.len() > 50_000, "refusals are small: {}", held.len());
        assert!(admission.admit(answer(2 * 1024 * 1024)).reserved.is_none());
        drop(held);
        drop([first.reserved, refused.reserved, small.reserved]);
        assert!(admission.admit(refusal()).reserved.is_some());
        assert!(admission.admit(answer(16 * 1024 * 1024)).outcome.is_ok());
    }
}
