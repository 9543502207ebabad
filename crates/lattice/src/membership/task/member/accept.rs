//! Verifies heartbeats.

use super::super::super::beat::{Heartbeat, Unverified};
use super::super::super::roster::Refusal;
use super::super::super::{MembershipState, clock};

/// Verifies a heartbeat. Returns `None` for the host's own. The cheapest checks come first.
pub(super) fn accept(shared: &MembershipState, message: &[u8]) -> std::result::Result<Option<Heartbeat>, Refusal> {
    let unverified = Heartbeat::read(message).ok_or(Refusal::Malformed)?;
    {
        let known = shared.known();
        if known.roster.is_own(&unverified.beat) {
            return Ok(None);
        }
        known.roster.check(&unverified.beat, clock())?;
    }
    if !is_trusted(shared, &unverified) {
        return Err(Refusal::Untrusted);
    }
    if !unverified.is_signed(shared.namespace.as_str()) {
        return Err(Refusal::Forged);
    }
    Ok(Some(unverified.beat))
}

/// Returns whether the host is trusted by its key, or one of the trusted clusters vouches for it.
fn is_trusted(shared: &MembershipState, unverified: &Unverified<'_>) -> bool {
    let beat = &unverified.beat;
    let is_vouched_for = || {
        let endorsement = beat.endorsement.as_ref();
        endorsement.is_some_and(|one| {
            shared.trust.trusts_cluster(&one.cluster) && one.is_signed(shared.namespace.as_str(), &beat.host)
        })
    };
    shared.trust.trusts_host(&beat.host) || is_vouched_for()
}
