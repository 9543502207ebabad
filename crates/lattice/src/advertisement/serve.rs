//! Requests of the control interface that only read, and their answers.

use async_nats::Message;
use tokio::time::Instant;
use wasmcloud_core::error::Result;

use super::{Inner, answer};
use crate::connection::is_inbox;
use crate::membership::Throttle;

/// The greatest answer if the server has not told its limit, and to any server. Unit: bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// The kinds of requests.
#[derive(Debug, Clone, Copy)]
enum Request {
    Hosts,
    Inventory,
    Links,
    Claims,
}

/// How often requests are answered. Short answers cost little; lists may be long.
struct Throttles {
    short: Throttle,
    inventory: Throttle,
    links: Throttle,
    claims: Throttle,
}

impl Throttles {
    fn of(&mut self, request: Request) -> &mut Throttle {
        match request {
            Request::Hosts => &mut self.short,
            Request::Inventory => &mut self.inventory,
            Request::Links => &mut self.links,
            Request::Claims => &mut self.claims,
        }
    }
}

/// Answers requests, until a subscription fails or ends.
pub(super) async fn serve(inner: &Inner) -> Result<()> {
    let inventory = format!("get.{}.inv", inner.host);
    let subjects = ["get.hosts", &inventory, "get.links", "get.claims"].map(|name| inner.namespace.control(name));
    let [mut hosts, mut inventories, mut links, mut claims] = inner.subscribe(&inner.control, subjects).await?;
    let mut throttles = Throttles {
        short: Throttle::new(400, 200),
        inventory: Throttle::new(40, 20),
        links: Throttle::new(20, 10),
        claims: Throttle::new(20, 10),
    };
    loop {
        let (request, message) = tokio::select! {
            message = hosts.next() => (Request::Hosts, message),
            message = inventories.next() => (Request::Inventory, message),
            message = links.next() => (Request::Links, message),
            message = claims.next() => (Request::Claims, message),
        };
        let Some(message) = message else { return Ok(()) };
        inner.answer(request, message?, throttles.of(request)).await;
    }
}

impl Inner {
    /// Answers a request. Its content is not looked at: requests that only read have none.
    async fn answer(&self, request: Request, message: Message, throttle: &mut Throttle) {
        self.counters.received.add();
        let Some(reply) = message.reply else { return self.counters.malformed.add() };
        if !is_inbox(&reply) {
            return self.counters.refused.add();
        }
        if !throttle.allows(Instant::now()) {
            return self.counters.throttled.add();
        }
        let limit = self.control.max_payload().unwrap_or(LARGEST_ANSWER);
        let largest = limit.min(LARGEST_ANSWER);
        let source = &*self.source;
        let answer = match request {
            Request::Hosts => answer::host(source, &self.host),
            Request::Inventory => answer::inventory(source, &self.host, largest),
            Request::Links => answer::links(source, largest),
            Request::Claims => answer::claims(source, largest),
        };
        let Some(answer) = answer else { return };
        if answer.left_out > 0 {
            log::warn!("{} items are left out of an answer to {request:?}, which would be too large", answer.left_out);
            self.counters.shortened.add();
        }
        match self.control.publish(reply.to_string(), answer.json).await {
            Ok(()) => self.counters.answered.add(),
            Err(error) => log::debug!("a request is not answered: {error}"),
        }
    }
}
