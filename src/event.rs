//! What happens in a host, as it happens: lifecycle events for whoever listens.
//!
//! ```
//! use wasmcloud_host::{EventKind, HostBuilder};
//!
//! # #[actix_rt::main]
//! # async fn main() -> wasmcloud_host::Result<()> {
//! let host = HostBuilder::new().build();
//! let mut events = host.events();
//! host.start().await?;
//! host.stop().await;
//! assert_eq!(events.next().await.map(|event| event.kind), Some(EventKind::HostStarted));
//! assert_eq!(events.next().await.map(|event| event.kind), Some(EventKind::HostStopped));
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_core::health::Health;
use wasmcloud_core::text::escaped;

/// How many events wait for a subscriber that is slow.
pub(crate) const DEFAULT_BUFFER: usize = 1024;

/// How long after a breached limit another breach of the same limit by the same actor is not told of.
const QUIET: Duration = Duration::from_secs(1);

/// How many breaches are remembered to that end.
const REMEMBERED_BREACHES: usize = 4096;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When it happened.
    pub at: SystemTime,
    /// To whom it happened.
    pub entity: WasmCloudEntity,
    /// The name that its signer gave the actor or provider. `None` for the host, and for children that were never started.
    pub name: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The host runs.
    HostStarted,
    /// The host was stopped, and everything on it before.
    HostStopped,
    /// An actor or provider runs.
    Started,
    /// An actor or provider that ran was stopped.
    Stopped,
    /// An instance of an actor, or a provider, was lost.
    Crashed {
        /// How.
        cause: String,
    },
    /// An instance of an actor was lost, but did not crash: its time was up while it waited for others, or there was no
    /// room to make it again. It is replaced at once, without counting as a restart; where it cannot be made, it is tried
    /// again by each call, and every second without one.
    Interrupted {
        /// How.
        cause: String,
    },
    /// What crashed, or was interrupted, is replaced.
    Restarted {
        /// The how manieth restart within the period of its policy it is, from 1 on; 0 for what is not restarted by its policy, but
        /// after an interruption, or to serve what had reached it before it was stopped or updated.
        attempt: u32,
        /// How long it was waited before.
        delay: Duration,
    },
    /// What crashed is not replaced: its policy allows no more restarts. It fails all calls until it is started again.
    Failed {
        /// Why.
        reason: String,
    },
    /// An actor runs another revision of its code.
    Updated {
        /// The revision that ran before.
        from: i32,
        /// The revision that runs now.
        to: i32,
    },
    /// An update of an actor was refused, or failed; what ran before still does.
    UpdateRefused {
        /// Why.
        reason: String,
    },
    /// An actor has another number of instances.
    Scaled {
        /// How many it has now.
        instances: usize,
    },
    /// A link of the actor is established.
    Linked {
        /// The contract.
        contract_id: String,
        /// The link's name.
        link_name: String,
        /// The provider.
        provider_id: String,
    },
    /// A link of the actor was removed.
    Unlinked {
        /// The contract.
        contract_id: String,
        /// The link's name.
        link_name: String,
    },
    /// A link of the actor could not be established.
    LinkRefused {
        /// The contract.
        contract_id: String,
        /// The link's name.
        link_name: String,
        /// Why.
        reason: String,
    },
    /// The token of what runs has ended: it cannot be called, and cannot call anybody, until it is updated or started again
    /// with another one.
    Expired,
    /// What runs is not trusted by the host's policy any more: it cannot be called, and cannot call anybody.
    Distrusted {
        /// Which rule it breaches.
        reason: String,
    },
    /// What was not trusted any more is trusted again.
    Trusted,
    /// The answer to health checks is another one than before.
    HealthChanged {
        /// What it is now.
        health: Health,
    },
    /// A limit was breached. Of breaches of one limit by one actor, this is told once a second at most.
    LimitBreached {
        /// Which kind of limit.
        limit: ErrorKind,
        /// What the caller was told.
        message: String,
    },
    /// An experiment did something to an actor or provider. What comes of it follows.
    #[cfg(feature = "experiments")]
    Injected {
        /// What it did.
        fault: crate::InjectedFault,
    },
    /// The subscriber was so slow that events were dropped.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// The events of a host, from the moment of the subscription on: all of them, or those of one entity.
///
/// Each subscriber sees every event, in order, as long as it keeps up: a buffer holds those that it has not taken yet. One
/// that falls behind by more misses the oldest, and is told how many by [`EventKind::Lagged`].
#[derive(Debug)]
pub struct Events {
    events: Receiver<Event>,
    only: Option<WasmCloudEntity>,
}

impl Events {
    /// The next event; nothing once the host is gone.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let event = match self.events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => {
                    return Some(Event::now(WasmCloudEntity::Host, EventKind::Lagged { missed }));
                }
                Err(RecvError::Closed) => return None,
            };
            if self.only.as_ref().is_none_or(|only| event.entity == *only) {
                return Some(event);
            }
        }
    }
}

impl Event {
    fn now(subject: impl Into<Subject>, kind: EventKind) -> Event {
        let Subject { entity, name } = subject.into();
        Event { at: SystemTime::now(), entity, name, kind }
    }
}

/// What an event is about: an entity, and its name if it has one.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) entity: WasmCloudEntity,
    pub(crate) name: Option<String>,
}

impl From<WasmCloudEntity> for Subject {
    fn from(entity: WasmCloudEntity) -> Subject {
        Subject { entity, name: None }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.entity)?;
        match &self.name {
            Some(name) => write!(f, " ({})", escaped(name)),
            None => Ok(()),
        }
    }
}

/// Where events are told.
#[derive(Debug)]
pub(crate) struct EventBus {
    subscribers: Sender<Event>,
    /// When which limit of which actor was last told to be breached.
    breaches: Mutex<HashMap<(String, ErrorKind), Instant>>,
}

impl EventBus {
    /// A bus that keeps so many events for slow subscribers.
    pub(crate) fn new(buffer: usize) -> EventBus {
        EventBus { subscribers: broadcast::channel(buffer.max(1)).0, breaches: Mutex::default() }
    }

    pub(crate) fn subscribe(&self, only: Option<WasmCloudEntity>) -> Events {
        Events { events: self.subscribers.subscribe(), only }
    }

    pub(crate) fn emit(&self, subject: impl Into<Subject>, kind: EventKind) {
        // Nobody has to listen.
        let _ = self.subscribers.send(Event::now(subject, kind));
    }

    /// Tells that an actor breached a limit, unless that was told just before.
    pub(crate) fn emit_breach(&self, actor: &str, name: Option<String>, error: &Error) {
        if self.subscribers.receiver_count() == 0 {
            return;
        }
        let now = Instant::now();
        let mut breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        if breaches.len() >= REMEMBERED_BREACHES {
            breaches.retain(|_, told| now.duration_since(*told) < QUIET);
        }
        let told = breaches.get(&(actor.to_owned(), error.kind()));
        if told.is_some_and(|told| now.duration_since(*told) < QUIET) || breaches.len() >= REMEMBERED_BREACHES {
            return;
        }
        breaches.insert((actor.to_owned(), error.kind()), now);
        drop(breaches);
        let kind = EventKind::LimitBreached { limit: error.kind(), message: error.to_string() };
        self.emit(Subject { entity: WasmCloudEntity::Actor(actor.to_owned()), name }, kind);
    }
}
