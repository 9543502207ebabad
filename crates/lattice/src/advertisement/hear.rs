//! What others advertise: read, checked for its form, and handed over.

use async_nats::Message;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use wasmcloud_core::entity::{KeyKind, is_key};
use wasmcloud_core::error::Result;

use super::{Advertised, Inner};
use crate::membership::Throttle;
use crate::registry::LinkKey;
use crate::wire::{ActorClaims, LinkDefinition};

/// The greatest size of an advertisement. Unit: bytes.
const LARGEST: usize = 256 * 1024;

/// The most advertisements of each kind that are handed over at once, and for each second.
const BURST: u32 = 20_000;
const RATE: u32 = 2_000;

/// Hears claims, until the subscription fails or ends.
pub(super) async fn hear_claims(inner: &Inner) -> Result<()> {
    let [mut claims] = inner.subscribe(&inner.calls, [inner.namespace.advertisement("claims")]).await?;
    let mut throttle = Throttle::new(BURST, RATE);
    while let Some(message) = claims.next().await {
        inner.hear("claims", &message?, &mut throttle, read_claims);
    }
    Ok(())
}

/// Hears links that are set and removed, until a subscription fails or ends.
pub(super) async fn hear_links(inner: &Inner) -> Result<()> {
    let subjects = ["links", "remlinks"].map(|kind| inner.namespace.advertisement(kind));
    let [mut set, mut removed] = inner.subscribe(&inner.calls, subjects).await?;
    let mut throttle = Throttle::new(BURST, RATE);
    loop {
        // Of two that wait, the removal comes last: it takes permissions away.
        tokio::select! {
            biased;
            message = set.next() => {
                let Some(message) = message else { return Ok(()) };
                inner.hear("links", &message?, &mut throttle, |payload| read_link(payload).map(Advertised::Link));
            }
            message = removed.next() => {
                let Some(message) = message else { return Ok(()) };
                inner.hear("remlinks", &message?, &mut throttle, read_removal);
            }
        }
    }
}

impl Inner {
    fn hear(
        &self,
        kind: &str,
        message: &Message,
        throttle: &mut Throttle,
        read: impl FnOnce(&[u8]) -> Option<Advertised>,
    ) {
        self.counters.received.add();
        if message.payload.len() > LARGEST {
            return self.counters.malformed.add();
        }
        if self.calls.mark().is_ok_and(|mark| self.echoes().take(mark, kind, &message.payload)) {
            return self.counters.own.add();
        }
        if kind == "claims" && !self.accepts_claims {
            return self.counters.refused.add();
        }
        let Some(advertised) = read(&message.payload) else { return self.counters.malformed.add() };
        if !throttle.allows(Instant::now()) {
            return self.counters.throttled.add();
        }
        if let Err(TrySendError::Full(_) | TrySendError::Closed(_)) = self.receiver.try_send(advertised) {
            self.counters.dropped.add();
        }
    }
}

fn read_claims(payload: &[u8]) -> Option<Advertised> {
    let claims = ActorClaims::decode(payload, LARGEST).ok()?;
    let is_valid = is_key(&claims.subject, KeyKind::Actor) && is_key(&claims.issuer, KeyKind::Account);
    is_valid.then_some(Advertised::Claims(claims))
}

fn read_link(payload: &[u8]) -> Option<LinkDefinition> {
    let link = LinkDefinition::decode(payload, LARGEST).ok()?;
    (is_key(&link.provider_id, KeyKind::Provider) && has_key(&link)).then_some(link)
}

/// Reads a removal. A provider and values in it say nothing.
fn read_removal(payload: &[u8]) -> Option<Advertised> {
    let link = LinkDefinition::decode(payload, LARGEST).ok()?;
    let removal = LinkDefinition { provider_id: String::new(), values: Vec::new(), ..link };
    has_key(&removal).then_some(Advertised::LinkRemoved(removal))
}

fn has_key(link: &LinkDefinition) -> bool {
    LinkKey::new(&link.actor_id, &link.contract_id, &link.link_name).is_ok()
}
