//! Measures the speedup of a second shard, for an actor with an instance and callers on each shard.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use nkeys::KeyPair;
use tokio::sync::{Mutex, Notify};
use wasmcloud_host::jwt::CapabilityProvider;
use wasmcloud_host::{
    ActorDispatcher, ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, Host, HostBuilder, NativeCapability,
    ProviderCallContext,
};

use crate::raw::REQUEST;
use crate::signing;
use crate::support::{Row, Target, is_real_run, median};

const CALLERS: usize = 64;
const CONTRACT: &str = "bench:callers";

/// Measures the throughput of 64 callers with two shards and two instances against one of each.
pub(crate) async fn rows() -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (31, 200) } else { (1, 2) };
    let one = Load::new(1, calls).await;
    let two = Load::new(2, calls).await;
    let mut alone = Vec::new();
    let mut ratios = Vec::new();
    let mut beside = Vec::new();
    for _ in 0..rounds {
        let with_one = one.run().await.as_secs_f64();
        let with_two = two.run().await.as_secs_f64();
        alone.push(with_one);
        ratios.push(with_one / with_two);
        let with_one = one.run_from_here().await.as_secs_f64();
        let with_two = two.run_from_here().await.as_secs_f64();
        beside.push(with_one / with_two);
    }
    one.host.stop().await;
    two.host.stop().await;
    let row = |what: &str, per_call, figure, target| Row { what: what.to_owned(), per_call, figure, unit: "x", target };
    let per_call = Duration::from_secs_f64(median(alone) / (calls as usize * CALLERS) as f64);
    let target = Some(Target::AtLeast(1.7));
    vec![
        row("64 callers on 1 shard with 1 instance: throughput", Some(per_call), 1.0, None),
        row("64 callers over 2 shards with 2 instances: throughput", None, median(ratios), target),
        row("64 callers on one of 2 shards, 2 instances: throughput", None, median(beside), None),
    ]
}

/// A host with callers on every shard.
struct Load {
    host: Host,
    actor: String,
    callers: Vec<Callers>,
    calls: u32,
}

/// The callers on one shard: a provider that calls its actor on request.
#[derive(Clone)]
struct Callers {
    dispatcher: Arc<Mutex<Option<(ActorDispatcher, String)>>>,
    go: Arc<Notify>,
    done: Arc<Notify>,
    count: usize,
    calls: u32,
}

impl Load {
    async fn new(shards: usize, calls: u32) -> Load {
        let host = HostBuilder::new().with_shards(shards).build();
        host.start().await.expect("the host starts");
        let actor = signing::sign("echo_large").capability(CONTRACT).actor();
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(shards)).await.expect("the actor starts");
        let mut callers = Vec::new();
        for number in 0..shards {
            callers.push(Callers::start(&host, &key, number, CALLERS / shards, calls).await);
        }
        Load { host, actor: key, callers, calls }
    }

    /// Runs the callers of every shard. Returns the time until all calls are answered.
    async fn run(&self) -> Duration {
        let begin = Instant::now();
        self.callers.iter().for_each(|callers| callers.go.notify_one());
        join_all(self.callers.iter().map(|callers| callers.done.notified())).await;
        begin.elapsed()
    }

    /// Runs all callers on the shard of this thread. Returns the time until all calls are answered.
    async fn run_from_here(&self) -> Duration {
        let begin = Instant::now();
        let call = async || {
            for _ in 0..self.calls {
                let answer = self.host.call_actor(&self.actor, REQUEST.operation, REQUEST.payload).await;
                answer.expect("the actor answers");
            }
        };
        join_all((0..CALLERS).map(|_| call())).await;
        begin.elapsed()
    }
}

impl Callers {
    /// Starts a provider that calls an actor. It is started from a thread that is not a shard, which selects the shards
    /// in rotation.
    async fn start(host: &Host, actor: &str, number: usize, count: usize, calls: u32) -> Callers {
        let callers = Callers { dispatcher: Arc::default(), go: Arc::default(), done: Arc::default(), count, calls };
        let metadata = CapabilityProvider { capid: CONTRACT.to_owned(), ..CapabilityProvider::default() };
        let claims = metadata.claims(KeyPair::new_account().public_key(), KeyPair::new_service().public_key());
        let link_name = Some(format!("shard-{number}"));
        let capability = NativeCapability::from_async(callers.clone(), link_name.clone(), claims);
        let capability = capability.expect("the claims are well-formed");
        let host = host.clone();
        let actor = actor.to_owned();
        let provider = capability.id();
        let start = async move {
            host.start_native_capability(capability).await.expect("the provider starts");
            let values = HashMap::new();
            host.set_link(&actor, CONTRACT, link_name, provider, values).await.expect("the link is established");
        };
        let elsewhere = std::thread::spawn(move || futures_executor::block_on(start));
        while !elsewhere.is_finished() {
            actix_rt::time::sleep(Duration::from_millis(1)).await;
        }
        elsewhere.join().expect("the provider is started");
        callers
    }

    async fn call_on_request(self) {
        let dispatcher = self.dispatcher.lock().await.clone().expect("it is bound");
        let actor = dispatcher.1;
        loop {
            self.go.notified().await;
            let call = async || {
                for _ in 0..self.calls {
                    let payload = REQUEST.payload.to_vec();
                    dispatcher.0.dispatch(&actor, REQUEST.operation, payload).await.expect("the actor answers");
                }
            };
            join_all((0..self.count).map(|_| call())).await;
            self.done.notify_one();
        }
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Callers {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        *self.dispatcher.lock().await = Some((binding.dispatcher, binding.actor));
        actix_rt::spawn(self.clone().call_on_request());
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Err("it only calls".into())
    }

    async fn stop(&self) {}
}
