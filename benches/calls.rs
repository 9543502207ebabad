//! What a call through the host costs, against the raw synchronous call of the same guest on wasmer.
//!
//! `cargo bench --bench calls` prints the table and writes `target/figures/calls.json`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use support::{Row, Series, is_real_run, report, rows, time};
use wasmcloud_host::{Host, HostBuilder};
use wasmer::{Function, FunctionEnv, FunctionEnvMut, Imports, Instance, Memory, Module, Store, TypedFunction};

const CALLERS: u32 = 64;

/// What the echo guest is asked.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    operation: &'static str,
    message: &'static [u8],
}

/// The main job of an actor: an HTTP request in msgpack, answered with a description of it in JSON.
const REQUEST: Job = Job {
    name: "HandleRequest",
    operation: "HandleRequest",
    message: b"\x85\xa6method\xa3GET\xa4path\xa5/demo\xabqueryString\xactest=kthxbye\xa6header\x83\xa6accept\xa3*/*\
        \xa4host\xaelocalhost:8080\xaauser-agent\xabcurl/7.88.1\xa4body\xc4\x00",
};

/// The least that an actor can do, which shows what the host itself costs.
const ECHO: Job = Job { name: "Echo of 64 bytes", operation: "Echo", message: &[7; 64] };

#[actix_rt::main]
async fn main() {
    let host = HostBuilder::new().with_shards(1).build();
    host.start().await.expect("the host starts");
    let actor = signing::sign("echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.expect("the actor starts");

    let mut table = Vec::new();
    for job in [REQUEST, ECHO] {
        table.extend(measure(&host, &key, job).await);
    }
    host.stop().await;
    report("calls", "Calls of echo.wasm, each against the raw call of the same job", &table)
        .expect("the figures can be written");
}

async fn measure(host: &Host, key: &str, job: Job) -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (31, 10_000) } else { (1, 64) };
    let mut raw = Raw::new(&signing::guest("echo"), job);
    let series = |what: &str, target| Series::new(format!("{}: {what}", job.name), target);
    let mut reference = series("raw synchronous call on wasmer", None);
    let mut same_shard = series("call_actor, same shard", Some(2.0));
    let mut concurrent = series("call_actor, same shard, 64 concurrent", None);
    let mut other_thread = series("call_actor, another thread", None);
    let mut other_thread_concurrent = series("call_actor, another thread, 64 concurrent", None);
    let each = calls / CALLERS;
    // A call from another thread wakes two threads in turn, so fewer of them take as long.
    let few = (calls / 10).max(1);
    for _ in 0..rounds {
        reference.add(time(calls, || raw.call()), calls);
        same_shard.add(sequential(host, key, job, calls).await, calls);
        concurrent.add(at_once(host, key, job, each).await, each * CALLERS);
        other_thread
            .add(elsewhere(host, key, async move |host, key| sequential(&host, &key, job, few).await).await, few);
        let elapsed = elsewhere(host, key, async move |host, key| at_once(&host, &key, job, each).await).await;
        other_thread_concurrent.add(elapsed, each * CALLERS);
    }
    rows(&reference, &[&same_shard, &concurrent, &other_thread, &other_thread_concurrent])
}

async fn sequential(host: &Host, key: &str, job: Job, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        let answer = host.call_actor(key, job.operation, job.message).await.expect("the actor answers");
        assert!(answer.len() >= 64);
    }
    begin.elapsed()
}

async fn at_once(host: &Host, key: &str, job: Job, calls_each: u32) -> Duration {
    let begin = Instant::now();
    join_all((0..CALLERS).map(|_| sequential(host, key, job, calls_each))).await;
    begin.elapsed()
}

/// Runs a measurement on a thread that is no shard.
async fn elsewhere(
    host: &Host,
    key: &str,
    measure: impl AsyncFnOnce(Host, String) -> Duration + Send + 'static,
) -> Duration {
    let (host, key) = (host.clone(), key.to_owned());
    let (done, measured) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _ = done.send(runtime.block_on(measure(host, key)));
    });
    measured.await.expect("the measuring thread answers")
}

/// The same guest, called as directly as wasmer allows, with the least that waPC asks of a host.
struct Raw {
    store: Store,
    env: FunctionEnv<Exchange>,
    guest_call: TypedFunction<(i32, i32), i32>,
    job: Job,
}

struct Exchange {
    job: Job,
    memory: Option<Memory>,
    response: Vec<u8>,
}

impl Raw {
    fn new(bytes: &[u8], job: Job) -> Raw {
        let engine: wasmer::Engine = wasmer::sys::EngineBuilder::new(wasmer::sys::Cranelift::default()).engine().into();
        let mut store = Store::new(engine);
        let module = Module::new(&store, bytes).expect("the guest compiles");
        let env = FunctionEnv::new(&mut store, Exchange { job, memory: None, response: Vec::new() });
        let mut imports = Imports::new();
        let mut define = |name: &str, function: Function| imports.define("wapc", name, function);
        define("__guest_request", Function::new_typed_with_env(&mut store, &env, guest_request));
        define("__guest_response", Function::new_typed_with_env(&mut store, &env, guest_response));
        define("__guest_error", Function::new_typed(&mut store, guest_error));
        let instance = Instance::new(&mut store, &module, &imports).expect("the guest is instantiated");
        env.as_mut(&mut store).memory = Some(instance.exports.get_memory("memory").expect("a memory").clone());
        let init: TypedFunction<(), ()> = instance.exports.get_typed_function(&store, "wapc_init").expect("an init");
        init.call(&mut store).expect("the guest starts");
        let guest_call = instance.exports.get_typed_function(&store, "__guest_call").expect("a guest call");
        Raw { store, env, guest_call, job }
    }

    fn call(&mut self) {
        let (operation, message) = (self.job.operation.len() as i32, self.job.message.len() as i32);
        let code = self.guest_call.call(&mut self.store, operation, message).expect("the guest answers");
        assert_eq!(code, 1);
        let response = std::mem::take(&mut self.env.as_mut(&mut self.store).response);
        assert!(response.len() >= 64);
    }
}

fn guest_request(env: FunctionEnvMut<'_, Exchange>, operation: u32, message: u32) {
    let memory = env.data().memory.as_ref().expect("the memory is set").view(&env);
    memory.write(u64::from(operation), env.data().job.operation.as_bytes()).expect("in range");
    memory.write(u64::from(message), env.data().job.message).expect("in range");
}

fn guest_response(mut env: FunctionEnvMut<'_, Exchange>, pointer: u32, length: u32) {
    let memory = env.data().memory.as_ref().expect("the memory is set").view(&env);
    let mut response = vec![0; length as usize];
    memory.read(u64::from(pointer), &mut response).expect("in range");
    env.data_mut().response = response;
}

fn guest_error(_: i32, _: i32) {
    unreachable!("an echo does not fail");
}
