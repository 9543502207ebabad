//! Providers of the blocking interface, and behaviour common to all providers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

use async_trait::async_trait;
use serde::Deserialize;
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, CapabilityProvider, Dispatcher, ErrorKind, Host, NativeCapability,
    ProviderCallContext, SYSTEM_ACTOR,
};

use crate::signing::sign;
use crate::support::{PROBE, Probe, host_answer, host_call, kind, provider_claims, soon, values, with_host};

const KEYVALUE: &str = "wasmcloud:keyvalue";

/// A key-value store in memory, written as providers of the era were.
#[derive(Clone, Default)]
struct MemoryStore {
    counters: Arc<Mutex<HashMap<String, i32>>>,
    configured: Arc<Mutex<Vec<(String, Configuration)>>>,
    dispatcher: Arc<RwLock<Option<Box<dyn Dispatcher>>>>,
    stopped: Arc<Mutex<u32>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Configuration {
    module: String,
    values: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Add {
    key: String,
    value: i32,
}

impl CapabilityProvider for MemoryStore {
    fn configure_dispatch(&self, dispatcher: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        *self.dispatcher.write().unwrap() = Some(dispatcher);
        Ok(())
    }

    fn handle_call(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError> {
        match operation {
            "BindActor" | "RemoveActor" if actor == SYSTEM_ACTOR => {
                let configuration: Configuration = rmp_serde::from_slice(message)?;
                if configuration.values.contains_key("REFUSE") {
                    return Err("refused as asked".into());
                }
                self.configured.lock().unwrap().push((operation.to_owned(), configuration));
                Ok(vec![])
            }
            "Add" => {
                let add: Add = rmp_serde::from_slice(message)?;
                let mut counters = self.counters.lock().unwrap();
                let counter = counters.entry(format!("{actor}{}", add.key)).or_default();
                *counter += add.value;
                Ok(rmp_serde::to_vec_named(&HashMap::from([("value", *counter)]))?)
            }
            "Panic" => panic!("deliberate panic"),
            "CallBack" => self.dispatcher.read().unwrap().as_ref().unwrap().dispatch(actor, "Echo", message),
            other => Err(format!("no operation {other}").into()),
        }
    }

    fn stop(&self) {
        *self.stopped.lock().unwrap() += 1;
    }
}

async fn linked_store(host: &Host, guest: &str) -> (MemoryStore, String, String) {
    let store = MemoryStore::default();
    let capability = NativeCapability::from_instance(store.clone(), None, provider_claims(KEYVALUE)).unwrap();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    let signing = sign(guest).capability(KEYVALUE).capability(PROBE).claims(|claims| {
        claims.metadata.get_or_insert_default().tags = Some(vec!["a".to_owned(), "b".to_owned()]);
    });
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    host.set_link(&key, KEYVALUE, None, provider.clone(), values(&[("URL", "memory")])).await.unwrap();
    (store, key, provider)
}

#[actix_rt::test]
async fn an_actor_of_the_era_counts_in_a_provider_of_the_era() {
    with_host(async |host| {
        let (_, actor, _) = linked_store(&host, "kvcounter").await;
        let request = b"\x85\xa6method\xa3GET\xa4path\xa4/a/b\xabqueryString\xa0\xa6header\x80\xa4body\xc4\x00";
        for count in 1..=3 {
            let answer = host.call_actor(&actor, "HandleRequest", request).await.unwrap();
            let body = format!("{{\"counter\":{count}}}");
            let found = answer.windows(body.len()).any(|window| window == body.as_bytes());
            assert!(found, "{}", String::from_utf8_lossy(&answer));
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_of_the_era_hears_of_links_as_it_always_did() {
    with_host(async |host| {
        let (store, actor, provider) = linked_store(&host, "kvcounter").await;
        host.remove_link(&actor, KEYVALUE, None).await.unwrap();
        host.stop_provider(&provider, KEYVALUE, None).await.unwrap();
        let issuer = host.actor_claims().await.unwrap()[0].issuer.clone();
        let bound = values(&[
            ("URL", "memory"),
            ("__wasmcloud_issuer", &issuer),
            ("__wasmcloud_capabilities", "wasmcloud:keyvalue,test:probe"),
            ("__wasmcloud_name", "kvcounter"),
            ("__wasmcloud_expires", "0"),
            ("__wasmcloud_tags", "a,b"),
        ]);
        let told = [
            ("BindActor".to_owned(), Configuration { module: actor.clone(), values: bound }),
            ("RemoveActor".to_owned(), Configuration { module: actor.clone(), values: HashMap::new() }),
        ];
        assert_eq!(*store.configured.lock().unwrap(), told);
        assert_eq!(*store.stopped.lock().unwrap(), 1);
    })
    .await;
}

#[actix_rt::test]
async fn a_panic_of_a_blocking_provider_costs_one_call_and_has_it_restarted() {
    with_host(async |host| {
        let (store, caller, _) = linked_store(&host, "host_call").await;
        let call = async |operation: &str, message: &[u8]| {
            let payload = host_call("", KEYVALUE, operation, message);
            host_answer(&soon(host.call_actor(&caller, "Any", &payload)).await.unwrap())
        };
        for _ in 0..10 {
            assert!(call("Panic", b"").await.unwrap_err().contains("deliberate panic"));
        }
        assert!(call("Nope", b"").await.unwrap_err().contains("no operation Nope"));
        assert_eq!(*store.stopped.lock().unwrap(), 10);
        assert_eq!(store.configured.lock().unwrap().len(), 11, "it is told of its link again, each time");
        assert!(call("CallBack", b"").await.unwrap_err().contains("waits for this call already"));
        assert_eq!(call("Add", b"\x82\xa3key\xa1k\xa5value\x05").await.unwrap(), b"\x81\xa5value\x05");
    })
    .await;
}

#[actix_rt::test]
async fn a_blocking_provider_calls_linked_actors_from_threads_of_its_own() {
    with_host(async |host| {
        let (store, actor, _) = linked_store(&host, "tiny_echo").await;
        let stranger = sign("tiny_echo").actor();
        let unlinked = stranger.public_key();
        host.start_actor(stranger).await.unwrap();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let dispatcher = store.dispatcher.read().unwrap();
            let dispatcher = dispatcher.as_ref().unwrap();
            let linked = dispatcher.dispatch(&actor, "Echo", b"from a thread").unwrap();
            let refused = dispatcher.dispatch(&unlinked, "Echo", b"").unwrap_err();
            answer.send((linked, refused.to_string())).unwrap();
        });
        let (linked, refused) = soon(answered).await.unwrap();
        assert_eq!(linked, b"from a thread");
        assert!(refused.contains("they are not linked"), "{refused}");
        thread.join().unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_14_a_provider_that_refuses_to_start_does_not_run() {
    struct Refuses;
    impl CapabilityProvider for Refuses {
        fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
            Err("the cellar is flooded".into())
        }
        fn handle_call(&self, _: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, BoxedError> {
            Ok(vec![])
        }
        fn stop(&self) {}
    }
    with_host(async |host| {
        let capability = NativeCapability::from_instance(Refuses, None, provider_claims(PROBE)).unwrap();
        for _ in 0..2 {
            let refusal = host.start_native_capability(capability.clone()).await.unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::ProviderFailed);
            assert!(refusal.to_string().contains("the cellar is flooded"), "{refusal}");
        }
        assert!(host.providers().await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn providers_are_distinguished_by_link_name_and_stopped_by_contract() {
    with_host(async |host| {
        let claims = provider_claims(PROBE);
        let one = NativeCapability::from_async(Probe::default(), None, claims.clone()).unwrap();
        let two = NativeCapability::from_async(Probe::default(), Some("two".into()), claims.clone()).unwrap();
        host.start_native_capability(one.clone()).await.unwrap();
        host.start_native_capability(two).await.unwrap();
        assert_eq!(kind(host.start_native_capability(one.clone()).await), ErrorKind::ProviderAlreadyRunning);
        let mut names: Vec<_> = host.providers().await.unwrap().into_iter().map(|running| running.link_name).collect();
        names.sort();
        assert_eq!(names, ["default", "two"]);

        let id = one.id();
        assert_eq!(kind(host.stop_provider(&id, "test:other", None).await), ErrorKind::InvalidArgument);
        assert_eq!(kind(host.stop_provider(&id, PROBE, Some("three".into())).await), ErrorKind::ProviderNotFound);
        host.stop_provider(&id, PROBE, Some("two".into())).await.unwrap();
        assert_eq!(kind(host.stop_provider(&id, PROBE, Some("two".into())).await), ErrorKind::ProviderNotFound);
        assert_eq!(host.providers().await.unwrap().len(), 1);
    })
    .await;
}

#[test]
fn claims_that_say_too_little_are_refused() {
    let mut wrong_key = provider_claims(PROBE);
    wrong_key.subject = nkeys::KeyPair::new_module().public_key();
    let mut no_metadata = provider_claims(PROBE);
    no_metadata.metadata = None;
    for claims in [wrong_key, no_metadata, provider_claims("")] {
        let refused = NativeCapability::from_async(Probe::default(), None, claims);
        assert_eq!(kind(refused), ErrorKind::InvalidArgument);
    }
}

/// A provider that keeps what a program would log of its last link.
#[derive(Clone, Default)]
struct Logging(Arc<Mutex<String>>);

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Logging {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        *self.0.lock().unwrap() = format!("{binding:?}");
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Ok(Vec::new())
    }

    async fn stop(&self) {}
}

#[actix_rt::test]
async fn a_link_that_a_provider_logs_tells_no_values() {
    with_host(async |host| {
        let logging = Logging::default();
        let capability = NativeCapability::from_async(logging.clone(), None, provider_claims(PROBE)).unwrap();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let actor = sign("host_call").capability(PROBE).actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        host.set_link(&key, PROBE, None, provider, values(&[("PASSWORD", "hunter2")])).await.unwrap();
        let logged = logging.0.lock().unwrap().clone();
        assert!(logged.contains("PASSWORD") && !logged.contains("hunter2"), "{logged}");
    })
    .await;
}
