//! Hosts on threads of their own, for programs without an actix `System`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::mpsc;

use async_trait::async_trait;
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, ErrorKind, Host, HostBuilder, HostManifest, NativeCapability,
    ProviderCallContext, WasmCloudEntity,
};

use crate::signing::sign;
use crate::support::{PROBE, provider_claims};

thread_local! {
    /// What the thread takes with it when it ends.
    static LAST: RefCell<Option<Farewell>> = const { RefCell::new(None) };
}

/// Tells of the end of a thread.
struct Farewell(mpsc::Sender<()>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A provider that leaves a farewell on its thread as it is bound, and may stop the host from there.
struct Witness {
    farewell: mpsc::Sender<()>,
    stops: Option<Host>,
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Witness {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        LAST.set(Some(Farewell(self.farewell.clone())));
        if let Some(host) = self.stops.clone() {
            actix_rt::spawn(async move { host.stop().await });
        }
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Ok(call.message)
    }

    async fn stop(&self) {}
}

/// A host on one thread of its own, with an actor that is linked to a witness; and the thread's farewell.
async fn started(stops: bool) -> (Host, String, mpsc::Receiver<()>) {
    let host = HostBuilder::new().with_shards(1).build();
    host.start_on_own_thread().await.unwrap();
    let (farewell, ended) = mpsc::channel();
    let witness = Witness { farewell, stops: stops.then(|| host.clone()) };
    let capability = NativeCapability::from_async(witness, None, provider_claims(PROBE)).unwrap();
    let actor = sign("tiny_echo").capability(PROBE).alias("echo").actor();
    let (key, provider) = (actor.public_key(), capability.id());
    host.start_native_capability(capability).await.unwrap();
    host.start_actor(actor).await.unwrap();
    let linked = host.set_link(&key, PROBE, None, provider, HashMap::new()).await;
    // A host that is stopped meanwhile may say so.
    assert!(stops || linked.is_ok(), "{linked:?}");
    (host, key, ended)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a program does with a host.
async fn use_it(host: &Host, key: &str) {
    assert_eq!(host.call_actor("echo", "Echo", b"hello").await.unwrap(), b"hello");
    host.scale_actor(key, 2).await.unwrap();
    assert_eq!(host.inventory().unwrap().actors.len(), 1);
    assert!(host.health().await.unwrap().len() >= 2);
    let manifest = HostManifest::from_yaml("capabilities: [{ image_ref: 'builtin:logging' }]").unwrap();
    host.apply_manifest(manifest).await.unwrap();
    assert_eq!(host.providers().await.unwrap().len(), 2);
    assert!(host.health_of(WasmCloudEntity::Actor(key.to_owned())).await.is_ok());
}

#[test]
fn under_tokio_a_host_runs_and_its_handle_goes_to_any_task() {
    let ended = runtime().block_on(async {
        let (host, key, ended) = started(false).await;
        use_it(&host, &key).await;
        let calls = (0..8).map(|number: u8| {
            let host = host.clone();
            tokio::spawn(async move { host.call_actor("echo", "Echo", &[number]).await })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap().unwrap(), [number as u8]);
        }
        host.stop().await;
        assert_eq!(host.actors().await.unwrap_err().kind(), ErrorKind::HostNotRunning);
        ended
    });
    ended.recv().unwrap();
}

#[test]
fn no_runtime_is_needed() {
    let (host, key, ended) = futures_executor::block_on(started(false));
    futures_executor::block_on(use_it(&host, &key));
    let elsewhere = host.clone();
    let called = std::thread::spawn(move || futures_executor::block_on(elsewhere.call_actor("echo", "Echo", b"far")));
    assert_eq!(called.join().unwrap().unwrap(), b"far");
    futures_executor::block_on(host.stop());
    ended.recv().unwrap();
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let (host, _, ended) = futures_executor::block_on(started(false));
    let another = host.clone();
    drop(host);
    assert_eq!(futures_executor::block_on(another.call_actor("echo", "Echo", b"still")).unwrap(), b"still");
    drop(another);
    ended.recv().unwrap();
}

#[test]
fn every_caller_of_stop_waits_for_the_same_shutdown() {
    let (host, _, ended) = futures_executor::block_on(started(false));
    let (first, second) = (host.clone(), host.clone());
    let stops = [first, second].map(|host| std::thread::spawn(move || futures_executor::block_on(host.stop())));
    for stop in stops {
        stop.join().unwrap();
    }
    ended.recv().unwrap();
}

#[test]
fn it_may_be_stopped_from_its_own_thread() {
    let (host, _, ended) = futures_executor::block_on(started(true));
    ended.recv().unwrap();
    assert_eq!(futures_executor::block_on(host.actors()).unwrap_err().kind(), ErrorKind::HostNotRunning);
}

#[test]
fn a_host_is_started_once_wherever_that_was() {
    let (host, _, ended) = futures_executor::block_on(started(false));
    for again in
        [futures_executor::block_on(host.start_on_own_thread()), actix_rt::System::new().block_on(host.start())]
    {
        assert_eq!(again.unwrap_err().kind(), ErrorKind::HostAlreadyStarted);
    }
    assert_eq!(futures_executor::block_on(host.call_actor("echo", "Echo", b"on")).unwrap(), b"on");
    futures_executor::block_on(host.stop());
    ended.recv().unwrap();
}
