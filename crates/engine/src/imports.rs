//! The functions that a guest can call: those of the waPC interface and of the meter.
//!
//! Everything that a guest passes is hostile: pointers and lengths are checked against its memory before anything is
//! allocated for them, and a violation ends the call with a fault.
//!
//! A function without a result for the guest returns its price, which the guest pays afterwards. A copy that takes too
//! long for one step is deferred: its price makes the guest yield at once, and the copy is made then. A call to another
//! actor or a provider has no price, because the shard always runs other tasks before it is answered.
//!
//! # Layout
//! - `guest_memory`: reads and writes the guest's memory
//! - `chunked_copy`: makes large copies in chunks

mod chunked_copy;
mod guest_memory;

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use futures_util::poll;
use send_wrapper::SendWrapper;
use wapc::wapc_functions as names;
use wasmcloud_core::call::GuestCall;
use wasmer::{
    AsyncFunctionEnvMut, Function, FunctionEnv, FunctionEnvMut, FunctionType, Imports, RuntimeError, Store, Type, Value,
};

use super::fault::Fault;
use super::guest_log::GuestLog;
use super::guest_state::{DeferredCopy, GuestState};
use super::{interface, meter};
pub(super) use chunked_copy::COPY_CHUNK;
use chunked_copy::{copy_in_chunks, make_deferred_copy};
use guest_memory::GuestMemory;

/// The length at which errors and log lines are cut. Unit: bytes.
const LONGEST_TEXT: u32 = 8 * 1024;

/// The longest link name, namespace or operation of a host call. Contract ids, keys and aliases are much shorter. Unit:
/// bytes.
const LONGEST_NAME: u32 = 4 * 1024;

/// The price of a log line: per line, and per byte. Unit: fuel.
const LINE_PRICE: i32 = 4096;
const LINE_BYTE_PRICE: i32 = 16;

/// The price of a deferred copy. It exceeds any fuel, so the guest yields.
const DEFERRED: i32 = meter::MORE_THAN_ANY_QUANTUM;

/// The environment of imported functions. wasmer requires it to be `Send`. The wrapper never panics, because a guest
/// stays on its shard.
type Env = SendWrapper<Rc<GuestState>>;

/// The price of a function in units of fuel, or the fault of the guest.
type PriceResult = Result<i32, Fault>;

/// Returns the type of a function of the interface, or `None` if the interface has no such function.
pub(super) fn signature(namespace: &str, name: &str) -> Option<FunctionType> {
    let function = interface::find(namespace, name)?;
    let results: &[Type] = if function.returns_value { &[Type::I32] } else { &[] };
    Some(FunctionType::new(vec![Type::I32; function.parameters as usize], results))
}

/// Defines all functions that a metered module can import, for one guest.
pub(super) fn define(store: &mut Store, state: &Rc<GuestState>, log: Arc<GuestLog>) -> Imports {
    let env = FunctionEnv::new(store, SendWrapper::new(state.clone()));
    let mut imports = Imports::new();
    let yield_name = meter::YIELD.1;
    let tick_name = meter::TICK.1;
    let log = console_log(store, &env, log);
    let yields = yields(store, &env, state.clone());
    for (name, function) in [
        (yield_name, yields),
        (tick_name, Function::new_typed_with_env(store, &env, tick)),
        (names::GUEST_REQUEST_FN, Function::new_typed_with_env(store, &env, guest_request)),
        (names::GUEST_RESPONSE_FN, Function::new_typed_with_env(store, &env, guest_response)),
        (names::GUEST_ERROR_FN, Function::new_typed_with_env(store, &env, guest_error)),
        (names::HOST_RESPONSE_FN, Function::new_typed_with_env(store, &env, host_response)),
        (names::HOST_ERROR_FN, Function::new_typed_with_env(store, &env, host_error)),
        (names::HOST_CONSOLE_LOG, log),
    ] {
        imports.define(meter::NAMESPACE, name, function);
    }
    let functions = [
        (names::HOST_RESPONSE_LEN_FN, Function::new_typed_with_env(store, &env, host_response_len)),
        (names::HOST_ERROR_LEN_FN, Function::new_typed_with_env(store, &env, host_error_len)),
        (names::HOST_CALL, host_call(store, &env)),
    ];
    for namespace in interface::NAMESPACES {
        for (name, function) in &functions {
            imports.define(namespace, name, function.clone());
        }
    }
    imports
}

