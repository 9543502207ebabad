//! Calls and changes of links that go on during outages, and what became of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use wasmcloud_host::{Error, ErrorKind, Host};

pub(crate) use crate::recorder::CONTRACT;
use crate::recorder::record;

/// The callers. Every fourth calls an actor of its own host.
const CALLERS: usize = 16;

/// The time between two calls of a caller, and between two changes of links.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a call, or a change of a link, may take until it counts as hanging. The deadline of calls is 2 s.
const HANGS: Duration = Duration::from_secs(15);

/// The links that each host keeps changing.
const LINKS: u64 = 10;

/// What became of the calls.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) is_over: AtomicBool,
    next: AtomicU64,
    answered: Mutex<Vec<u64>>,
    failed: Mutex<BTreeMap<String, u64>>,
    pub(crate) hanging: AtomicU64,
    local: AtomicU64,
    pub(crate) local_failed: AtomicU64,
}

impl Calls {
    /// Calls an actor that records each number, and a local actor.
    pub(crate) async fn call_until_over(&self, front: &Host, actor: &str, local: &str) {
        let caller = async |number: usize| {
            while !self.is_over.load(Ordering::Relaxed) {
                let called = if number.is_multiple_of(4) {
                    timeout(HANGS, self.call_local(front, local)).await
                } else {
                    timeout(HANGS, self.call_remote(front, actor)).await
                };
                if called.is_err() {
                    self.hanging.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        join_all((0..CALLERS).map(caller)).await;
    }

    async fn call_local(&self, front: &Host, local: &str) {
        self.local.fetch_add(1, Ordering::Relaxed);
        if front.call_actor(local, "Echo", &[7; 100]).await.is_err() {
            self.local_failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn call_remote(&self, front: &Host, actor: &str) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match record(front, actor, number).await {
            Ok(()) => self.answered.lock().expect("no holder panics").push(number),
            Err(reason) => {
                // Subjects and keys differ.
                let reason = reason.chars().take(70).collect();
                *self.failed.lock().expect("no holder panics").entry(reason).or_default() += 1;
            }
        }
    }

    pub(crate) fn offered(&self) -> u64 {
        self.next.load(Ordering::Relaxed) + self.local.load(Ordering::Relaxed)
    }

    /// Returns the numbers of the calls that were answered.
    pub(crate) fn answered(&self) -> Vec<u64> {
        self.answered.lock().expect("no holder panics").clone()
    }

    pub(crate) fn summary(&self) -> String {
        let answered = self.answered.lock().expect("no holder panics").len();
        let failed = self.failed.lock().expect("no holder panics");
        let failures: u64 = failed.values().sum();
        let next = self.next.load(Ordering::Relaxed);
        format!("{next} remote calls, {answered} answered, {failures} failed: {failed:?}")
    }
}

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    Set(u64),
    Removed,
}

/// A link, as far as the host that changes it was told.
#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: Option<State>,
    /// Later changes, of which it is not known whether they were made.
    attempted: Vec<State>,
}

/// The links that one host keeps changing.
pub(crate) struct Links {
    host: usize,
    pub(crate) is_over: AtomicBool,
    known: Mutex<HashMap<String, Known>>,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) hanging: AtomicU64,
}

impl Links {
    pub(crate) fn new(host: usize) -> Links {
        Links {
            host,
            is_over: AtomicBool::new(false),
            known: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            hanging: AtomicU64::new(0),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().expect("no holder panics")
    }

    /// Sets and removes links of the actor until it is told to end.
    pub(crate) async fn change_until_over(self: std::sync::Arc<Self>, host: Host, actor: String, provider: String) {
        let mut number = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            number += 1;
            let name = format!("{}-{}", self.host, number % LINKS);
            let is_set = self.known().get(&name).is_some_and(|known| matches!(known.acknowledged, Some(State::Set(_))));
            let state = if is_set && number % 7 == 0 { State::Removed } else { State::Set(number) };
            self.known().entry(name.clone()).or_default().attempted.push(state);
            let changed = change(&host, &actor, &provider, &name, state);
            match timeout(HANGS, changed).await {
                Ok(Ok(())) => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    self.known().insert(name, Known { acknowledged: Some(state), attempted: Vec::new() });
                }
                Ok(Err(error)) => log::warn!("{name}: {error}"),
                Err(_) => {
                    self.hanging.fetch_add(1, Ordering::Relaxed);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns the links whose state is neither the acknowledged one nor one that was attempted later.
    pub(crate) fn wrong(&self, state_of: &impl Fn(&str) -> State) -> Vec<String> {
        let known = self.known();
        let differs = known.iter().filter_map(|(name, known)| {
            let acknowledged = known.acknowledged?;
            let state = state_of(name);
            let is_right = state == acknowledged || known.attempted.contains(&state);
            (!is_right).then(|| format!("{name} is {state:?}, and was acknowledged as {known:?}"))
        });
        differs.collect()
    }
}

async fn change(host: &Host, actor: &str, provider: &str, name: &str, state: State) -> Result<(), Error> {
    let link_name = Some(name.to_owned());
    match state {
        State::Set(number) => {
            let values = HashMap::from([("number".to_owned(), number.to_string())]);
            host.set_link(actor, CONTRACT, link_name, provider.to_owned(), values).await
        }
        State::Removed => match host.remove_link(actor, CONTRACT, link_name).await {
            Err(error) if error.kind() == ErrorKind::NotLinked => Ok(()),
            removed => removed,
        },
    }
}
