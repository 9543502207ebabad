//! The functions that a guest can call: those of the waPC interface, and the meter's.
//!
//! Everything a guest passes is hostile: pointers and lengths are checked against its memory before anything is
//! allocated for them, and a breach ends the call with a fault.
//!
//! A function that returns nothing to the guest returns its price, which the guest pays afterwards. What would take too long
//! for one step is put off until the guest yields, at once, to pay for it. A call to another actor or a provider is no matter
//! of prices: the shard serves others before it is answered, always.
//!
//! # Layout
//! - `guest_memory`: reading and writing the guest's memory
//! - `portions`: the same where it is much

mod guest_memory;
mod portions;

use std::rc::Rc;
use std::task::Poll;

use futures_util::poll;
use send_wrapper::SendWrapper;
use wapc::wapc_functions as names;
use wasmcloud_core::call::GuestCall;
use wasmcloud_core::error::printable;
use wasmer::{
    AsyncFunctionEnvMut, Function, FunctionEnv, FunctionEnvMut, FunctionType, Imports, RuntimeError, Store, Type, Value,
};

use super::exchange::{Exchange, LargeCopy};
use super::fault::Fault;
use super::{interface, meter};
use guest_memory::GuestMemory;
pub(super) use portions::PORTION;
use portions::{carry_out, in_portions};

/// How much is read of a text that is only shown to people, in bytes.
const LONGEST_TEXT: u32 = 8 * 1024;

/// The longest link name, namespace or operation of a host call, in bytes. Contract ids, keys and aliases are much shorter.
const LONGEST_NAME: u32 = 4 * 1024;

/// The target of guests' lines on the log.
const TARGET: &str = "wasmcloud_host::guest";

/// The price of a line on the log, in units of fuel: to begin it, and for each of its bytes.
const LINE: i32 = 4096;
const LINE_BYTE: i32 = 16;

/// The price of work that is put off until the guest yields: no fuel covers it.
const PUT_OFF: i32 = meter::MORE_THAN_ANY_QUANTUM;

/// A guest's exchange. wasmer wants environments to be `Send`; the wrapper holds because a guest never leaves its
/// shard.
type Shared = SendWrapper<Rc<Exchange>>;

/// A price in units of fuel, or how the guest has broken its bounds.
type Priced = Result<i32, Fault>;

/// The type of an imported function, or nothing where the interface has no such function.
pub(super) fn signature(namespace: &str, name: &str) -> Option<FunctionType> {
    let function = interface::find(namespace, name)?;
    let results: &[Type] = if function.returns_value { &[Type::I32] } else { &[] };
    Some(FunctionType::new(vec![Type::I32; function.parameters as usize], results))
}

