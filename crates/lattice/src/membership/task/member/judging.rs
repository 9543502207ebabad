//! Decides which hosts are down, with proof that the own connection works.

use futures_util::FutureExt;
use tokio::time::Instant;

use super::super::super::roster::MembershipEvent;
use super::{Member, Proved};

/// The most heartbeats that are read before a verdict.
const BACKLOG: usize = 64 * 1024;

impl Member {
    /// Asks the server for an answer if a host was silent for too long, or if the own connection is not known to work.
    pub(super) fn check(&mut self) {
        let now = Instant::now();
        let due = {
            let mut known = self.shared.known();
            known.roster.forget(now);
            if known.roster.is_settled() { known.roster.next_due() } else { Some(now) }
        };
        match due {
            Some(due) if due <= now => self.ask_for_proof(),
            Some(due) => self.check_at = due,
            // Each heartbeat may bring it forward.
            None => self.check_at = now + self.shared.interval,
        }
    }

    /// Asks the server for an answer, which proves that the connection works and that all earlier messages have arrived.
    fn ask_for_proof(&mut self) {
        let (connection, limit) = (self.shared.connection.clone(), self.shared.interval);
        self.proof = Some(Box::pin(async move {
            let asked = Instant::now();
            Proved { asked, outcome: connection.round_trip(limit).await }
        }));
    }

    /// Returns whether no message can have been lost since it was asked last: none was dropped, and the connection has held.
    fn has_heard_all(&mut self) -> bool {
        let connection = &self.shared.connection;
        let drops = connection.counts().slow_consumers;
        let is_whole = drops == std::mem::replace(&mut self.drops, drops);
        let has_held = self.mark.is_some_and(|mark| connection.is_unbroken(mark));
        if !has_held {
            self.mark = connection.mark().ok();
        }
        is_whole && has_held
    }

    /// Judges the hosts that were due before the server was asked, if it has answered.
    pub(super) fn judge(&mut self, proved: &Proved) {
        // What arrived before the answer counts.
        for _ in 0..BACKLOG {
            match tokio::task::unconstrained(self.heartbeats.next()).now_or_never() {
                Some(Some(Ok(message))) => self.hear(&message),
                _ => break,
            }
        }
        let now = Instant::now();
        let is_whole = self.has_heard_all();
        self.check_at = if proved.outcome.is_ok() { now } else { now + self.shared.interval / 4 };
        let shared = &*self.shared;
        let events = {
            let mut known = shared.known();
            if proved.outcome.is_err() || !is_whole {
                known.roster.unsettle();
            }
            if proved.outcome.is_ok() {
                known.roster.settle(now);
            }
            let events = known.roster.judge(proved.asked);
            for event in &events {
                if let MembershipEvent::Down { host } = event {
                    known.index.remove(host);
                }
            }
            events
        };
        if let Err(error) = &proved.outcome {
            shared.counters.add(|counts| counts.unsettled += 1);
            // Asked again soon, and each answer says the same.
            let level = if self.is_cut_off { log::Level::Debug } else { log::Level::Warn };
            log::log!(level, "no host is judged, since the own connection does not work: {error}");
        }
        self.is_cut_off = proved.outcome.is_err();
        shared.emit(events);
    }
}
