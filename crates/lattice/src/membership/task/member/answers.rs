//! Answers hosts that have joined, pings and requests for inventories.

use std::time::Duration;

use async_nats::Message;
use tokio::time::Instant;

use super::super::super::beat::BeatKind;
use super::super::super::inventory;
use super::Member;
use crate::connection::{is_inbox, random_share};

/// The most hosts that joined at about the same time which are answered one by one. More of them are told by a heartbeat to all.
const MOST_ANSWERS: usize = 8;

/// The delay of an answer for each known host, at most, so that a host that joins is not overrun.
const SPREAD: Duration = Duration::from_millis(1);

/// The longest of these delays.
const LONGEST_SPREAD: Duration = Duration::from_millis(500);

/// What is left of a page of an inventory for its header and the signature. Unit: bytes.
const PAGE_HEADER: usize = 1024;

impl Member {
    /// Plans to make this host known to one that has joined.
    pub(super) fn plan_answer(&mut self, joiner: &str, now: Instant) {
        if self.joiners.len() <= MOST_ANSWERS && !self.joiners.iter().any(|known| known == joiner) {
            self.joiners.push(joiner.to_owned());
        }
        if self.answer_at.is_none() {
            let hosts = u32::try_from(self.shared.known().roster.peers().count()).unwrap_or(u32::MAX);
            let longest = SPREAD.saturating_mul(hosts).min(LONGEST_SPREAD).min(self.shared.interval / 4);
            self.answer_at = Some(now + longest.mul_f64(random_share()));
        }
    }

    pub(super) async fn answer_joiners(&mut self) {
        self.answer_at = None;
        let joiners = std::mem::take(&mut self.joiners);
        let are_many = joiners.len() > MOST_ANSWERS;
        for joiner in joiners {
            if are_many || !self.answer_limit.allows(Instant::now()) {
                return self.hasten();
            }
            let subject = self.shared.namespace.peer(&format!("host.{joiner}.heartbeat"));
            if let Err(error) = self.shared.publish_heartbeat_to(subject, BeatKind::Alive).await {
                log::debug!("host {joiner} is not answered: {error}");
            }
        }
    }

    pub(super) async fn answer_ping(&mut self, message: Message) {
        let Some(reply) = message.reply.filter(|reply| is_inbox(reply)) else { return };
        if !self.ping_limit.allows(Instant::now()) {
            return self.shared.counters.add(|counts| counts.throttled += 1);
        }
        if let Err(error) = self.shared.connection.publish(reply.to_string(), bytes::Bytes::new()).await {
            log::debug!("a ping is not answered: {error}");
        }
    }

    pub(super) async fn answer_inventory(&mut self, message: Message) {
        let Some(reply) = message.reply.filter(|reply| is_inbox(reply)) else { return };
        let shared = &*self.shared;
        if !self.page_limit.allows(Instant::now()) {
            return shared.counters.add(|counts| counts.throttled += 1);
        }
        let Some(server) = shared.connection.server() else { return };
        let room = server.max_payload.saturating_sub(PAGE_HEADER);
        let answer = inventory::answer(&message.payload, &*shared.source, shared.namespace.as_str(), &shared.key, room);
        let Some(answer) = answer else { return shared.counters.add(|counts| counts.malformed_requests += 1) };
        if let Err(error) = shared.connection.publish(reply.to_string(), answer).await {
            log::debug!("a request for the inventory is not answered: {error}");
        }
    }
}
