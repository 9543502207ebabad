//! The host of a scenario, and the calls to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use wasmcloud_host::{
    Actor, ActorOptions, ErrorKind, Event, EventKind, Events, Experiment, Host, HostBuilder, Limits, Result,
    WasmCloudEntity,
};

use crate::echo_provider::{self, CONTRACT};
use crate::timeline::{Call, Entry, Outcome, describe};

/// The host's call deadline.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// A call that has not ended by then is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time that a host keeps running after the last call.
const AFTERMATH: Duration = Duration::from_millis(25);

/// Callers at the same time, each with so many calls.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) callers: usize,
    pub(crate) calls: usize,
    /// The pause of a caller after each call.
    pause: Duration,
}

impl Load {
    /// Returns a load. The pause is in milliseconds.
    pub(crate) const fn new(callers: usize, calls: usize, pause: u64) -> Load {
        Load { callers, calls, pause: Duration::from_millis(pause) }
    }
}

/// A host whose events and calls are recorded.
pub(crate) struct Lab {
    pub(crate) host: Host,
    pub(crate) seed: u64,
    began: SystemTime,
    events: Events,
    /// The names of actors and providers on the timeline.
    names: RefCell<HashMap<WasmCloudEntity, &'static str>>,
    calls: RefCell<Vec<Call>>,
}

/// A call to make. The expected answer is its payload.
pub(crate) struct Request<'a> {
    actor: &'a str,
    operation: &'a str,
    message: Vec<u8>,
    answer: Vec<u8>,
    /// The number of calls by which the guest `host_call` passes it on.
    hops: usize,
}

impl<'a> Request<'a> {
    pub(crate) fn new(actor: &'a str, operation: &'a str, payload: &[u8]) -> Request<'a> {
        Request { actor, operation, message: payload.to_vec(), answer: payload.to_vec(), hops: 0 }
    }

    /// The same, asked for by way of an actor that runs the guest `host_call`.
    pub(crate) fn by_way_of(self, actor: &'a str) -> Request<'a> {
        self.passed_on(actor, "")
    }

    /// A call to the provider, by way of an actor that runs the guest `host_call` and is linked to it.
    pub(crate) fn to_provider(actor: &'a str, payload: &[u8]) -> Request<'a> {
        Request::new(CONTRACT, "Echo", payload).passed_on(actor, "default")
    }

    fn passed_on(self, actor: &'a str, binding: &str) -> Request<'a> {
        let parts = [binding.as_bytes(), self.actor.as_bytes(), self.operation.as_bytes(), &self.message];
        let lengths = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes());
        Request {
            actor,
            operation: "Call",
            message: lengths.chain(parts.concat()).collect(),
            hops: self.hops + 1,
            ..self
        }
    }

    /// What an answer means. Guests that pass a call on put a byte before what has come of it.
    fn judge(&self, answer: Result<Vec<u8>>) -> Outcome {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Outcome::Failed { why: format!("{:?}", error.kind()), text: error.to_string() },
        };
        let mut rest = answer.as_slice();
        for _ in 0..self.hops {
            match rest.split_first() {
                Some((1, answer)) => rest = answer,
                Some((0, error)) => {
                    let text = String::from_utf8_lossy(error).into_owned();
                    return Outcome::Failed { why: "the guest's own call failed".to_owned(), text };
                }
                _ => break,
            }
        }
        if rest == self.answer { Outcome::Answered } else { Outcome::Lost("answered with something else".to_owned()) }
    }
}

impl Lab {
    pub(crate) async fn open(seed: u64) -> Result<Lab> {
        let builder = HostBuilder::new().with_shards(2).with_call_deadline(CALL_DEADLINE).enable_live_updates();
        let host = builder.build();
        let (began, events) = (SystemTime::now(), host.events());
        host.start().await?;
        let names = RefCell::new(HashMap::from([(WasmCloudEntity::Host, "host")]));
        Ok(Lab { host, seed, began, events, names, calls: RefCell::default() })
    }

    /// Starts an actor, and returns its key.
    pub(crate) async fn start(&self, name: &'static str, actor: Actor, options: ActorOptions) -> Result<String> {
        let key = actor.public_key();
        self.names.borrow_mut().insert(WasmCloudEntity::Actor(key.clone()), name);
        self.host.start_actor_with(actor, options).await?;
        Ok(key)
    }

