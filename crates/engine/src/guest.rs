//! A running instance of a module, and the calls into it.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use wasmcloud_core::call::CallContext;
use wasmcloud_core::deadline::within;
use wasmcloud_core::error::printable;
use wasmcloud_core::limits::Limits;
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmcloud_core::trace::CallId;
use wasmer::{Instance, Memory, Store, StoreAsync};

use super::call_loop::{CallLoop, CallLoopConfig};
use super::fault::Fault;
use super::guest_log::GuestLog;
use super::guest_state::{GuestState, HostCallHandler};
use super::imports::COPY_CHUNK;
use super::mappings::MappingReservation;
use super::meter::DataSegments;
use super::trap_guard::GuardedCall;
use super::usage::GuestUsage;
use super::{Compiled, CompiledModule, imports, interface_check, memory};

/// A guest, which serves one call at a time. It stays on the shard that created it.
pub struct Guest {
    state: Rc<GuestState>,
    store: StoreAsync,
    call_loop: CallLoop,
    /// The mappings of the memory.
    _memory: MappingReservation,
}

/// The configuration of a guest.
pub struct GuestConfig<'a> {
    /// Takes the lines that the guest logs.
    pub log: Arc<GuestLog>,
    /// Performs the guest's calls.
    pub host: HostCallHandler,
    /// Ends the guest at its next yield.
    pub shutdown: Arc<ShutdownSignal>,
    /// The limits of the guest.
    pub limits: &'a Limits,
    /// Where the guest's use of fuel and memory is recorded, if anyone reads it.
    pub usage: Option<Arc<GuestUsage>>,
}

impl Guest {
    /// Instantiates a module and runs its start functions, in the context of the call that needs it.
    ///
    /// # Errors
    /// Returns the fault if the guest cannot start. Everything that it held is then released.
    pub async fn start(module: &CompiledModule, config: GuestConfig<'_>, context: CallContext) -> Result<Guest, Fault> {
        let GuestConfig { log, host, shutdown, limits, usage } = config;
        let deadline = context.deadline;
        let stack_bytes = limits.stack_bytes;
        let state = Rc::new(GuestState::new(limits.message_bytes, host, shutdown, context, usage));
        let Compiled { engine, layout, module: code, call_loop, symbols, data, mappings, .. } = &*module.0;
        let reserved = mappings.reserve("its memory", layout.mappings())?;
        let mut store =
            Store::new(memory::with_tunables(engine.clone(), *layout, stack_bytes, mappings.release_queue()));
        let imports = imports::define(&mut store, &state, log);
        let instance = Instance::new(&mut store, code, &imports)?;
        let exports = &instance.exports;
        let memory = exports.get_memory(interface_check::MEMORY).map_err(Fault::instantiation)?;
        // The state is new with this instance, so its memory is not set yet.
        let _ = state.memory.set(memory.clone());
        state.record_memory(memory.view(&store).data_size());
        if let Some(data) = data {
            write_data(data, memory, &store, &state).await?;
        }
        let guest_call = exports.get_function(wapc::wapc_functions::GUEST_CALL).map_err(Fault::instantiation)?.clone();
        let starts: Vec<_> =
            interface_check::STARTS.iter().filter_map(|name| exports.get_function(name).ok()).collect();
        let call_loop = CallLoop::new(
            &mut store,
            call_loop,
            &guest_call,
            &state,
            CallLoopConfig { mappings: mappings.clone(), symbols: symbols.clone(), stack_bytes },
        )?;
        let store = store.into_async();
        for start in starts {
            let _stacks = mappings.reserve_stacks(stack_bytes)?;
            let started = GuardedCall::new(start.call_async(&store, vec![]), symbols.clone());
            let started = within(deadline, started).await?;
            started.map_err(|error| Fault::from_call_error(error, stack_bytes, state.last_output()))?;
        }
        Ok(Guest { state, store, call_loop, _memory: reserved })
    }

    /// Releases the guest's stacks. The next call enters the guest again.
    pub fn release_stacks(&mut self) {
        self.call_loop.release_stacks();
    }

    /// Returns whether the guest has stacks. If not, its next call maps them, which takes much longer than an
    /// ordinary call.
    pub fn is_entered(&self) -> bool {
        self.call_loop.is_entered()
    }

    /// Begins a call. [`Guest::poll_answer`] runs it.
    pub fn begin(&self, operation: String, payload: Vec<u8>, context: CallContext, now: Instant) {
        self.state.begin(operation, payload, context, now);
    }

    /// Returns the operation of the last call that was begun.
    pub fn operation(&self) -> String {
        self.state.operation()
    }

    /// Returns the identifier of the chain that the last call belongs to, for log lines.
    pub fn call_id(&self) -> CallId {
        self.state.context().call_id()
    }

    /// Runs the call that was begun last until it suspends or ends.
    ///
    /// The guest may be in the middle of a call: drop it after a fault that does not leave the instance usable, and
    /// when a call is abandoned.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Fault>> {
        self.call_loop.poll(&self.store, &self.state, context).map(|returned| {
            let code = returned?;
            let answer = self.state.take_answer();
            match (code, answer.response, answer.error) {
                (0, _, error) => Err(failed(error)),
                (_, Some(response), _) => Ok(response),
                (_, None, Some(error)) => Err(failed(Some(error))),
                (_, None, None) => Err(Fault::Protocol("it returned neither a response nor an error".into())),
            }
        })
    }
}

/// Writes a module's data segments into the memory of its new instance, in chunks.
async fn write_data(data: &DataSegments, memory: &Memory, store: &Store, state: &GuestState) -> Result<(), Fault> {
    for (to, bytes) in data.iter() {
        let mut to = u64::from(to);
        // The address of an empty segment is checked too.
        let first = bytes.is_empty().then_some(bytes);
        for chunk in bytes.chunks(COPY_CHUNK).chain(first) {
            memory.view(store).write(to, chunk).map_err(Fault::instantiation)?;
            to += chunk.len() as u64;
            state.yield_if_due().await?;
        }
    }
    Ok(())
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl fmt::Debug for GuestConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestConfig").field("log", &self.log).finish_non_exhaustive()
    }
}

/// Returns the error that a guest reported. It may be any bytes.
fn failed(error: Option<Vec<u8>>) -> Fault {
    Fault::Failed(error.map_or_else(|| "it gave no reason".to_owned(), |error| printable(&error)))
}