/// Returns the price of copying this number of bytes.
fn price_of(bytes: usize) -> i32 {
    i32::try_from(bytes >> 3).unwrap_or(DEFERRED)
}

/// Returns more fuel to a guest that has used up its own, or 0 if the guest has to yield.
fn tick(env: FunctionEnvMut<'_, Env>, fuel: i32) -> i32 {
    let state = env.data();
    let has_to_yield = state.has_deferred_copy() || fuel < -meter::DEBT || state.is_slice_over();
    if has_to_yield {
        return 0;
    }
    let Some(memory) = state.memory.get() else { return meter::QUANTUM };
    let bytes = memory.view(&env).data_size();
    let quantum = meter::quantum(bytes);
    state.grant(quantum, fuel.saturating_neg());
    state.record_memory(bytes);
    quantum
}

/// Defines the function by which a guest yields. Other tasks of the shard run, then the guest continues, unless it has
/// to end. Fuel debt is paid by yielding repeatedly.
fn yields(store: &mut Store, env: &FunctionEnv<Env>, state: Rc<GuestState>) -> Function {
    let yields = move |env: AsyncFunctionEnvMut<Env>, values: &[Value]| {
        let state = state.clone();
        let mut fuel = values.first().and_then(Value::i32).unwrap_or(0);
        async move {
            if let Some(copy) = state.take_deferred_copy() {
                make_deferred_copy(copy, &env, &state).await?;
                state.grant(meter::QUANTUM, 0);
                return Ok(vec![Value::I32(meter::QUANTUM)]);
            }
            state.grant(meter::QUANTUM, fuel.saturating_neg());
            loop {
                state.yield_now().await?;
                fuel = fuel.saturating_add(meter::DEBT);
                if fuel >= 0 {
                    return Ok(vec![Value::I32(meter::QUANTUM)]);
                }
            }
        }
    };
    Function::new_with_env_async(store, env, FunctionType::new([Type::I32], [Type::I32]), yields)
}

fn guest_request(env: FunctionEnvMut<'_, Env>, operation: u32, payload: u32) -> PriceResult {
    let state = env.data();
    let memory = GuestMemory::of(state, &env)?;
    state.with_request(|request| {
        memory.check_write(operation, request.operation.as_bytes())?;
        memory.check_write(payload, &request.payload)?;
        let bytes = request.operation.len() + request.payload.len();
        if bytes > COPY_CHUNK {
            state.defer_copy(DeferredCopy::Request { operation, payload });
            return Ok(DEFERRED);
        }
        memory.write(operation, request.operation.as_bytes())?;
        memory.write(payload, &request.payload)?;
        Ok(price_of(bytes))
    })
}

fn guest_response(env: FunctionEnvMut<'_, Env>, pointer: u32, length: u32) -> PriceResult {
    let state = env.data();
    let memory = GuestMemory::of(state, &env)?;
    memory.check_payload("payload that it sends", pointer, length)?;
    if length as usize > COPY_CHUNK {
        state.defer_copy(DeferredCopy::Response { pointer, length });
        return Ok(DEFERRED);
    }
    state.set_response(memory.read(pointer, length)?);
    Ok(price_of(length as usize))
}

fn guest_error(env: FunctionEnvMut<'_, Env>, pointer: u32, length: u32) -> PriceResult {
    let state = env.data();
    let text = GuestMemory::of(state, &env)?.read_text(pointer, length)?;
    let price = price_of(text.len());
    state.set_error(text);
    Ok(price)
}

fn host_response_len(env: FunctionEnvMut<'_, Env>) -> u32 {
    env.data().host_response_length() as u32
}

fn host_response(env: FunctionEnvMut<'_, Env>, pointer: u32) -> PriceResult {
    let state = env.data();
    let memory = GuestMemory::of(state, &env)?;
    state.with_host_response(|bytes| {
        memory.check_write(pointer, bytes)?;
        if bytes.len() > COPY_CHUNK {
            state.defer_copy(DeferredCopy::HostResponse { pointer });
            return Ok(DEFERRED);
        }
        memory.write(pointer, bytes)?;
        Ok(price_of(bytes.len()))
    })
}