/// All functions that a rewritten module imports, over one guest's exchange.
pub(super) fn define(store: &mut Store, exchange: &Rc<Exchange>, actor: &str) -> Imports {
    let env = FunctionEnv::new(store, SendWrapper::new(exchange.clone()));
    let mut imports = Imports::new();
    let (yield_name, tick_name) = (meter::YIELD.1, meter::TICK.1);
    let log = console_log(store, &env, actor.to_owned());
    let yields = yields(store, &env, exchange.clone());
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

/// The price of copying so many bytes.
fn price_of(bytes: usize) -> i32 {
    i32::try_from(bytes >> 3).unwrap_or(PUT_OFF)
}

/// What a guest calls first when its fuel is used up: it gets more unless it has to yield.
fn tick(env: FunctionEnvMut<'_, Shared>, fuel: i32) -> i32 {
    let exchange = env.data();
    let has_to_yield = exchange.has_large_copy() || fuel < -meter::DEBT || exchange.is_slice_over();
    if has_to_yield {
        return 0;
    }
    let memory = exchange.memory.get();
    memory.map_or(meter::QUANTUM, |memory| meter::quantum(memory.view(&env).data_size()))
}

/// What a guest calls then: the shard serves others, then the guest goes on, unless there is a reason to end it. What it owes
/// is paid with waiting.
fn yields(store: &mut Store, env: &FunctionEnv<Shared>, exchange: Rc<Exchange>) -> Function {
    let yields = move |env: AsyncFunctionEnvMut<Shared>, values: &[Value]| {
        let exchange = exchange.clone();
        let mut fuel = values.first().and_then(Value::i32).unwrap_or(0);
        async move {
            if let Some(copy) = exchange.take_large_copy() {
                carry_out(copy, &env, &exchange).await?;
                return Ok(vec![Value::I32(meter::QUANTUM)]);
            }
            loop {
                exchange.rest().await?;
                fuel = fuel.saturating_add(meter::DEBT);
                if fuel >= 0 {
                    return Ok(vec![Value::I32(meter::QUANTUM)]);
                }
            }
        }
    };
    Function::new_with_env_async(store, env, FunctionType::new([Type::I32], [Type::I32]), yields)
}

fn guest_request(env: FunctionEnvMut<'_, Shared>, operation: u32, message: u32) -> Priced {
    let exchange = env.data();
    let memory = GuestMemory::of(exchange, &env)?;
    exchange.with_request(|operation_bytes, message_bytes| {
        memory.check_writing(operation, operation_bytes)?;
        memory.check_writing(message, message_bytes)?;
        let bytes = operation_bytes.len() + message_bytes.len();
        if bytes > PORTION {
            exchange.put_off(LargeCopy::Request { operation, message });
            return Ok(PUT_OFF);
        }
        memory.write(operation, operation_bytes)?;
        memory.write(message, message_bytes)?;
        Ok(price_of(bytes))
    })
}

fn guest_response(env: FunctionEnvMut<'_, Shared>, pointer: u32, length: u32) -> Priced {
    let exchange = env.data();
    let memory = GuestMemory::of(exchange, &env)?;
    memory.check_reading("message that it sends", pointer, length)?;
    if length as usize > PORTION {
        exchange.put_off(LargeCopy::Response { pointer, length });
        return Ok(PUT_OFF);
    }
    exchange.set_response(memory.read(pointer, length)?);
    Ok(price_of(length as usize))
}

fn guest_error(env: FunctionEnvMut<'_, Shared>, pointer: u32, length: u32) -> Priced {
    let exchange = env.data();
    let text = GuestMemory::of(exchange, &env)?.read_text_for_people(pointer, length)?;
    let price = price_of(text.len());
    exchange.set_error(text);
    Ok(price)
}

fn host_response_len(env: FunctionEnvMut<'_, Shared>) -> u32 {
    env.data().host_response_length() as u32
}

fn host_response(env: FunctionEnvMut<'_, Shared>, pointer: u32) -> Priced {
    let exchange = env.data();
    let memory = GuestMemory::of(exchange, &env)?;
    exchange.with_host_response(|bytes| {
        memory.check_writing(pointer, bytes)?;
        if bytes.len() > PORTION {
            exchange.put_off(LargeCopy::HostResponse { pointer });
            return Ok(PUT_OFF);
        }
        memory.write(pointer, bytes)?;
        Ok(price_of(bytes.len()))
    })
}

fn host_error_len(env: FunctionEnvMut<'_, Shared>) -> u32 {
    env.data().with_host_error(|bytes| bytes.len() as u32)
}

fn host_error(env: FunctionEnvMut<'_, Shared>, pointer: u32) -> Priced {
    let memory = GuestMemory::of(env.data(), &env)?;
    env.data().with_host_error(|bytes| {
        memory.write(pointer, bytes)?;
        Ok(price_of(bytes.len()))
    })
}

fn console_log(store: &mut Store, env: &FunctionEnv<Shared>, actor: String) -> Function {
    let log = move |env: FunctionEnvMut<'_, Shared>, pointer: u32, length: u32| -> Priced {
        let exchange = env.data();
        let line = GuestMemory::of(exchange, &env)?.read_text_for_people(pointer, length)?;
        exchange.note_line(&line);
        // What is not on the log costs next to nothing.
        if !log::log_enabled!(target: TARGET, log::Level::Info) {
            return Ok(price_of(line.len()));
        }
        log::info!(target: TARGET, "{actor}: {}", printable(&line));
        Ok(LINE + LINE_BYTE * line.len() as i32)
    };
    Function::new_typed_with_env(store, env, log)
}

fn host_call(store: &mut Store, env: &FunctionEnv<Shared>) -> Function {
    let parameters = vec![Type::I32; 8];
    let call = |env: AsyncFunctionEnvMut<Shared>, values: &[Value]| {
        let arguments: Vec<u32> = values.iter().filter_map(|value| value.i32().map(i32::cast_unsigned)).collect();
        async move {
            let exchange = Rc::clone(env.read().await.data());
            let call = read_call(&env, &exchange, &arguments).await?;
            Ok(vec![Value::I32(perform(call, &exchange).await?)])
        }
    };
    Function::new_with_env_async(store, env, FunctionType::new(parameters, [Type::I32]), call)
}

async fn read_call(
    env: &AsyncFunctionEnvMut<Shared>,
    exchange: &Exchange,
    arguments: &[u32],
) -> Result<GuestCall, Fault> {
    let &[binding, binding_len, namespace, namespace_len, operation, operation_len, pointer, length] = arguments else {
        return Err(Fault::Protocol(format!("__host_call with {} arguments", arguments.len())));
    };
    let mut call = {
        let env = env.read().await;
        let memory = GuestMemory::of(exchange, &env)?;
        memory.check_reading("message that it sends", pointer, length)?;
        let is_large = length as usize > PORTION;
        GuestCall {
            binding: memory.read_name("link name", binding, binding_len)?,
            namespace: memory.read_name("namespace", namespace, namespace_len)?,
            operation: memory.read_name("operation", operation, operation_len)?,
            payload: if is_large { Vec::with_capacity(length as usize) } else { memory.read(pointer, length)? },
        }
    };
    if call.payload.is_empty() {
        let message = &mut call.payload;
        in_portions(env, exchange, length as usize, |memory, range| memory.read_portion(pointer, message, range))
            .await?;
    }
    Ok(call)
}

/// Carries a guest's call out. What `__host_call` returns: 1 with a response to fetch, 0 with an error.
async fn perform(call: GuestCall, exchange: &Exchange) -> Result<i32, Fault> {
    let limit = exchange.message_bytes;
    let mut answering = (exchange.host)(exchange.context(), call);
    let answer = match poll!(&mut answering) {
        // A guest that is refused all the time must not keep the shard for that.
        Poll::Ready(answer) => {
            exchange.rest().await?;
            answer
        }
        Poll::Pending => {
            let answer = answering.await;
            exchange.begin_slice();
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
    exchange.set_host_answer(answer);
    Ok(code)
}

impl From<Fault> for RuntimeError {
    fn from(fault: Fault) -> RuntimeError {
        RuntimeError::user(Box::new(fault))
    }
}
