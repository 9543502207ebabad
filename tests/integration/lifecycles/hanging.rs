//! Links, starts, restarts and stops that hang delay nothing else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join;
use wasmcloud_host::{
    ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, CapabilityProvider, Dispatcher, ErrorKind, EventKind,
    HostBuilder, Limits, LinkState, NativeCapability, ProviderCallContext,
};

use super::{Courier, call, linked, told};
use crate::signing::{sign, sign_module};
use crate::support::{PROBE, kind, provider_claims, soon, until, values, with_host, with_host_of};

#[actix_rt::test]
async fn links_are_usable_again_one_by_one_after_a_restart() {
    with_host(async |host| {
        let courier = Courier::new();
        let capability = courier.capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let (quick, slow) = (linked(&host, &provider, &[]).await, linked(&host, &provider, &[("SLOW", "yes")]).await);
        courier.0.slow.store(true, Ordering::SeqCst);
        assert!(call(&host, &quick, "Panic").await.unwrap_err().contains("deliberate panic"));
        // The slow link hangs for as long as the test wants.
        assert_eq!(call(&host, &quick, "Echo").await.unwrap(), b"x");
        until(async || courier.count("hang") == 1).await;
        assert_eq!(host.link_state(&quick, PROBE, None), Some(LinkState::Established));
        assert_eq!(host.link_state(&slow, PROBE, None), Some(LinkState::Establishing));
        // A call over it waits for it, and for nothing else.
        let waits = call(&host, &slow, "Echo");
        let release = async {
            until(async || host.inventory().unwrap().actors.iter().any(|actor| actor.calls == 1)).await;
            assert_eq!(call(&host, &quick, "Echo").await.unwrap(), b"x");
            courier.release_links();
        };
        let (answered, ()) = join(waits, release).await;
        assert_eq!(answered.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn a_link_that_is_refused_after_a_restart_refuses_the_calls_that_waited_for_it() {
    struct Choosy(AtomicBool);

    #[async_trait(?Send)]
    impl AsyncCapabilityProvider for Choosy {
        async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
            tokio::task::yield_now().await;
            if self.0.swap(true, Ordering::SeqCst) { Err("not again".into()) } else { Ok(()) }
        }

        async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
            Ok(())
        }

        async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
            panic!("deliberate panic")
        }

        async fn stop(&self) {}
    }

    with_host(async |host| {
        let capability = NativeCapability::from_async(Choosy(AtomicBool::new(false)), None, provider_claims(PROBE));
        let capability = capability.unwrap();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let actor = linked(&host, &provider, &[]).await;
        assert!(call(&host, &actor, "Panic").await.unwrap_err().contains("deliberate panic"));
        assert!(call(&host, &actor, "Echo").await.unwrap_err().contains("not again"));
    })
    .await;
}

#[actix_rt::test]
async fn a_link_that_hangs_holds_up_neither_a_restart_nor_a_stop() {
    with_host(async |host| {
        let courier = Courier::new();
        let capability = courier.capability();
        let provider = capability.id();
        host.start_native_capability(capability.clone()).await.unwrap();
        let caller = linked(&host, &provider, &[]).await;
        let hanging = sign("host_call").capability(PROBE).actor();
        let hanging_key = hanging.public_key();
        host.start_actor(hanging).await.unwrap();
        let mut events = host.events();
        let hang = values(&[("HANG", "yes")]);
        let hangs = host.set_link(&hanging_key, PROBE, None, provider.clone(), hang);
        let restart = async {
            until(async || courier.count("hang") == 1).await;
            assert!(call(&host, &caller, "Panic").await.unwrap_err().contains("deliberate panic"));
            assert_eq!(call(&host, &caller, "Echo").await.unwrap(), b"x");
        };
        let (hung, ()) = soon(join(hangs, restart)).await;
        assert!(hung.unwrap_err().to_string().contains("was stopped before it had finished"));
        told(&mut events, |kind| matches!(kind, EventKind::Restarted { .. })).await;
        // Nobody has released it so far.
        assert_eq!(courier.0.taken.as_ref().unwrap().available_permits(), 0);
    })
    .await;
    let hasty = HostBuilder::new().with_stop_grace(Duration::from_millis(100));
    with_host_of(hasty, async |host| {
        let courier = Courier::new();
        let capability = courier.capability();
        let provider = capability.id();
        let actor = sign("host_call").capability(PROBE).actor();
        let key = actor.public_key();
        host.set_link(&key, PROBE, None, provider.clone(), values(&[("HANG", "yes")])).await.unwrap();
        host.start_actor(actor).await.unwrap();
        let stop = async {
            until(async || courier.count("hang") == 1).await;
            host.stop_provider(&provider, PROBE, None).await.unwrap();
            assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Pending));
        };
        let (started, ()) = soon(join(host.start_native_capability(capability), stop)).await;
        started.unwrap();
        assert!(host.providers().await.unwrap().is_empty());
        until(async || host.link_state(&key, PROBE, None) == Some(LinkState::Pending)).await;
    })
    .await;
}

