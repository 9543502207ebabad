//! The life of links, the same for each contract and backend: linked, changed, refused, unlinked, stopped, started again.
//!
//! A backend says how its provider is started, which values two tenants are linked with, and how an actor leaves a mark
//! in what it is linked to. [`lifecycle`] does the rest, through a real guest.

use std::cell::Cell;
use std::collections::HashMap;

use futures_util::future::{join, join_all};
use wasmcloud_host::{ActorOptions, ErrorKind, Health, Host, HostBuilder, NativeCapability, WasmCloudEntity};

use crate::signing::sign;
use crate::support::{host_answer, host_call, kind, soon, with_host_of};

/// Whose link it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenant {
    A,
    B,
}

/// One backend of a contract.
pub(crate) trait Backend {
    /// The contract.
    const CONTRACT: &'static str;

    /// A provider to start.
    fn provider(&self) -> NativeCapability;

    /// The values of a tenant's link. What is in one tenant's place is not in the other's.
    fn values(&self, tenant: Tenant) -> HashMap<String, String>;

    /// Values that have to be refused, each with the name of the one at fault. None may tell the text `secret`.
    fn bad_values(&self) -> Vec<(&'static str, HashMap<String, String>)>;

    /// Leaves a mark in the place that the caller is linked to. It must outlive the link.
    ///
    /// # Errors
    /// What the actor is told.
    async fn leave_mark(&self, caller: &Caller, mark: &str) -> Result<(), String>;

    /// Makes ready what the marks are left with, where that is something in the host.
    async fn prepare(&self, _host: &Host, _provider: &str) {}

    /// The marks that were left there.
    async fn marks(&self, caller: &Caller) -> Vec<String>;
}

/// An actor that makes the calls of a test.
#[derive(Clone)]
pub(crate) struct Caller {
    host: Host,
    pub(crate) key: String,
    contract: &'static str,
}

impl Caller {
    /// Starts an actor with so many instances, which make calls at once.
    pub(crate) async fn start(host: &Host, contract: &'static str, instances: usize) -> Caller {
        let actor = sign("host_call").capability(contract).actor();
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(instances)).await.unwrap();
        Caller { host: host.clone(), key, contract }
    }

    /// Links it to a provider.
    pub(crate) async fn link(&self, provider: &str, values: HashMap<String, String>) -> wasmcloud_host::Result<()> {
        soon(self.host.set_link(&self.key, self.contract, None, provider.to_owned(), values)).await
    }

    pub(crate) async fn unlink(&self) {
        self.host.remove_link(&self.key, self.contract, None).await.unwrap();
    }

    /// Has the guest call the provider.
    ///
    /// # Errors
    /// What the guest is told.
    pub(crate) async fn call(&self, operation: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        let call = host_call("", self.contract, operation, message);
        host_answer(&soon(self.host.call_actor(&self.key, "Call", &call)).await.map_err(|error| error.to_string())?)
    }
}

/// Runs a test with a host and a provider of this backend.
pub(crate) async fn with_provider<B: Backend>(backend: &B, test: impl AsyncFnOnce(Host, String)) {
    let builder = HostBuilder::new().with_shards(2).with_health_interval(None);
    with_host_of(builder, async |host| {
        let provider = start_provider(backend, &host).await;
        test(host, provider).await;
    })
    .await;
}

/// Starts a provider of this backend, and answers with its public key.
pub(crate) async fn start_provider<B: Backend>(backend: &B, host: &Host) -> String {
    let capability = backend.provider();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    backend.prepare(host, &provider).await;
    provider
}

/// Runs every case of a link's life.
pub(crate) async fn lifecycle<B: Backend>(backend: &B) {
    two_tenants_at_once_are_never_mixed_up(backend).await;
    new_values_are_in_effect_at_once(backend).await;
    new_values_under_load_fail_no_call(backend).await;
    a_bad_value_is_named_and_what_was_in_effect_stays(backend).await;
    a_link_ends_and_is_made_again(backend).await;
    a_provider_is_stopped_and_started_again(backend).await;
    all_is_well_with_and_without_links(backend).await;
}

