//! wasmer as an engine provider of the `wapc` crate.

use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use send_wrapper::SendWrapper;
use wapc::{ModuleStateAsync, WebAssemblyEngineProviderAsync};
use wasmer::{Instance, Store, StoreAsync};

use super::driver::{Coroutine, Driver};
use super::exchange::Exchange;
use super::fault::Fault;
use super::mappings::Taken;
use super::turns::InTurns;
use super::{CompiledModule, admission, imports, memory};
use crate::error::BoxedError;

/// An instantiated guest that speaks to waPC. `wapc` asks for `Send`; the wrapper gives it, and panics if a guest
/// should ever leave its shard.
pub(super) struct WasmerProvider(SendWrapper<Instantiated>);

struct Instantiated {
    exchange: Rc<Exchange>,
    store: StoreAsync,
    starts: Vec<wasmer::Function>,
    driver: Driver,
    module: CompiledModule,
    stack_bytes: usize,
    /// What the memory has taken of the host's mappings.
    _memory: Taken,
}

impl WasmerProvider {
    /// Instantiates a module. The guest's own start functions run when waPC initialises the provider.
    pub(super) fn instantiate(
        compiled: &CompiledModule,
        exchange: Rc<Exchange>,
        coroutine: Coroutine,
        actor: &str,
        stack_bytes: usize,
    ) -> Result<WasmerProvider, Fault> {
        let mappings = &compiled.0.mappings;
        let taken = mappings.take("its memory", compiled.0.style.mappings())?;
        let mut store = Store::new(memory::within(compiled.0.engine.clone(), compiled.0.style, stack_bytes));
        let imports = imports::define(&mut store, &exchange, actor);
        let instance = Instance::new(&mut store, &compiled.0.module, &imports)?;
        let exports = &instance.exports;
        let memory = exports.get_memory(admission::MEMORY).map_err(Fault::instantiation)?;
        // The exchange is new with this instance, so its memory is not set yet.
        let _ = exchange.memory.set(memory.clone());
        let guest_call = exports.get_function(wapc::wapc_functions::GUEST_CALL).map_err(Fault::instantiation)?.clone();
        let starts = admission::STARTS.iter().filter_map(|name| exports.get_function(name).ok().cloned()).collect();
        let (module, mappings) = (compiled.clone(), mappings.clone());
        let driver = &compiled.0.driver;
        let driver = Driver::bind(&mut store, driver, &guest_call, &exchange, coroutine, mappings, stack_bytes)?;
        let store = store.into_async();
        let instantiated = Instantiated { exchange, store, starts, driver, module, stack_bytes, _memory: taken };
        Ok(WasmerProvider(SendWrapper::new(instantiated)))
    }
}

impl Instantiated {
    async fn start(&mut self, conversation: Arc<ModuleStateAsync>) -> Result<(), Fault> {
        if self.exchange.conversation.set(conversation).is_err() {
            return Err(Fault::Protocol("the engine was initialised twice".into()));
        }
        for start in &self.starts {
            let _stacks = self.module.0.mappings.take_stacks()?;
            InTurns::new(start.call_async(&self.store, vec![]))
                .await
                .map_err(|error| Fault::of(error, self.stack_bytes))?;
        }
        Ok(())
    }

    async fn call(&mut self) -> Result<i32, Fault> {
        let conversation =
            self.exchange.conversation.get().ok_or_else(|| Fault::Protocol("a call before the start".into()))?.clone();
        let request = conversation
            .get_guest_request()
            .await
            .ok_or_else(|| Fault::Protocol("waPC entered the guest without a request".into()))?;
        self.exchange.begin(request.operation, request.msg);
        let code = self.driver.serve(&self.store, &self.exchange).await?;
        let answer = self.exchange.take_answer();
        match (code, answer.response, answer.error) {
            (0, _, error) => {
                conversation.set_guest_error(error.unwrap_or_else(|| "it gave no reason".into())).await;
            }
            (_, Some(response), _) => conversation.set_guest_response(response).await,
            (_, None, Some(error)) => conversation.set_guest_error(error).await,
            (_, None, None) => return Err(Fault::Protocol("it returned neither a response nor an error".into())),
        }
        Ok(code)
    }
}

#[async_trait]
impl WebAssemblyEngineProviderAsync for WasmerProvider {
    async fn init(&mut self, host: Arc<ModuleStateAsync>) -> Result<(), BoxedError> {
        let exchange = SendWrapper::new(self.0.exchange.clone());
        SendWrapper::new(self.0.start(host)).await.map_err(|fault| exchange.leave_fault(fault))
    }

    async fn call(&mut self, _operation_length: i32, _message_length: i32) -> Result<i32, BoxedError> {
        let exchange = SendWrapper::new(self.0.exchange.clone());
        SendWrapper::new(self.0.call()).await.map_err(|fault| exchange.leave_fault(fault))
    }

    async fn replace(&mut self, _module: &[u8]) -> Result<(), BoxedError> {
        Err("a guest is replaced by instantiating another one".into())
    }
}
