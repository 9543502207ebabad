//! The captured messages of 2021 in both directions, and properties of the format.

mod captured;
mod properties;

/// Returns the captured invocations.
pub(super) fn captured_invocations() -> Vec<super::Invocation> {
    let messages = captured::captured("encoded_claims");
    messages.iter().map(|message| super::Invocation::decode(&message.bytes(), 1 << 20).unwrap()).collect()
}
