//! Large numbers of actors that are linked to one provider: the shard does other work while all their links change.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join;
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, EventKind, Host, HostBuilder, LinkState, NativeCapability,
    ProviderCallContext, Result,
};

use crate::signing::sign;
use crate::support::{PROBE, host_call, provider_claims, soon, with_host_of};

/// How many actors there are.
const CROWD: usize = 1_500;

/// Of how many things a shard may do one after the other without a look at others. Its runtime takes up to 61 tasks.
const MOST_AT_ONCE: usize = 256;

/// A provider that counts what is done to its links.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn count(&self) -> Result<(), BoxedError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn so_far(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Counter {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        self.count()
    }

    async fn drain(&self, _: &str) -> Result<(), BoxedError> {
        self.count()
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        self.count()
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        assert_ne!(call.operation, "Panic", "deliberate panic");
        Ok(call.message)
    }

    async fn stop(&self) {}
}

/// Does something, and looks in between how far it has come. The answer is the most that came about between two looks.
async fn looked_at(counter: &Counter, work: impl Future<Output = ()>) -> usize {
    let (is_done, most) = (AtomicBool::new(false), Cell::new(0));
    let work = async {
        soon(work).await;
        is_done.store(true, Ordering::SeqCst);
    };
    let look = async {
        let mut before = counter.so_far();
        while !is_done.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
            let now = counter.so_far();
            most.set(most.get().max(now - before));
            before = now;
        }
    };
    join(work, look).await;
    most.get()
}

/// Starts a crowd that is linked to a provider before that one is started.
async fn crowd(host: &Host, provider: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..CROWD {
        let actor = sign("host_call").capability(PROBE).actor();
        let key = actor.public_key();
        host.set_link(&key, PROBE, None, provider.to_owned(), HashMap::new()).await.unwrap();
        host.start_actor(actor).await.unwrap();
        keys.push(key);
    }
    keys
}

#[actix_rt::test]
async fn a_shard_does_other_work_while_thousands_of_links_are_established_released_and_re_established() {
    // Everything on one shard, and the looks too.
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let counter = Counter::default();
        let capability = NativeCapability::from_async(counter.clone(), None, provider_claims(PROBE)).unwrap();
        let provider = capability.id();
        let keys = crowd(&host, &provider).await;
        let established = || {
            let states = keys.iter().map(|key| host.link_state(key, PROBE, None));
            states.filter(|state| *state == Some(LinkState::Established)).count()
        };

        let start = async { host.start_native_capability(capability.clone()).await.unwrap() };
        let most = looked_at(&counter, start).await;
        assert!(most <= MOST_AT_ONCE, "{most} links at once at the start");
        assert_eq!((counter.so_far(), established()), (CROWD, CROWD));

        let mut events = host.events();
        let restart = async {
            let panic = host_call("", PROBE, "Panic", b"");
            host.call_actor(&keys[0], "Any", &panic).await.unwrap();
            // Others wait for their links, and are answered.
            host.call_actor(&keys[CROWD - 1], "Any", &host_call("", PROBE, "Echo", b"x")).await.unwrap();
            loop {
                match events.next().await.unwrap().kind {
                    EventKind::Restarted { .. } => break,
                    EventKind::LinkRefused { reason, .. } => panic!("{reason}"),
                    _ => {}
                }
            }
        };
        let most = looked_at(&counter, restart).await;
        assert!(most <= MOST_AT_ONCE, "{most} links at once at the restart");
        assert_eq!((counter.so_far(), established()), (2 * CROWD, CROWD));

        let stop = async { host.stop_provider(&provider, PROBE, None).await.unwrap() };
        let most = looked_at(&counter, stop).await;
        assert!(most <= MOST_AT_ONCE, "{most} links at once at the stop");
        assert_eq!((counter.so_far(), established()), (3 * CROWD, 0));
    })
    .await;
}