fn host_error_len(env: FunctionEnvMut<'_, Env>) -> u32 {
    env.data().with_host_error(|bytes| bytes.len() as u32)
}

fn host_error(env: FunctionEnvMut<'_, Env>, pointer: u32) -> PriceResult {
    let memory = GuestMemory::of(env.data(), &env)?;
    env.data().with_host_error(|bytes| {
        memory.write(pointer, bytes)?;
        Ok(price_of(bytes.len()))
    })
}

fn console_log(store: &mut Store, env: &FunctionEnv<Env>, log: Arc<GuestLog>) -> Function {
    let write = move |env: FunctionEnvMut<'_, Env>, pointer: u32, length: u32| -> PriceResult {
        let state = env.data();
        let line = GuestMemory::of(state, &env)?.read_text(pointer, length)?;
        state.set_last_line(&line);
        // A line that is not logged costs no more than its copy.
        if !GuestLog::is_enabled() || !log.write(&state.context(), &line, length as usize) {
            return Ok(price_of(line.len()));
        }
        Ok(LINE_PRICE + LINE_BYTE_PRICE * line.len() as i32)
    };
    Function::new_typed_with_env(store, env, write)
}

fn host_call(store: &mut Store, env: &FunctionEnv<Env>) -> Function {
    let parameters = vec![Type::I32; 8];
    let call = |env: AsyncFunctionEnvMut<Env>, values: &[Value]| {
        let arguments: Vec<u32> = values.iter().filter_map(|value| value.i32().map(i32::cast_unsigned)).collect();
        async move {
            let state = Rc::clone(env.read().await.data());
            let call = read_call(&env, &state, &arguments).await?;
            Ok(vec![Value::I32(perform_call(call, &state).await?)])
        }
    };
    Function::new_with_env_async(store, env, FunctionType::new(parameters, [Type::I32]), call)
}

async fn read_call(env: &AsyncFunctionEnvMut<Env>, state: &GuestState, arguments: &[u32]) -> Result<GuestCall, Fault> {
    let &[binding, binding_len, namespace, namespace_len, operation, operation_len, pointer, length] = arguments else {
        return Err(Fault::Protocol(format!("__host_call with {} arguments", arguments.len())));
    };
    let mut call = {
        let env = env.read().await;
        let memory = GuestMemory::of(state, &env)?;
        memory.check_payload("payload that it sends", pointer, length)?;
        let is_large = length as usize > COPY_CHUNK;
        GuestCall {
            binding: memory.read_name("link name", binding, binding_len)?,
            namespace: memory.read_name("namespace", namespace, namespace_len)?,
            operation: memory.read_name("operation", operation, operation_len)?,
            payload: if is_large { Vec::with_capacity(length as usize) } else { memory.read(pointer, length)? },
        }
    };
    if call.payload.is_empty() {
        let payload = &mut call.payload;
        copy_in_chunks(env, state, length as usize, |memory, range| memory.read_chunk(pointer, payload, range)).await?;
    }
    Ok(call)
}

/// Performs a guest's call. Returns the result of `__host_call`: 1 if a response can be fetched, 0 if an error can.
async fn perform_call(call: GuestCall, state: &GuestState) -> Result<i32, Fault> {
    let limit = state.max_payload_bytes;
    let mut answering = (state.call_handler)(state.context(), call);
    let answer = match poll!(&mut answering) {
        // A guest whose calls are refused at once must not keep the shard by repeating them.
        Poll::Ready(answer) => {
            state.yield_now().await?;
            answer
        }
        Poll::Pending => {
            let answer = answering.await;
            state.begin_slice();
            answer
        }
    };
    let answer = match answer {
        Ok(response) if response.len() > limit => {
            Err(format!("the answer has {} bytes, and {limit} are allowed", response.len()))
        }
        answer => answer.map_err(|error| error.to_string()),
    };
    let code = i32::from(answer.is_ok());
    state.set_host_call_result(answer);
    Ok(code)
}

impl From<Fault> for RuntimeError {
    fn from(fault: Fault) -> RuntimeError {
        RuntimeError::user(Box::new(fault))
    }
}
