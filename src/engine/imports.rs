//! The functions that a guest can call: those of the waPC interface, and the meter's.
//!
//! Everything a guest passes is hostile: pointers and lengths are checked against its memory before anything is
//! allocated for them, and a breach ends the call with a fault.

use std::rc::Rc;

use send_wrapper::SendWrapper;
use wapc::wapc_functions as names;
use wasmer::{
    AsStoreRef, AsyncFunctionEnvMut, Function, FunctionEnv, FunctionEnvMut, FunctionType, Imports, Memory,
    RuntimeError, Store, Type, Value,
};

use super::exchange::Exchange;
use super::fault::Fault;
use super::meter;
use crate::call::ActorCall;
use crate::error::printable;

/// The module names under which guests import the interface: waPC's own, and that of wasmCloud's later actors.
const NAMESPACES: [&str; 2] = [wapc::HOST_NAMESPACE, "wasmbus"];

/// How much is read of a text that is only shown to people.
const LONGEST_TEXT: u32 = 8 * 1024;

/// A guest's exchange. wasmer wants environments to be `Send`; the wrapper holds because a guest never leaves its
/// shard.
type Shared = SendWrapper<Rc<Exchange>>;

/// The type of an imported function, or nothing where the interface has no such function.
pub(super) fn signature(namespace: &str, name: &str) -> Option<FunctionType> {
    if !NAMESPACES.contains(&namespace) {
        return None;
    }
    let (parameters, returns_value) = match name {
        names::GUEST_REQUEST_FN | names::GUEST_RESPONSE_FN | names::GUEST_ERROR_FN | names::HOST_CONSOLE_LOG => {
            (2, false)
        }
        names::HOST_RESPONSE_FN | names::HOST_ERROR_FN => (1, false),
        names::HOST_RESPONSE_LEN_FN | names::HOST_ERROR_LEN_FN => (0, true),
        names::HOST_CALL => (8, true),
        _ => return None,
    };
    let results: &[Type] = if returns_value { &[Type::I32] } else { &[] };
    Some(FunctionType::new(vec![Type::I32; parameters], results))
}

/// All functions of the interface, under every module name, over one guest's exchange.
pub(super) fn define(store: &mut Store, exchange: &Rc<Exchange>, actor: &str) -> Imports {
    let env = FunctionEnv::new(store, SendWrapper::new(exchange.clone()));
    let log = console_log(store, &env, actor.to_owned());
    let call = host_call(store, &env);
    let functions = [
        (names::GUEST_REQUEST_FN, Function::new_typed_with_env(store, &env, guest_request)),
        (names::GUEST_RESPONSE_FN, Function::new_typed_with_env(store, &env, guest_response)),
        (names::GUEST_ERROR_FN, Function::new_typed_with_env(store, &env, guest_error)),
        (names::HOST_RESPONSE_LEN_FN, Function::new_typed_with_env(store, &env, host_response_len)),
        (names::HOST_RESPONSE_FN, Function::new_typed_with_env(store, &env, host_response)),
        (names::HOST_ERROR_LEN_FN, Function::new_typed_with_env(store, &env, host_error_len)),
        (names::HOST_ERROR_FN, Function::new_typed_with_env(store, &env, host_error)),
        (names::HOST_CONSOLE_LOG, log),
        (names::HOST_CALL, call),
    ];
    let mut imports = Imports::new();
    imports.define(meter::YIELD.0, meter::YIELD.1, yields(store, exchange.clone()));
    for namespace in NAMESPACES {
        for (name, function) in &functions {
            imports.define(namespace, name, function.clone());
        }
    }
    imports
}

/// What a guest calls when its fuel is used up: the shard serves others, then the guest goes on, unless there is a reason
/// to end it.
fn yields(store: &mut Store, exchange: Rc<Exchange>) -> Function {
    Function::new_async(store, FunctionType::new([Type::I32], [Type::I32]), move |values: &[Value]| {
        let exchange = exchange.clone();
        let mut fuel = values.first().and_then(Value::i32).unwrap_or(0);
        async move {
            loop {
                tokio::task::yield_now().await;
                if let Some(reason) = exchange.reason_to_end() {
                    return Err(reason.into());
                }
                fuel = fuel.saturating_add(meter::QUANTUM);
                if fuel > 0 {
                    return Ok(vec![Value::I32(fuel)]);
                }
            }
        }
    })
}

fn guest_request(env: FunctionEnvMut<'_, Shared>, operation: u32, message: u32) -> Result<(), Fault> {
    let memory = GuestMemory::of(env.data(), &env)?;
    env.data().fetch_request(|operation_bytes, message_bytes| {
        memory.write(operation, operation_bytes)?;
        memory.write(message, message_bytes)
    })
}

fn guest_response(env: FunctionEnvMut<'_, Shared>, pointer: u32, length: u32) -> Result<(), Fault> {
    let response = GuestMemory::of(env.data(), &env)?.read(pointer, length)?;
    env.data().set_response(response);
    Ok(())
}

fn guest_error(env: FunctionEnvMut<'_, Shared>, pointer: u32, length: u32) -> Result<(), Fault> {
    let exchange = env.data();
    let text = GuestMemory::of(exchange, &env)?.read_for_people(pointer, length)?;
    exchange.set_error(printable(&text));
    Ok(())
}

fn host_response_len(env: FunctionEnvMut<'_, Shared>) -> u32 {
    env.data().host_response_length() as u32
}

fn host_response(env: FunctionEnvMut<'_, Shared>, pointer: u32) -> Result<(), Fault> {
    let memory = GuestMemory::of(env.data(), &env)?;
    env.data().fetch_host_response(|bytes| memory.write(pointer, bytes))
}