#[actix_rt::test]
async fn of_links_that_wait_for_a_start_one_that_hangs_holds_up_no_other() {
    with_host(async |host| {
        let courier = Courier::new();
        let capability = courier.capability();
        let mut actors = Vec::new();
        for link in [&[][..], &[("HANG", "yes")], &[]] {
            let actor = sign("host_call").capability(PROBE).actor();
            let key = actor.public_key();
            host.set_link(&key, PROBE, None, capability.id(), values(link)).await.unwrap();
            host.start_actor(actor).await.unwrap();
            actors.push(key);
        }
        let start = host.start_native_capability(capability);
        let others = async {
            until(async || courier.count("bind") == 2).await;
            for key in [&actors[0], &actors[2]] {
                until(async || host.link_state(key, PROBE, None) == Some(LinkState::Established)).await;
                assert_eq!(call(&host, key, "Echo").await.unwrap(), b"x");
            }
            assert_eq!(host.link_state(&actors[1], PROBE, None), Some(LinkState::Establishing));
            courier.release_links();
        };
        soon(join(start, others)).await.0.unwrap();
        assert_eq!(call(&host, &actors[1], "Echo").await.unwrap(), b"x");
    })
    .await;
}

/// A provider of the blocking interface that is stuck in its start until it is released.
struct Stuck(Mutex<mpsc::Receiver<()>>, Arc<AtomicBool>);

impl CapabilityProvider for Stuck {
    fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        self.1.store(true, Ordering::SeqCst);
        // It ends with the test.
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }

    fn handle_call(&self, _: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, BoxedError> {
        Ok(Vec::new())
    }

    fn stop(&self) {}
}

#[actix_rt::test]
async fn a_host_that_is_stopped_gives_up_a_start_when_its_time_is_up() {
    let host = HostBuilder::new().with_shards(2).with_stop_grace(Duration::from_millis(200)).build();
    host.start().await.unwrap();
    let (release, released) = mpsc::channel();
    let starting = Arc::new(AtomicBool::new(false));
    let stuck = Stuck(Mutex::new(released), starting.clone());
    let stuck = NativeCapability::from_instance(stuck, None, provider_claims(PROBE)).unwrap();
    // A guest that computes in its start, for longer than the test would wait.
    let endless = wat::parse_str(
        r#"(module
            (func $start (loop $turn (br $turn)))
            (start $start)
            (memory (export "memory") 1)
            (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#,
    );
    let endless = sign_module("endless", endless.unwrap()).actor();
    let limits = Limits::new().call_deadline(Duration::from_secs(3600));
    let options = ActorOptions::new().limits(limits);
    let stop = async {
        until(async || starting.load(Ordering::SeqCst)).await;
        host.stop().await;
    };
    let starts = join(host.start_native_capability(stuck), host.start_actor_with(endless, options));
    let ((provider, actor), ()) = soon(join(starts, stop)).await;
    assert_eq!((kind(provider), kind(actor)), (ErrorKind::HostNotRunning, ErrorKind::HostNotRunning));
    assert_eq!(kind(host.inventory()), ErrorKind::HostNotRunning);
    drop(release);
}

#[actix_rt::test]
async fn a_host_that_is_stopped_gives_up_a_restart_and_a_stop_that_hang() {
    /// Hangs in its second start, or in its stop.
    struct Hanging {
        starts: AtomicUsize,
        in_stop: bool,
        hangs: Arc<AtomicBool>,
        end: Mutex<mpsc::Receiver<()>>,
    }
    impl Hanging {
        fn hang(&self) {
            self.hangs.store(true, Ordering::SeqCst);
            let _ = self.end.lock().unwrap().recv();
        }
    }
    impl CapabilityProvider for Hanging {
        fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
            if self.starts.fetch_add(1, Ordering::SeqCst) == 1 {
                self.hang();
            }
            Ok(())
        }
        fn handle_call(&self, _: &str, operation: &str, _: &[u8]) -> Result<Vec<u8>, BoxedError> {
            assert_ne!(operation, "Panic", "deliberate panic");
            Ok(Vec::new())
        }
        fn stop(&self) {
            if self.in_stop {
                self.hang();
            }
        }
    }
    for in_stop in [false, true] {
        let host = HostBuilder::new().with_shards(2).with_stop_grace(Duration::from_millis(200)).build();
        host.start().await.unwrap();
        let (release, end) = mpsc::channel();
        let hangs = Arc::new(AtomicBool::new(false));
        let hanging = Hanging { starts: 0.into(), in_stop, hangs: hangs.clone(), end: Mutex::new(end) };
        let capability = NativeCapability::from_instance(hanging, None, provider_claims(PROBE)).unwrap();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let actor = linked(&host, &provider, &[]).await;
        if !in_stop {
            assert!(call(&host, &actor, "Panic").await.unwrap_err().contains("deliberate panic"));
            until(async || hangs.load(Ordering::SeqCst)).await;
        }
        // Its own last moments are all that is waited for.
        soon(host.stop()).await;
        assert!(hangs.load(Ordering::SeqCst));
        drop(release);
    }
}
