//! The bus that carries events to subscribers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast::{self, Sender};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind};

use super::{Event, EventKind, Events, Subject};

/// The number of events that are buffered for each subscriber by default.
pub(crate) const DEFAULT_BUFFER: usize = 1024;

/// The time between two events about breaches of one limit by one actor.
const BREACH_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of recent breaches that are remembered. Beyond it, further breaches emit no event.
const REMEMBERED_BREACHES: usize = 4096;

/// Carries the events of a host to its subscribers.
#[derive(Debug)]
pub(crate) struct EventBus {
    subscribers: Sender<Event>,
    /// How many events were emitted, by the index of the word for their kind.
    emitted: [AtomicU64; EventKind::WORDS.len()],
    /// When the last event about each actor and limit was emitted.
    breaches: Mutex<HashMap<Breach<'static>, Instant>>,
}

impl EventBus {
    /// Returns a bus that buffers this number of events for each subscriber.
    pub(crate) fn new(buffer: usize) -> EventBus {
        let emitted = std::array::from_fn(|_| AtomicU64::default());
        EventBus { subscribers: broadcast::channel(buffer.max(1)).0, emitted, breaches: Mutex::default() }
    }

    /// Subscribes to the events of one entity, or to all events.
    pub(crate) fn subscribe(&self, only: Option<WasmCloudEntity>) -> Events {
        Events::new(self.subscribers.subscribe(), only)
    }

    /// Emits an event.
    pub(crate) fn emit(&self, subject: impl Into<Subject>, kind: EventKind) {
        if let Some(at) = EventKind::WORDS.iter().position(|word| *word == kind.word()) {
            self.emitted[at].fetch_add(1, Ordering::Relaxed);
        }
        // The error means that there is no subscriber.
        let _ = self.subscribers.send(Event::now(subject, kind));
    }

    /// Returns the words for all kinds of events, and how many of each were emitted.
    #[cfg_attr(not(feature = "telemetry"), expect(dead_code, reason = "only telemetry reads them"))]
    pub(crate) fn emitted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EventKind::WORDS.iter().zip(&self.emitted).map(|(word, emitted)| (*word, emitted.load(Ordering::Relaxed)))
    }

    /// Emits that an actor breached a limit, unless the last such event is less than [`BREACH_INTERVAL`] ago. Calls that are
    /// refused come in floods, so nothing is copied before that is known.
    pub(crate) fn emit_breach(&self, actor: &str, name: impl FnOnce() -> Option<String>, error: &Error) {
        if self.subscribers.receiver_count() == 0 || !self.is_news(actor, error.kind(), Instant::now()) {
            return;
        }
        let kind = EventKind::LimitBreached { limit: error.kind(), message: error.to_string() };
        self.emit(Subject { entity: WasmCloudEntity::Actor(actor.to_owned()), name: name(), image: None }, kind);
    }

    /// Returns whether a breach is to be told, and remembers that it is.
    fn is_news(&self, actor: &str, limit: ErrorKind, now: Instant) -> bool {
        let is_recent = |emitted: &Instant| now.saturating_duration_since(*emitted) < BREACH_INTERVAL;
        let mut breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        if breaches.get(&Breach { actor: Cow::Borrowed(actor), limit }).is_some_and(is_recent) {
            return false;
        }
        if breaches.len() >= REMEMBERED_BREACHES {
            breaches.retain(|_, emitted| is_recent(emitted));
        }
        if breaches.len() >= REMEMBERED_BREACHES {
            return false;
        }
        breaches.insert(Breach { actor: Cow::Owned(actor.to_owned()), limit }, now);
        true
    }
}

/// A limit that an actor has breached.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Breach<'a> {
    actor: Cow<'a, str>,
    limit: ErrorKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breach_is_told_once_a_second_for_each_actor_and_limit() {
        let bus = EventBus::new(8);
        let start = Instant::now();
        assert!(bus.is_news("M", ErrorKind::Busy, start));
        assert!(!bus.is_news("M", ErrorKind::Busy, start + BREACH_INTERVAL / 2));
        assert!(bus.is_news("M", ErrorKind::DeadlineExceeded, start));
        assert!(bus.is_news("M2", ErrorKind::Busy, start));
        assert!(bus.is_news("M", ErrorKind::Busy, start + BREACH_INTERVAL));
    }

    #[test]
    fn breaches_by_many_actors_are_remembered_up_to_a_limit() {
        let bus = EventBus::new(8);
        let start = Instant::now();
        for number in 0..REMEMBERED_BREACHES {
            assert!(bus.is_news(&number.to_string(), ErrorKind::Busy, start));
        }
        assert!(!bus.is_news("one more", ErrorKind::Busy, start));
        assert!(bus.is_news("one more", ErrorKind::Busy, start + BREACH_INTERVAL));
        assert_eq!(bus.breaches.lock().unwrap().len(), 1);
    }
}