fn host_error_len(env: FunctionEnvMut<'_, Shared>) -> u32 {
    env.data().with_host_error(|bytes| bytes.len() as u32)
}

fn host_error(env: FunctionEnvMut<'_, Shared>, pointer: u32) -> Result<(), Fault> {
    let memory = GuestMemory::of(env.data(), &env)?;
    env.data().with_host_error(|bytes| memory.write(pointer, bytes))
}

fn console_log(store: &mut Store, env: &FunctionEnv<Shared>, actor: String) -> Function {
    let log = move |env: FunctionEnvMut<'_, Shared>, pointer: u32, length: u32| -> Result<(), Fault> {
        let line = GuestMemory::of(env.data(), &env)?.read_for_people(pointer, length)?;
        env.data().note_line(&line);
        let line = printable(&line);
        log::info!(target: "wasmcloud_host::guest", "{actor}: {line}");
        Ok(())
    };
    Function::new_typed_with_env(store, env, log)
}

fn host_call(store: &mut Store, env: &FunctionEnv<Shared>) -> Function {
    let parameters = vec![Type::I32; 8];
    let call = |env: AsyncFunctionEnvMut<Shared>, values: &[Value]| {
        let arguments: Vec<u32> = values.iter().filter_map(|value| value.i32().map(i32::cast_unsigned)).collect();
        async move {
            let (exchange, call) = {
                let env = env.read().await;
                let exchange = Rc::clone(env.data());
                let call = read_call(&GuestMemory::of(&exchange, &env)?, &arguments)?;
                (exchange, call)
            };
            Ok(vec![Value::I32(perform(call, &exchange).await)])
        }
    };
    Function::new_with_env_async(store, env, FunctionType::new(parameters, [Type::I32]), call)
}

fn read_call(memory: &GuestMemory<'_>, arguments: &[u32]) -> Result<ActorCall, Fault> {
    let &[binding, binding_len, namespace, namespace_len, operation, operation_len, message, message_len] = arguments
    else {
        return Err(Fault::Protocol(format!("__host_call with {} arguments", arguments.len())));
    };
    Ok(ActorCall {
        binding: memory.read_text("binding", binding, binding_len)?,
        namespace: memory.read_text("namespace", namespace, namespace_len)?,
        operation: memory.read_text("operation", operation, operation_len)?,
        message: memory.read(message, message_len)?,
    })
}

/// Carries a guest's call out. What `__host_call` returns: 1 with a response to fetch, 0 with an error.
async fn perform(call: ActorCall, exchange: &Exchange) -> i32 {
    let limit = exchange.message_bytes;
    let answer = match (exchange.host)(exchange.context(), call).await {
        Ok(response) if response.len() > limit => {
            Err(format!("the answer has {} bytes, and {limit} are allowed", response.len()))
        }
        answer => answer.map_err(|error| error.to_string()),
    };
    let code = i32::from(answer.is_ok());
    exchange.set_host_answer(answer);
    code
}

/// A guest's linear memory, read and written within its bounds.
struct GuestMemory<'a> {
    view: wasmer::MemoryView<'a>,
    /// The most that is read at once, in bytes.
    limit: usize,
}

impl<'a> GuestMemory<'a> {
    fn of(exchange: &Exchange, store: &'a impl AsStoreRef) -> Result<GuestMemory<'a>, Fault> {
        let memory: &Memory =
            exchange.memory.get().ok_or_else(|| Fault::Protocol("a waPC call before the memory exists".into()))?;
        Ok(GuestMemory { view: memory.view(store), limit: exchange.message_bytes })
    }

    fn check(&self, pointer: u32, length: u32) -> Result<(), Fault> {
        let (end, size) = (u64::from(pointer) + u64::from(length), self.view.data_size());
        if end <= size {
            return Ok(());
        }
        Err(Fault::Protocol(format!("it passed {length} bytes at {pointer:#x}, but its memory has {size} bytes")))
    }

    fn read(&self, pointer: u32, length: u32) -> Result<Vec<u8>, Fault> {
        self.check(pointer, length)?;
        let (bytes, limit) = (length as usize, self.limit);
        if bytes > limit {
            return Err(Fault::TooLarge { what: "message that it sends", bytes, limit });
        }
        // `copy_range_to_vec` would clear a buffer of 40 KiB for each call.
        let mut read = vec![0; bytes];
        self.view.read(u64::from(pointer), &mut read).map_err(|error| Fault::Protocol(error.to_string()))?;
        Ok(read)
    }

    /// The beginning of a text that is only shown to people.
    fn read_for_people(&self, pointer: u32, length: u32) -> Result<Vec<u8>, Fault> {
        self.check(pointer, length)?;
        self.read(pointer, length.min(LONGEST_TEXT))
    }

    fn read_text(&self, what: &str, pointer: u32, length: u32) -> Result<String, Fault> {
        String::from_utf8(self.read(pointer, length)?)
            .map_err(|_| Fault::Protocol(format!("the {what} of its host call is not UTF-8")))
    }

    fn write(&self, pointer: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.view.write(u64::from(pointer), bytes).map_err(|_| {
            let (length, size) = (bytes.len(), self.view.data_size());
            Fault::Protocol(format!("it asked for {length} bytes at {pointer:#x}, but its memory has {size} bytes"))
        })
    }
}

impl From<Fault> for RuntimeError {
    fn from(fault: Fault) -> RuntimeError {
        RuntimeError::user(Box::new(fault))
    }
}
