//! Successors of instances, revisions and providers: crashes of predecessors do not count against them, they hold what
//! predecessors have released, and providers get their claims.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, join3};
use tokio::sync::{Notify, Semaphore};
use wasmcloud_host::{
    ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, CapabilityProvider, ChildState, Dispatcher, ErrorKind,
    EventKind, Events, Host, HostBuilder, LinkState, NativeCapability, ProviderCallContext, Restart, RestartPolicy,
};

use crate::signing::{Signing, sign};
use crate::supervision::telltale;
use crate::support::{
    PROBE, host_answer, host_call, kind, provider_claims, soon, until, values, with_host, with_host_of,
};

/// A provider that shows what becomes of it: `Panic` panics, `PanicLater` panics when it is released, whatever else is answered.
/// It waits with that from its second stop on, until it is let go. A tag `unwelcome` has it refuse a link.
#[derive(Clone)]
struct Frail {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// How many of the next links it panics over.
    bad_links: Arc<AtomicUsize>,
    arrived: Arc<Notify>,
    release: Arc<Semaphore>,
    stops: Arc<Semaphore>,
}

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Bound { tags: Vec<String> },
    Unbound,
    Stopping,
}

impl Frail {
    /// One that is done at once with so many stops.
    fn new(stops: usize) -> Frail {
        let (release, stops) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(stops)));
        Frail { seen: Arc::default(), bad_links: Arc::default(), arrived: Arc::default(), release, stops }
    }

    fn count(&self, is_it: impl Fn(&Seen) -> bool) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| is_it(seen)).count()
    }

    fn stops(&self) -> usize {
        self.count(|seen| *seen == Seen::Stopping)
    }

    fn links(&self) -> usize {
        self.count(|seen| matches!(seen, Seen::Bound { .. }))
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    /// Starts it, with actors linked to it that call it.
    async fn start(&self, host: &Host, policy: RestartPolicy, callers: &[&Signing]) -> NativeCapability {
        let capability = NativeCapability::from_async(self.clone(), None, provider_claims(PROBE)).unwrap();
        host.start_native_capability_with(capability.clone(), policy).await.unwrap();
        for caller in callers {
            let actor = caller.actor();
            let key = actor.public_key();
            host.start_actor(actor).await.unwrap();
            host.set_link(&key, PROBE, None, capability.id(), values(&[])).await.unwrap();
        }
        capability
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Frail {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let count_down = |count: usize| count.checked_sub(1);
        assert!(
            self.bad_links.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).is_err(),
            "deliberate panic"
        );
        if binding.tags.iter().any(|tag| tag == "unwelcome") {
            return Err("this actor is not welcome".into());
        }
        self.note(Seen::Bound { tags: binding.tags });
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        self.note(Seen::Unbound);
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        match call.operation.as_str() {
            "Panic" => panic!("deliberate panic"),
            "PanicLater" | "Trap" => {
                self.arrived.notify_one();
                self.release.acquire().await?.forget();
                assert_eq!(call.operation, "Trap", "deliberate panic");
            }
            _ => {}
        }
        Ok(call.message)
    }

    async fn stop(&self) {
        self.note(Seen::Stopping);
        let _ = self.stops.acquire().await.map(tokio::sync::SemaphorePermit::forget);
    }
}

fn caller() -> Signing {
    sign("host_call").capability(PROBE)
}

fn key(signing: &Signing) -> String {
    signing.actor().public_key()
}

/// Has an actor call the provider.
async fn call(host: &Host, actor: &Signing, operation: &str) -> Result<Vec<u8>, String> {
    host_answer(&soon(host.call_actor(&key(actor), "Any", &host_call("", PROBE, operation, b"x"))).await.unwrap())
}

/// Waits for something to happen, and answers with what happened up to then.
async fn until_told(events: &mut Events, is_it: impl Fn(&EventKind) -> bool) -> Vec<EventKind> {
    soon(async {
        let mut told = Vec::new();
        while !told.last().is_some_and(&is_it) {
            told.push(events.next().await.expect("the host is there").kind);
        }
        told
    })
    .await
}

fn is_restart(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Restarted { .. })
}

fn is_crash(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Crashed { .. })
}

fn never_again() -> RestartPolicy {
    RestartPolicy::new().restart(Restart::Temporary)
}