async fn two_tenants_at_once_are_never_mixed_up<B: Backend>(backend: &B) {
    with_provider(backend, async |host, provider| {
        let a = Caller::start(&host, B::CONTRACT, 4).await;
        let b = Caller::start(&host, B::CONTRACT, 4).await;
        a.link(&provider, backend.values(Tenant::A)).await.unwrap();
        b.link(&provider, backend.values(Tenant::B)).await.unwrap();
        let marks = (0..8).map(|number| format!("mixed {number}"));
        let leave = marks.clone().map(async |mark| {
            let (at_a, at_b) = (format!("{mark} a"), format!("{mark} b"));
            let left = join(backend.leave_mark(&a, &at_a), backend.leave_mark(&b, &at_b)).await;
            assert_eq!(left, (Ok(()), Ok(())));
        });
        join_all(leave).await;
        let (at_a, at_b) = (backend.marks(&a).await, backend.marks(&b).await);
        for mark in marks {
            assert!(at_a.contains(&format!("{mark} a")) && !at_a.contains(&format!("{mark} b")), "{at_a:?}");
            assert!(at_b.contains(&format!("{mark} b")) && !at_b.contains(&format!("{mark} a")), "{at_b:?}");
        }
    })
    .await;
}

async fn new_values_are_in_effect_at_once<B: Backend>(backend: &B) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, B::CONTRACT, 1).await;
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        backend.leave_mark(&caller, "before the change").await.unwrap();
        caller.link(&provider, backend.values(Tenant::B)).await.unwrap();
        backend.leave_mark(&caller, "after the change").await.unwrap();
        let marks = backend.marks(&caller).await;
        assert!(marks.contains(&"after the change".to_owned()) && !marks.contains(&"before the change".to_owned()));
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        let marks = backend.marks(&caller).await;
        assert!(marks.contains(&"before the change".to_owned()) && !marks.contains(&"after the change".to_owned()));
    })
    .await;
}

async fn new_values_under_load_fail_no_call<B: Backend>(backend: &B) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, B::CONTRACT, 8).await;
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        let changing = Cell::new(true);
        let load = (0..8).map(async |number| {
            let mut calls = 0;
            while changing.get() {
                backend.leave_mark(&caller, &format!("while changing {number}")).await.unwrap();
                backend.marks(&caller).await;
                calls += 1;
            }
            calls
        });
        let changes = async {
            for tenant in [Tenant::B, Tenant::A, Tenant::A].into_iter().cycle().take(12) {
                caller.link(&provider, backend.values(tenant)).await.unwrap();
            }
            changing.set(false);
        };
        let (calls, ()) = join(join_all(load), changes).await;
        assert!(calls.into_iter().all(|calls: u32| calls > 0), "there was no load");
    })
    .await;
}

async fn a_bad_value_is_named_and_what_was_in_effect_stays<B: Backend>(backend: &B) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, B::CONTRACT, 1).await;
        for (value, values) in backend.bad_values() {
            let refusal = caller.link(&provider, values).await.unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
            let text = refusal.to_string();
            assert!(text.contains(value) && !text.contains("secret"), "{value}: {text}");
        }
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        backend.leave_mark(&caller, "before the refusals").await.unwrap();
        for (_, values) in backend.bad_values() {
            assert_eq!(kind(caller.link(&provider, values).await), ErrorKind::LinkRefused);
        }
        assert!(backend.marks(&caller).await.contains(&"before the refusals".to_owned()));
    })
    .await;
}

async fn a_link_ends_and_is_made_again<B: Backend>(backend: &B) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, B::CONTRACT, 1).await;
        assert!(caller.call("Any", b"").await.unwrap_err().contains("link"));
        // Again and again: what one link held must be free for the next.
        for round in 0..3 {
            caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
            backend.leave_mark(&caller, &format!("round {round}")).await.unwrap();
            caller.unlink().await;
            assert!(caller.call("Any", b"").await.unwrap_err().contains("link"));
        }
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        let marks = backend.marks(&caller).await;
        assert!((0..3).all(|round| marks.contains(&format!("round {round}"))), "{marks:?}");
    })
    .await;
}

async fn a_provider_is_stopped_and_started_again<B: Backend>(backend: &B) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, B::CONTRACT, 1).await;
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        backend.leave_mark(&caller, "before the stop").await.unwrap();
        host.stop_provider(&provider, B::CONTRACT, None).await.unwrap();
        assert!(caller.call("Any", b"").await.unwrap_err().contains("does not run"));
        host.start_native_capability(backend.provider()).await.unwrap();
        assert!(backend.marks(&caller).await.contains(&"before the stop".to_owned()));
    })
    .await;
}

async fn all_is_well_with_and_without_links<B: Backend>(backend: &B) {
    with_provider(backend, async |host, provider| {
        let entity = WasmCloudEntity::Capability {
            id: provider.clone(),
            contract_id: B::CONTRACT.to_owned(),
            link_name: "default".to_owned(),
        };
        assert_eq!(host.health_of(entity.clone()).await.unwrap(), Health::Healthy);
        let caller = Caller::start(&host, B::CONTRACT, 1).await;
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        assert_eq!(host.health_of(entity).await.unwrap(), Health::Healthy);
    })
    .await;
}
