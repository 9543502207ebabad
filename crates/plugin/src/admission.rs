//! What a host takes from a plugin and keeps for it, and what it refuses: the same wherever the plugin runs.

use super::budget::{Budgets, Reserved};
use super::order::{ActorRequest, Failure, Outcome};

/// The bounds of one plugin. Cheap to clone, and no hold on the host: a plugin may keep it for longer than the host lives.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    budgets: Budgets,
    /// The largest message to an actor, in bytes.
    largest_message: usize,
}

impl Admission {
    /// Makes the bounds of a plugin out of the budgets of its host, in which messages have at most so many bytes.
    pub(super) fn new(host: &Budgets, largest_message: usize) -> Admission {
        Admission { budgets: host.of_plugin(largest_message), largest_message }
    }

    pub(super) fn largest_message(&self) -> usize {
        self.largest_message
    }

    /// Takes what a call of an actor needs until the plugin is done with it. There is nothing where the plugin, or all plugins
    /// of the host, have too many bytes of calls before them.
    pub(super) fn take_order(&self, bytes: usize) -> Option<Reserved> {
        self.budgets.order(bytes)
    }

    /// Takes what a plugin's call to an actor needs while it is under way.
    ///
    /// # Errors
    /// Where the plugin, or all plugins of the host, have too many under way, and where it is too large.
    pub(super) fn take_request(&self, request: &ActorRequest) -> Result<Reserved, Failure> {
        request.expect_lengths_of(self.largest_message)?;
        let bytes = request.actor.len() + request.operation.len() + request.message.len();
        self.budgets
            .request(bytes)
            .ok_or_else(|| Failure::busy("as many calls to actors are under way as there may be"))
    }

    /// Takes what an outcome needs until the plugin takes it. An answer for which there is too little becomes a refusal; where
    /// there is nothing left for a refusal either, nothing is taken.
    pub(super) fn keep(&self, outcome: Outcome) -> (Outcome, Option<Reserved>) {
        let refusal = match outcome {
            Ok(answer) => match self.budgets.answer(answer.len()) {
                Some(held) => return (Ok(answer), Some(held)),
                None => Failure::busy("the provider has not taken as many bytes of answers as may wait for it"),
            },
            Err(refusal) => refusal,
        };
        let held = self.budgets.refusal(refusal.text.len());
        (Err(refusal), held)
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::super::order::FailureKind;
    use super::*;

    const LARGEST: usize = 1024;

    fn admission() -> Admission {
        Admission::new(&Budgets::of_host(LARGEST), LARGEST)
    }

    fn request(message: usize, name: usize) -> ActorRequest {
        let (actor, message) = ("a".repeat(name), ByteBuf::from(vec![0; message]));
        ActorRequest { within: 0, actor, operation: String::new(), message }
    }

    #[test]
    fn a_call_that_is_too_large_is_refused_for_that() {
        assert!(admission().take_request(&request(LARGEST, 64 * 1024)).is_ok());
        let refusal = admission().take_request(&request(LARGEST + 1, 1)).unwrap_err();
        assert_eq!(refusal.kind, FailureKind::Failed);
        assert!(refusal.text.contains("1025 bytes"), "{}", refusal.text);
        let refusal = admission().take_request(&request(0, 64 * 1024 + 1)).unwrap_err();
        assert!(refusal.text.contains("65537 bytes"), "{}", refusal.text);
    }

    #[test]
    fn an_answer_for_which_there_is_no_room_becomes_a_refusal_and_then_nothing() {
        let admission = admission();
        let answer = |bytes| Ok(ByteBuf::from(vec![0; bytes]));
        let (first, held_first) = admission.keep(answer(16 * 1024 * 1024));
        assert!(first.is_ok());
        let (refused, _held) = admission.keep(answer(2 * 1024 * 1024));
        assert_eq!(refused.unwrap_err().kind, FailureKind::Unavailable);
        let (small, _held) = admission.keep(answer(1));
        assert!(small.is_ok(), "what is small still fits");
        let refusal = || Err(Failure::busy("no"));
        let held: Vec<Reserved> = std::iter::from_fn(|| admission.keep(refusal()).1).collect();
        assert!(held.len() > 50_000, "refusals are small: {}", held.len());
        assert!(admission.keep(answer(2 * 1024 * 1024)).1.is_none());
        drop((held, held_first));
        assert!(admission.keep(refusal()).1.is_some());
        assert!(admission.keep(answer(16 * 1024 * 1024)).0.is_ok());
    }
}
