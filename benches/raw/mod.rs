//! The reference of the benchmarks: a guest that is called as directly as wasmer allows.

use wasmer::{Function, FunctionEnv, FunctionEnvMut, Imports, Instance, Memory, Module, Store, TypedFunction};

/// A request to a guest.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) payload: &'static [u8],
}

/// The typical job of an actor: an HTTP request in msgpack, answered with a description of it in JSON.
pub(crate) const REQUEST: Job = Job {
    name: "HandleRequest",
    operation: "HandleRequest",
    payload: b"\x85\xa6method\xa3GET\xa4path\xa5/demo\xabqueryString\xactest=kthxbye\xa6header\x83\xa6accept\xa3*/*\
        \xa4host\xaelocalhost:8080\xaauser-agent\xabcurl/7.88.1\xa4body\xc4\x00",
};

/// The smallest job of an actor, which shows the cost of the host itself.
pub(crate) const ECHO: Job = Job { name: "Echo of 64 bytes", operation: "Echo", payload: &[7; 64] };

/// A guest with a minimal waPC host, called as directly as wasmer allows.
pub(crate) struct Raw {
    store: Store,
    env: FunctionEnv<GuestState>,
    guest_call: TypedFunction<(i32, i32), i32>,
    job: Job,
}

struct GuestState {
    job: Job,
    memory: Option<Memory>,
    response: Vec<u8>,
    /// The answer to every call into the host.
    host_answer: Vec<u8>,
}

type Env<'a> = FunctionEnvMut<'a, GuestState>;

/// The fuel that a guest gets at once.
const QUANTUM: i32 = 16_384;

/// About the price of a short payload.
const PRICE: i32 = 8;

impl Raw {
    pub(crate) fn new(bytes: &[u8], job: Job) -> Raw {
        Raw::with_host_answer(bytes, job, vec![7; 64])
    }

    /// Returns a guest whose host answers every call with these bytes.
    pub(crate) fn with_host_answer(bytes: &[u8], job: Job, host_answer: Vec<u8>) -> Raw {
        let engine: wasmer::Engine = wasmer::sys::EngineBuilder::new(wasmer::sys::Cranelift::default()).engine().into();
        let mut store = Store::new(engine);
        let module = Module::new(&store, bytes).expect("the guest compiles");
        let env = FunctionEnv::new(&mut store, GuestState { job, memory: None, response: Vec::new(), host_answer });
        let mut imports = Imports::new();
        let mut define = |name: &str, function: Function| imports.define("wapc", name, function);
        define("__guest_request", Function::new_typed_with_env(&mut store, &env, guest_request));
        define("__guest_response", Function::new_typed_with_env(&mut store, &env, guest_response));
        define("__guest_error", Function::new_typed(&mut store, guest_error));
        define("__host_call", Function::new_typed(&mut store, host_call));
        define("__host_response_len", Function::new_typed_with_env(&mut store, &env, host_response_len));
        define("__host_response", Function::new_typed_with_env(&mut store, &env, host_response));
        define("__host_error_len", Function::new_typed(&mut store, || 0));
        define("__host_error", Function::new_typed(&mut store, |_: i32| ()));
        define("__console_log", Function::new_typed(&mut store, |_: i32, _: i32| ()));
        // For metered modules: `yield` never suspends, and functions without a result return their price.
        let mut define = |name: &str, function: Function| imports.define("wasmcloud:meter", name, function);
        define("yield", Function::new_typed(&mut store, |_: i32| QUANTUM));
        define("tick", Function::new_typed(&mut store, |_: i32| QUANTUM));
        define(
            "__guest_request",
            Function::new_typed_with_env(&mut store, &env, |env: Env<'_>, operation, payload| {
                guest_request(env, operation, payload);
                PRICE
            }),
        );
        define(
            "__guest_response",
            Function::new_typed_with_env(&mut store, &env, |env: Env<'_>, pointer, length| {
                guest_response(env, pointer, length);
                PRICE
            }),
        );
        define(
            "__host_response",
            Function::new_typed_with_env(&mut store, &env, |env: Env<'_>, pointer| {
                host_response(env, pointer);
                PRICE
            }),
        );
        define("__guest_error", Function::new_typed(&mut store, |_: i32, _: i32| PRICE));
        define("__host_error", Function::new_typed(&mut store, |_: i32| PRICE));
        define("__console_log", Function::new_typed(&mut store, |_: i32, _: i32| PRICE));
        let instance = Instance::new(&mut store, &module, &imports).expect("the guest is instantiated");
        env.as_mut(&mut store).memory = Some(instance.exports.get_memory("memory").expect("a memory").clone());
        if let Ok(init) = instance.exports.get_typed_function::<(), ()>(&store, "wapc_init") {
            init.call(&mut store).expect("the guest starts");
        }
        let guest_call = instance.exports.get_typed_function(&store, "__guest_call").expect("a guest call");
        Raw { store, env, guest_call, job }
    }

    pub(crate) fn call(&mut self) {
        let operation = self.job.operation.len() as i32;
        let payload = self.job.payload.len() as i32;
        let code = self.guest_call.call(&mut self.store, operation, payload).expect("the guest answers");
        assert_eq!(code, 1);
        let response = std::mem::take(&mut self.env.as_mut(&mut self.store).response);
        assert!(!response.is_empty());
    }
}

fn guest_request(env: FunctionEnvMut<'_, GuestState>, operation: u32, payload: u32) {
    let memory = env.data().memory.as_ref().expect("the memory is set").view(&env);
    memory.write(u64::from(operation), env.data().job.operation.as_bytes()).expect("in range");
    memory.write(u64::from(payload), env.data().job.payload).expect("in range");
}

fn guest_response(mut env: FunctionEnvMut<'_, GuestState>, pointer: u32, length: u32) {
    let memory = env.data().memory.as_ref().expect("the memory is set").view(&env);
    let mut response = vec![0; length as usize];
    memory.read(u64::from(pointer), &mut response).expect("in range");
    env.data_mut().response = response;
}

fn guest_error(_: i32, _: i32) {
    unreachable!("an echo does not fail");
}

#[allow(clippy::too_many_arguments, reason = "waPC has it so")]
fn host_call(_: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32) -> i32 {
    1
}

fn host_response_len(env: FunctionEnvMut<'_, GuestState>) -> i32 {
    env.data().host_answer.len() as i32
}

fn host_response(env: FunctionEnvMut<'_, GuestState>, pointer: u32) {
    let memory = env.data().memory.as_ref().expect("the memory is set").view(&env);
    memory.write(u64::from(pointer), &env.data().host_answer).expect("in range");
}
