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
use support::{Series, is_real_run, report, rows, time};
use wasmcloud_host::{Host, HostBuilder};
use wasmer::{Function, FunctionEnv, FunctionEnvMut, Imports, Instance, Memory, Module, Store, TypedFunction};

const OPERATION: &str = "Echo";
const MESSAGE: &[u8] = &[7; 64];
const CALLERS: u32 = 64;

#[actix_rt::main]
async fn main() {
    let (rounds, calls) = if is_real_run() { (31, 20_000) } else { (1, 10) };

    let host = HostBuilder::new().with_shards(1).build();
    host.start().await.expect("the host starts");
    let actor = signing::sign("echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.expect("the actor starts");
    let mut raw = Raw::new(&signing::guest("echo"));

    let mut reference = Series::new("raw synchronous guest call on wasmer", None);
    let mut same_shard = Series::new("Host::call_actor, same shard, sequential", Some(2.0));
    let mut concurrent = Series::new("Host::call_actor, same shard, 64 concurrent", None);
    let mut other_thread = Series::new("Host::call_actor, from another thread, sequential", None);
    let mut other_thread_concurrent = Series::new("Host::call_actor, from another thread, 64 concurrent", None);
    for _ in 0..rounds {
        reference.add(time(calls, || raw.call()), calls);
        same_shard.add(sequential(&host, &key, calls).await, calls);
        concurrent.add(at_once(&host, &key, calls / CALLERS).await, calls / CALLERS * CALLERS);
        // Each call wakes two threads in turn, so fewer of them take as long.
        let few = (calls / 10).max(1);
        other_thread.add(elsewhere(&host, &key, async move |host, key| sequential(&host, &key, few).await).await, few);
        let each = calls / CALLERS;
        let time = elsewhere(&host, &key, async move |host, key| at_once(&host, &key, each).await).await;
        other_thread_concurrent.add(time, each * CALLERS);
    }
    host.stop().await;

    let title = format!("Echo of {} bytes by echo.wasm, median of {rounds} rounds", MESSAGE.len());
    let table = rows(&reference, &[&same_shard, &concurrent, &other_thread, &other_thread_concurrent]);
    report("calls", &title, &table).expect("the figures can be written");
}

async fn sequential(host: &Host, key: &str, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        call(host, key).await;
    }
    begin.elapsed()
}

async fn at_once(host: &Host, key: &str, calls_each: u32) -> Duration {
    let begin = Instant::now();
    join_all((0..CALLERS).map(|_| sequential(host, key, calls_each))).await;
    begin.elapsed()
}

async fn call(host: &Host, key: &str) {
    let answer = host.call_actor(key, OPERATION, MESSAGE).await.expect("the actor answers");
    assert_eq!(answer.len(), MESSAGE.len());
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
}

#[derive(Default)]
struct Exchange {
    memory: Option<Memory>,
    response: Vec<u8>,
}

impl Raw {
    fn new(bytes: &[u8]) -> Raw {
        let engine: wasmer::Engine = wasmer::sys::EngineBuilder::new(wasmer::sys::Cranelift::default()).engine().into();
        let mut store = Store::new(engine);
        let module = Module::new(&store, bytes).expect("the guest compiles");
        let env = FunctionEnv::new(&mut store, Exchange::default());
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
        Raw { store, env, guest_call }
    }

    fn call(&mut self) {
        let (operation, message) = (OPERATION.len() as i32, MESSAGE.len() as i32);
        let code = self.guest_call.call(&mut self.store, operation, message).expect("the guest answers");
        assert_eq!(code, 1);
        let response = std::mem::take(&mut self.env.as_mut(&mut self.store).response);
        assert_eq!(response.len(), MESSAGE.len());
    }
}

fn guest_request(env: FunctionEnvMut<'_, Exchange>, operation: u32, message: u32) {
    let memory = env.data().memory.as_ref().expect("the memory is set").view(&env);
    memory.write(u64::from(operation), OPERATION.as_bytes()).expect("in range");
    memory.write(u64::from(message), MESSAGE).expect("in range");
}

fn guest_response(mut env: FunctionEnvMut<'_, Exchange>, pointer: u32, length: u32) {
    let range = u64::from(pointer)..u64::from(pointer) + u64::from(length);
    let memory = env.data().memory.as_ref().expect("the memory is set").view(&env);
    let response = memory.copy_range_to_vec(range).expect("in range");
    env.data_mut().response = response;
}

fn guest_error(_: i32, _: i32) {
    unreachable!("an echo does not fail");
}