#[actix_rt::test]
async fn a_crash_of_an_old_instance_after_an_update_is_not_that_of_the_new_one() {
    with_host_of(HostBuilder::new().with_shards(2).enable_live_updates(), async |host| {
        let (provider, mut signing) = (Frail::new(9), telltale());
        let actor = signing.actor();
        host.start_actor_with(actor, ActorOptions::new().restart(never_again())).await.unwrap();
        let id = provider.start(&host, RestartPolicy::new(), &[]).await.id();
        host.set_link(&key(&signing), PROBE, None, id, values(&[])).await.unwrap();
        let key = key(&signing);
        signing.set_revision(2);
        let mut events = host.events();
        let crash = async { kind(host.call_actor(&key, "Trap", b"").await) };
        let behind = async {
            provider.arrived.notified().await;
            host.call_actor(&key, "Echo", b"behind").await
        };
        let update = async {
            until(async || host.inventory().unwrap().actors[0].calls == 2).await;
            let module = signing.bytes();
            let update = host.update_actor(&key, None, &module);
            let release = async {
                until_told(&mut events, |kind| matches!(kind, EventKind::Updated { .. })).await;
                provider.release.add_permits(1);
            };
            join(update, release).await.0
        };
        let (crashed, behind, updated) = soon(join3(crash, behind, update)).await;
        updated.unwrap();
        assert_eq!((crashed, behind.unwrap()), (ErrorKind::ActorTrapped, b"behind".to_vec()));
        assert_eq!(host.inventory().unwrap().actors[0].state, ChildState::Running);
        assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn a_panic_in_a_provider_that_has_been_replaced_does_not_replace_the_next_one() {
    with_host(async |host| {
        let (provider, busy, other) = (Frail::new(9), caller(), caller());
        provider.start(&host, RestartPolicy::new(), &[&busy, &other]).await;
        let mut events = host.events();
        let late = call(&host, &busy, "PanicLater");
        let meanwhile = async {
            provider.arrived.notified().await;
            assert!(call(&host, &other, "Panic").await.unwrap_err().contains("deliberate panic"));
            until_told(&mut events, is_restart).await;
            provider.release.add_permits(1);
        };
        let (late, ()) = soon(join(late, meanwhile)).await;
        assert!(late.unwrap_err().contains("deliberate panic"));
        until_told(&mut events, is_crash).await;
        for _ in 0..3 {
            assert_eq!(call(&host, &other, "Echo").await.unwrap(), b"x");
        }
        assert_eq!((provider.stops(), provider.links()), (1, 4));
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_that_panics_while_it_comes_back_is_not_back() {
    with_host(async |host| {
        // The first stop is done at once, the second one waits.
        let (provider, caller) = (Frail::new(1), caller());
        provider.start(&host, RestartPolicy::new(), &[&caller]).await;
        let mut events = host.events();
        provider.bad_links.store(1, Ordering::SeqCst);
        assert!(call(&host, &caller, "Panic").await.unwrap_err().contains("deliberate panic"));
        let mut told = until_told(&mut events, |kind| matches!(kind, EventKind::LinkRefused { .. })).await;
        until(async || provider.stops() == 2).await;
        assert!(matches!(host.inventory().unwrap().providers[0].state, ChildState::Restarting { .. }));
        provider.stops.add_permits(9);
        assert_eq!(call(&host, &caller, "Echo").await.unwrap(), b"x");
        assert_eq!(host.inventory().unwrap().providers[0].state, ChildState::Running);
        host.stop().await;
        told.extend(until_told(&mut events, |kind| *kind == EventKind::HostStopped).await);
        let count = |is_it: fn(&EventKind) -> bool| told.iter().filter(|kind| is_it(kind)).count();
        assert_eq!((count(is_crash), count(is_restart)), (2, 1), "{told:?}");
    })
    .await;
}

/// A blocking provider that panics in every call, and refuses to be configured while it is told to.
#[derive(Default)]
struct Stubborn {
    configured: AtomicUsize,
    refuses: AtomicBool,
}

impl CapabilityProvider for Stubborn {
    fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        self.configured.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) { Err("not now".into()) } else { Ok(()) }
    }

    fn handle_call(&self, actor: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, BoxedError> {
        if actor == "system" { Ok(Vec::new()) } else { panic!("deliberate panic") }
    }

    fn stop(&self) {}
}

/// The same provider, for the test to keep.
struct Shared(Arc<Stubborn>);

impl CapabilityProvider for Shared {
    fn configure_dispatch(&self, dispatcher: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        self.0.configure_dispatch(dispatcher)
    }

    fn handle_call(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError> {
        self.0.handle_call(actor, operation, message)
    }

    fn stop(&self) {
        self.0.stop();
    }
}

#[actix_rt::test]
async fn a_restart_that_waits_is_not_for_a_provider_that_was_started_meanwhile() {
    with_host(async |host| {
        let (provider, caller) = (Arc::new(Stubborn::default()), caller());
        let shared = Shared(provider.clone());
        let capability = NativeCapability::from_instance(shared, None, provider_claims(PROBE)).unwrap();
        let pause = Duration::from_millis(200);
        host.start_native_capability_with(capability.clone(), RestartPolicy::new().delays(pause, pause)).await.unwrap();
        let actor = caller.actor();
        host.start_actor(actor).await.unwrap();
        host.set_link(&key(&caller), PROBE, None, capability.id(), values(&[])).await.unwrap();
        let mut events = host.events();
        provider.refuses.store(true, Ordering::SeqCst);
        assert!(call(&host, &caller, "Any").await.unwrap_err().contains("deliberate panic"));
        // The panic, and then the restart that failed: the next one is to follow after a pause.
        until_told(&mut events, is_crash).await;
        until_told(&mut events, is_crash).await;
        host.stop_provider(&capability.id(), PROBE, None).await.unwrap();
        provider.refuses.store(false, Ordering::SeqCst);
        host.start_native_capability(capability).await.unwrap();
        // Nothing tells that nothing happens.
        tokio::time::sleep(pause + pause / 2).await;
        assert_eq!(provider.configured.load(Ordering::SeqCst), 3);
    })
    .await;
}

#[actix_rt::test]
async fn a_failed_provider_is_stopped_once_and_its_links_wait_for_the_next_one() {
    with_host(async |host| {
        let (provider, caller) = (Frail::new(9), caller());
        let capability = provider.start(&host, never_again(), &[&caller]).await;
        assert!(call(&host, &caller, "Panic").await.unwrap_err().contains("deliberate panic"));
        let link_state = || host.link_state(&key(&caller), PROBE, None);
        until(async || link_state() == Some(LinkState::Pending)).await;
        assert_eq!(provider.stops(), 1);
        let refused = call(&host, &caller, "Echo").await.unwrap_err();
        assert!(refused.contains("has failed: it is temporary"), "{refused}");
        // A link that is set now waits as well.
        host.set_link(&key(&caller), PROBE, None, capability.id(), values(&[("A", "b")])).await.unwrap();
        assert_eq!(link_state(), Some(LinkState::Pending));
        host.start_native_capability(capability).await.unwrap();
        assert_eq!(call(&host, &caller, "Echo").await.unwrap(), b"x");
        assert_eq!((provider.stops(), provider.links()), (1, 2));
    })
    .await;
}

#[actix_rt::test]
async fn providers_get_the_new_claims_after_an_update_while_calls_pass() {
    with_host_of(HostBuilder::new().with_shards(2).enable_live_updates(), async |host| {
        let tagged = |signing: Signing, tag: &str| {
            signing.claims(|claims| claims.metadata.as_mut().unwrap().tags = Some(vec![tag.to_owned()]))
        };
        let (provider, signing) = (Frail::new(9), tagged(caller(), "first"));
        provider.start(&host, RestartPolicy::new(), &[&signing]).await;
        let key = key(&signing);
        let mut events = host.events();
        let update = async |signing: &Signing| host.update_actor(&key, None, &signing.bytes()).await.unwrap();
        let link_state = || host.link_state(&key, PROBE, None).unwrap();

        // What says the same needs not be said again.
        let mut signing = signing.revision(2);
        update(&signing).await;
        assert_eq!(provider.links(), 1);

        signing = tagged(signing.revision(3), "second");
        let updated = std::cell::Cell::new(false);
        let load = async {
            while !updated.get() {
                assert_eq!(call(&host, &signing, "Echo").await.unwrap(), b"x");
            }
        };
        let update_meanwhile = async {
            update(&signing).await;
            updated.set(true);
        };
        join(load, update_meanwhile).await;
        assert_eq!(provider.seen.lock().unwrap()[1..], [Seen::Bound { tags: vec!["second".to_owned()] }]);

        signing = tagged(signing.revision(4), "unwelcome");
        update(&signing).await;
        assert!(matches!(link_state(), LinkState::Refused(reason) if reason.contains("not welcome")));
        until_told(&mut events, |kind| matches!(kind, EventKind::LinkRefused { .. })).await;
        assert_eq!(provider.count(|seen| *seen == Seen::Unbound), 1);
        assert!(call(&host, &signing, "Echo").await.unwrap_err().contains("not welcome"));

        signing = tagged(signing.revision(5), "third");
        update(&signing).await;
        assert_eq!(call(&host, &signing, "Echo").await.unwrap(), b"x");
    })
    .await;
}