    /// Starts the provider with an experiment, and links an actor to it.
    pub(crate) async fn start_provider(&self, name: &'static str, actor: &str, experiment: Experiment) -> Result<()> {
        let capability = echo_provider::capability()?;
        let (id, link_name) = (capability.id(), "default".to_owned());
        let entity = WasmCloudEntity::Capability { id: id.clone(), contract_id: CONTRACT.to_owned(), link_name };
        self.host.experiment(&entity, experiment)?;
        self.names.borrow_mut().insert(entity, name);
        self.host.start_native_capability(capability).await?;
        self.host.set_link(actor, CONTRACT, None, id, HashMap::new()).await
    }

    /// Makes a call and records its outcome.
    pub(crate) async fn call(&self, request: Request<'_>) {
        let began = self.now();
        let answer = self.host.call_actor(request.actor, request.operation, &request.message);
        let outcome = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => request.judge(answer),
            Err(_) => Outcome::Lost(format!("not ended within {PATIENCE:?}")),
        };
        self.calls.borrow_mut().push(Call { began, ended: self.now(), outcome });
    }

    /// Runs concurrent callers. Calls are numbered from 0.
    pub(crate) async fn load<'a>(&self, load: Load, request: impl Fn(usize) -> Request<'a>) {
        let Load { callers, calls, pause } = load;
        let request = &request;
        join_all((0..callers).map(async |caller| {
            // The callers are out of phase.
            tokio::time::sleep(pause.mul_f64(caller as f64 / callers as f64)).await;
            for round in 0..calls {
                self.call(request(caller + callers * round)).await;
                tokio::time::sleep(pause).await;
            }
        }))
        .await;
    }

    /// Stops the host, and returns its events and calls.
    pub(crate) async fn close(mut self) -> (Vec<Entry>, Vec<Call>) {
        // The effects of the last calls belong to the scenario.
        tokio::time::sleep(AFTERMATH).await;
        self.host.stop().await;
        let mut entries = Vec::new();
        while let Some(Event { at, entity, kind, .. }) = self.events.next().await {
            let last = kind == EventKind::HostStopped;
            let name = self.names.borrow().get(&entity).copied().unwrap_or("somebody else");
            let text = self.with_names(describe(&kind));
            entries.push(Entry { at: self.since_begin(at), name, kind, text });
            if last {
                break;
            }
        }
        (entries, self.calls.into_inner())
    }

    /// Replaces the keys of actors and providers in a text by their names.
    fn with_names(&self, text: String) -> String {
        self.names.borrow().iter().fold(text, |text, (entity, name)| match entity {
            WasmCloudEntity::Actor(key) | WasmCloudEntity::Capability { id: key, .. } => text.replace(key, name),
            _ => text,
        })
    }

    fn now(&self) -> Duration {
        self.since_begin(SystemTime::now())
    }

    fn since_begin(&self, at: SystemTime) -> Duration {
        at.duration_since(self.began).unwrap_or_default()
    }
}

/// Waits until an event of this kind.
///
/// # Errors
/// The event does not occur in time.
pub(crate) async fn event(events: &mut Events, is_it: impl Fn(&EventKind) -> bool) -> std::result::Result<(), String> {
    let seen = async {
        while let Some(event) = events.next().await {
            if is_it(&event.kind) {
                return Ok(());
            }
        }
        Err("the host ended before what the scenario waits for".to_owned())
    };
    tokio::time::timeout(PATIENCE, seen)
        .await
        .unwrap_or_else(|_| Err("what the scenario waits for did not happen".to_owned()))
}

/// Returns options for an actor that needs little memory.
pub(crate) fn small() -> ActorOptions {
    ActorOptions::new().limits(small_limits())
}

/// The limits that go with it.
pub(crate) fn small_limits() -> Limits {
    Limits::new().memory_bytes(1024 * 1024).call_deadline(CALL_DEADLINE)
}

/// Returns whether a failure is of this kind.
pub(crate) fn is(why: &str, kind: ErrorKind) -> bool {
    why == format!("{kind:?}")
}
