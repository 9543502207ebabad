//! Providers that start, stop and restart while others need them: no deadlocks, and no waits for a child that hangs.

mod hanging;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures_util::future::{join, join3};
use tokio::sync::{Notify, Semaphore};
use wasmcloud_host::{
    ActorDispatcher, AsyncCapabilityProvider, Binding, BoxedError, CapabilityProvider, ChildState, Dispatcher,
    EventKind, Events, Host, NativeCapability, ProviderCallContext, Result,
};

use crate::signing::sign;
use crate::support::{PROBE, Probe, host_answer, host_call, provider_claims, soon, until, values, with_host};

/// A provider that brings work to actors of its own accord. It answers every call with the message, but panics over `Panic`.
/// Its stop waits for the work under way, and so does its drain, if it has one. A link with the value `HANG` is not taken
/// before it is released.
#[derive(Clone, Default)]
struct Courier(Arc<Inner>);

#[derive(Default)]
struct Inner {
    dispatchers: Mutex<HashMap<String, ActorDispatcher>>,
    drains: AtomicBool,
    /// Whether every link hangs that has a value `SLOW`.
    slow: AtomicBool,
    under_way: Mutex<usize>,
    idle: Notify,
    /// What it was asked to do, in order.
    asked: Mutex<Vec<String>>,
    /// Links that hang are taken with these.
    taken: Option<Semaphore>,
}

impl Courier {
    fn new() -> Courier {
        Courier(Arc::new(Inner { taken: Some(Semaphore::new(0)), ..Inner::default() }))
    }

    fn capability(&self) -> NativeCapability {
        NativeCapability::from_async(self.clone(), None, provider_claims(PROBE)).unwrap()
    }

    fn note(&self, what: impl Into<String>) {
        self.0.asked.lock().unwrap().push(what.into());
    }

    fn count(&self, what: &str) -> usize {
        self.0.asked.lock().unwrap().iter().filter(|asked| **asked == *what).count()
    }

    /// Brings an actor work that has it call back over its link.
    async fn deliver(&self, actor: &str) -> Result<Vec<u8>> {
        let dispatcher = self.0.dispatchers.lock().unwrap()[actor].clone();
        *self.0.under_way.lock().unwrap() += 1;
        let answer = dispatcher.dispatch(actor, "Any", host_call("", PROBE, "Echo", b"back")).await;
        *self.0.under_way.lock().unwrap() -= 1;
        self.0.idle.notify_waiters();
        answer
    }

    async fn finish(&self) {
        loop {
            let idle = self.0.idle.notified();
            if *self.0.under_way.lock().unwrap() == 0 {
                return;
            }
            idle.await;
        }
    }

    fn release_links(&self) {
        self.0.taken.as_ref().unwrap().add_permits(1000);
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Courier {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.0.dispatchers.lock().unwrap().insert(binding.actor, binding.dispatcher);
        let hangs = binding.values.contains_key("SLOW") && self.0.slow.load(Ordering::SeqCst);
        if binding.values.contains_key("HANG") || hangs {
            self.note("hang");
            self.0.taken.as_ref().unwrap().acquire().await?.forget();
        }
        self.note("bind");
        Ok(())
    }

    async fn drain(&self, _: &str) -> Result<(), BoxedError> {
        self.note("drain");
        if self.0.drains.load(Ordering::SeqCst) {
            self.finish().await;
        }
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        assert_ne!(call.operation, "Panic", "deliberate panic");
        Ok(call.message)
    }

    async fn stop(&self) {
        self.note("stop");
        self.finish().await;
    }
}

/// A guest that is linked to a courier, and under the name `other` to a probe that it can be made to wait for.
struct Station {
    host: Host,
    courier: Courier,
    provider: String,
    probe: Probe,
    actor: String,
}

impl Station {
    async fn start(host: &Host, courier: Courier) -> Station {
        let (capability, probe) = (courier.capability(), Probe::default());
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let claims = provider_claims(PROBE);
        let other = NativeCapability::from_async(probe.clone(), Some("other".into()), claims.clone()).unwrap();
        host.start_native_capability(other).await.unwrap();
        let actor = linked(host, &provider, &[]).await;
        host.set_link(&actor, PROBE, Some("other".into()), claims.subject, HashMap::new()).await.unwrap();
        Station { host: host.clone(), courier, provider, probe, actor }
    }

