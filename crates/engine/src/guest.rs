//! One running instance of a module, and the calls into it.

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
use wasmer::{Instance, Memory, Store, StoreAsync};

use super::driver::Driver;
use super::exchange::{Exchange, HostCalls};
use super::fault::Fault;
use super::imports::PORTION;
use super::mappings::Taken;
use super::meter::Segments;
use super::turns::InTurns;
use super::{Compiled, CompiledModule, admission, imports, memory};

/// A guest that serves one call at a time. It stays on the shard that created it.
pub struct Guest {
    exchange: Rc<Exchange>,
    store: StoreAsync,
    driver: Driver,
    /// What the memory has taken of the host's mappings.
    _memory: Taken,
}

/// The configuration of a guest.
pub struct GuestConfig<'a> {
    /// The actor's name, for the log.
    pub actor: &'a str,
    /// Carries out the guest's calls.
    pub host: HostCalls,
    /// Ends the guest at its next yield.
    pub shutdown: Arc<ShutdownSignal>,
    /// The limits of the guest.
    pub limits: &'a Limits,
}

impl Guest {
    /// Instantiates a module and runs its start functions, in the context of the call that needs it.
    ///
    /// # Errors
    /// Any fault; nothing is left behind by a guest that did not start.
    pub async fn start(module: &CompiledModule, config: GuestConfig<'_>, context: CallContext) -> Result<Guest, Fault> {
        let GuestConfig { actor, host, shutdown, limits } = config;
        let (deadline, stack_bytes) = (context.deadline, limits.stack_bytes);
        let exchange = Rc::new(Exchange::new(limits.message_bytes, host, shutdown, context));
        let Compiled { engine, style, module: code, driver, functions, data, mappings, .. } = &*module.0;
        let taken = mappings.take("its memory", style.mappings())?;
        let mut store = Store::new(memory::within(engine.clone(), *style, stack_bytes, mappings.releases()));
        let imports = imports::define(&mut store, &exchange, actor);
        let instance = Instance::new(&mut store, code, &imports)?;
        let exports = &instance.exports;
        let memory = exports.get_memory(admission::MEMORY).map_err(Fault::instantiation)?;
        // The exchange is new with this instance, so its memory is not set yet.
        let _ = exchange.memory.set(memory.clone());
        if let Some(data) = data {
            write(data, memory, &store, &exchange).await?;
        }
        let guest_call = exports.get_function(wapc::wapc_functions::GUEST_CALL).map_err(Fault::instantiation)?.clone();
        let starts: Vec<_> = admission::STARTS.iter().filter_map(|name| exports.get_function(name).ok()).collect();
        let driver = Driver::bind(
            &mut store,
            driver,
            &guest_call,
            &exchange,
            (mappings.clone(), functions.clone(), stack_bytes),
        )?;
        let store = store.into_async();
        for start in starts {
            let _stacks = mappings.take_stacks()?;
            let started = InTurns::new(start.call_async(&store, vec![]), functions.clone());
            let started = within(deadline, started).await?;
            started.map_err(|broken| Fault::of(broken, stack_bytes, exchange.last_words()))?;
        }
        Ok(Guest { exchange, store, driver, _memory: taken })
    }

    /// Releases the stacks that the guest was entered on. The next call enters it anew.
    pub fn release_stacks(&mut self) {
        self.driver.leave();
    }

    /// Whether it has stacks. Otherwise its next call enters it anew, which takes much longer than an ordinary call.
    pub fn is_entered(&self) -> bool {
        self.driver.is_entered()
    }

    /// Hands the guest a message, to be handled as [`Guest::poll_answer`] is polled from now on.
    pub fn begin(&self, operation: String, message: Vec<u8>, context: CallContext, now: Instant) {
        self.exchange.begin(operation, message, context, now);
    }

    /// The operation of the call that was begun last.
    pub fn operation(&self) -> String {
        self.exchange.operation()
    }

    /// Has the guest go on with the call that was begun last, as far as it comes.
    ///
    /// After a fault that does not leave the instance usable, and when nobody polls any further, the guest has to be
    /// dropped: it may be in the middle of a call.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Fault>> {
        self.driver.poll(&self.store, &self.exchange, context).map(|returned| {
            let code = returned?;
            let answer = self.exchange.take_answer();
            match (code, answer.response, answer.error) {
                (0, _, error) => Err(failed(error)),
                (_, Some(response), _) => Ok(response),
                (_, None, Some(error)) => Err(failed(Some(error))),
                (_, None, None) => Err(Fault::Protocol("it returned neither a response nor an error".into())),
            }
        })
    }
}

/// Writes a module's data into the memory of its new instance, and lets the shard serve others in between.
async fn write(data: &Segments, memory: &Memory, store: &Store, exchange: &Exchange) -> Result<(), Fault> {
    for (to, bytes) in data.iter() {
        let mut to = u64::from(to);
        // A segment without bytes has its place as well.
        let first = bytes.is_empty().then_some(bytes);
        for portion in bytes.chunks(PORTION).chain(first) {
            memory.view(store).write(to, portion).map_err(Fault::instantiation)?;
            to += portion.len() as u64;
            exchange.rest_if_due().await?;
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
        f.debug_struct("GuestConfig").field("actor", &self.actor).finish_non_exhaustive()
    }
}

/// The guest's own error, which may be any bytes.
fn failed(error: Option<Vec<u8>>) -> Fault {
    Fault::Failed(error.map_or_else(|| "it gave no reason".to_owned(), |error| printable(&error)))
}