    /// Has the actor wait for the probe.
    async fn wait(&self) {
        let waits = host_call("other", PROBE, "Wait", b"");
        let answer = soon(self.host.call_actor(&self.actor, "Any", &waits)).await.unwrap();
        assert_eq!(host_answer(&answer).unwrap(), b"released");
    }

    /// Has the courier bring work, which waits until the actor is done with what is before it.
    async fn deliver(&self) -> Result<Vec<u8>, String> {
        until(async || self.calls() == 1).await;
        let answer = soon(self.courier.deliver(&self.actor)).await;
        host_answer(&answer.map_err(|error| error.to_string())?)
    }

    fn calls(&self) -> usize {
        let inventory = self.host.inventory().unwrap();
        inventory.actors.iter().find(|actor| actor.key == self.actor).unwrap().calls
    }

    /// Waits until the actor has so many calls before it.
    async fn busy_with(&self, calls: usize) {
        until(async || self.calls() == calls).await;
    }

    fn provider_state(&self) -> ChildState {
        let providers = self.host.inventory().unwrap().providers;
        providers.into_iter().find(|provider| provider.id == self.provider).unwrap().state
    }
}

/// Starts a guest that is linked to a provider.
async fn linked(host: &Host, provider: &str, link: &[(&str, &str)]) -> String {
    let actor = sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    host.set_link(&key, PROBE, None, provider.to_owned(), values(link)).await.unwrap();
    key
}

/// A call of a guest to its provider.
async fn call(host: &Host, actor: &str, operation: &str) -> Result<Vec<u8>, String> {
    let called = soon(host.call_actor(actor, "Any", &host_call("", PROBE, operation, b"x"))).await;
    host_answer(&called.map_err(|error| error.to_string())?)
}

async fn told(events: &mut Events, is_it: impl Fn(&EventKind) -> bool) {
    soon(async { while !is_it(&events.next().await.expect("the host is there").kind) {} }).await;
}

#[actix_rt::test]
async fn a_provider_that_is_stopped_can_be_called_back_by_what_it_waits_for() {
    for drains in [true, false] {
        with_host(async |host| {
            let station = Station::start(&host, Courier::new()).await;
            station.courier.0.drains.store(drains, Ordering::SeqCst);
            let stop = async {
                station.busy_with(2).await;
                let release = async {
                    // It waits for the delivery by now.
                    let waits_in = if drains { "drain" } else { "stop" };
                    until(async || station.courier.count(waits_in) == 1).await;
                    station.probe.release.add_permits(1);
                };
                join(host.stop_provider(&station.provider, PROBE, None), release).await.0
            };
            let ((), delivered, stopped) = soon(join3(station.wait(), station.deliver(), stop)).await;
            assert_eq!(delivered.unwrap(), b"back", "drains: {drains}");
            stopped.unwrap();
            let asked = station.courier.0.asked.lock().unwrap().clone();
            assert_eq!(asked, ["bind", "drain", "stop"]);
            assert!(call(&host, &station.actor, "Echo").await.unwrap_err().contains("does not run"));
        })
        .await;
    }
}

#[actix_rt::test]
async fn calls_that_a_stopping_provider_does_not_wait_for_are_refused_at_once() {
    with_host(async |host| {
        let station = Station::start(&host, Courier::new()).await;
        // It stands before the delivery, for which the stop waits.
        let before = async {
            station.busy_with(1).await;
            call(&host, &station.actor, "Echo").await
        };
        let deliver = async {
            station.busy_with(2).await;
            let answer = soon(station.courier.deliver(&station.actor)).await.unwrap();
            host_answer(&answer)
        };
        let stop = async {
            station.busy_with(3).await;
            let release = async {
                until(async || station.courier.count("stop") == 1).await;
                station.probe.release.add_permits(1);
            };
            join(host.stop_provider(&station.provider, PROBE, None), release).await.0.unwrap();
        };
        let ((), refused, (delivered, ())) = soon(join3(station.wait(), before, join(deliver, stop))).await;
        assert!(refused.unwrap_err().contains("is being stopped"));
        assert_eq!(delivered.unwrap(), b"back");
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_that_is_restarted_can_be_called_back_by_what_it_waits_for() {
    with_host(async |host| {
        let station = Station::start(&host, Courier::new()).await;
        let crasher = linked(&host, &station.provider, &[]).await;
        let mut events = host.events();
        let crash = async {
            station.busy_with(2).await;
            assert!(call(&host, &crasher, "Panic").await.unwrap_err().contains("deliberate panic"));
            until(async || station.courier.count("stop") == 1).await;
            station.probe.release.add_permits(1);
            told(&mut events, |kind| matches!(kind, EventKind::Restarted { .. })).await;
        };
        let ((), delivered, ()) = soon(join3(station.wait(), station.deliver(), crash)).await;
        assert_eq!(delivered.unwrap(), b"back");
        assert_eq!(station.provider_state(), ChildState::Running);
        assert_eq!(call(&host, &station.actor, "Echo").await.unwrap(), b"x");
        assert_eq!(station.courier.count("bind"), 4);
    })
    .await;
}

/// Something that may be there.
type Slot<T> = Arc<Mutex<Option<T>>>;

/// What an actor answered to a provider, or the text of the refusal.
type Outcome = Result<Vec<u8>, String>;

/// A provider of the blocking interface with a thread that brings work. Its stop waits for that thread.
#[derive(Clone, Default)]
struct BlockingCourier {
    dispatcher: Slot<Arc<dyn Dispatcher>>,
    thread: Slot<JoinHandle<Outcome>>,
    outcome: Slot<Outcome>,
    stopping: Arc<AtomicBool>,
}

impl BlockingCourier {
    fn deliver(&self, actor: &str) {
        let (dispatcher, actor) = (self.dispatcher.lock().unwrap().clone().unwrap(), actor.to_owned());
        let deliver = move || {
            let message = host_call("", PROBE, "Echo", b"back");
            dispatcher.dispatch(&actor, "Any", &message).map_err(|error| error.to_string())
        };
        *self.thread.lock().unwrap() = Some(std::thread::spawn(deliver));
    }
}

impl CapabilityProvider for BlockingCourier {
    fn configure_dispatch(&self, dispatcher: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        *self.dispatcher.lock().unwrap() = Some(dispatcher.into());
        Ok(())
    }

    fn handle_call(&self, _: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError> {
        assert_ne!(operation, "Panic", "deliberate panic");
        Ok(message.to_vec())
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.lock().unwrap().take() {
            *self.outcome.lock().unwrap() = Some(thread.join().unwrap());
        }
    }
}

#[actix_rt::test]
async fn a_blocking_provider_can_be_called_back_by_what_its_stop_waits_for() {
    for crashes in [false, true] {
        with_host(async |host| {
            let (courier, probe) = (BlockingCourier::default(), Probe::default());
            let capability = NativeCapability::from_instance(courier.clone(), None, provider_claims(PROBE)).unwrap();
            let provider = capability.id();
            host.start_native_capability(capability).await.unwrap();
            let claims = provider_claims(PROBE);
            let other = NativeCapability::from_async(probe.clone(), Some("other".into()), claims.clone()).unwrap();
            host.start_native_capability(other).await.unwrap();
            let (actor, crasher) = (linked(&host, &provider, &[]).await, linked(&host, &provider, &[]).await);
            host.set_link(&actor, PROBE, Some("other".into()), claims.subject, HashMap::new()).await.unwrap();
            let calls = async |count: usize| {
                until(async || {
                    let actors = host.inventory().unwrap().actors;
                    actors.iter().find(|running| running.key == actor).unwrap().calls == count
                })
                .await;
            };
            let wait = host_call("other", PROBE, "Wait", b"");
            let waits = host.call_actor(&actor, "Any", &wait);
            let stop = async {
                calls(1).await;
                courier.deliver(&actor);
                calls(2).await;
                let stop = async {
                    if crashes {
                        assert!(call(&host, &crasher, "Panic").await.unwrap_err().contains("deliberate panic"));
                    } else {
                        host.stop_provider(&provider, PROBE, None).await.unwrap();
                    }
                };
                let release = async {
                    until(async || courier.stopping.load(Ordering::SeqCst)).await;
                    probe.release.add_permits(1);
                };
                join(stop, release).await;
                until(async || courier.outcome.lock().unwrap().is_some()).await;
            };
            let (waited, ()) = soon(join(waits, stop)).await;
            waited.unwrap();
            let outcome = courier.outcome.lock().unwrap().take().unwrap();
            assert_eq!(host_answer(&outcome.unwrap()).unwrap(), b"back");
            if crashes {
                assert_eq!(call(&host, &crasher, "Echo").await.unwrap(), b"x");
            }
        })
        .await;
    }
}
