//! One running instance of a module, and the calls into it.

use std::rc::Rc;
use std::time::Instant;

use wapc::{HostCallbackAsync, WapcHostAsync};

use super::CompiledModule;
use super::driver::Coroutine;
use super::exchange::Exchange;
use super::fault::{Fault, REQUEST};
use super::provider::WasmerProvider;
use crate::deadline::within;
use crate::limits::Limits;

/// A guest that serves one call at a time. It stays on the shard that made it.
pub(crate) struct Guest {
    host: WapcHostAsync,
    exchange: Rc<Exchange>,
    coroutine: Coroutine,
}

impl Guest {
    /// Instantiates a module and runs its start functions. `actor` names it on the log.
    ///
    /// # Errors
    /// Any fault; nothing is left behind by a guest that did not start.
    pub(crate) async fn start(
        module: &CompiledModule,
        actor: &str,
        host_callback: Box<HostCallbackAsync>,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<Guest, Fault> {
        let exchange = Rc::new(Exchange::new(limits.message_bytes));
        let coroutine = Coroutine::default();
        exchange.set_deadline(deadline);
        let provider =
            WasmerProvider::instantiate(module, exchange.clone(), coroutine.clone(), actor, limits.stack_bytes)?;
        let host = within(deadline, WapcHostAsync::new(Box::new(provider), Some(host_callback))).await?;
        let host = host.map_err(|error| match exchange.take_fault() {
            Some(fault) => fault,
            None => Fault::instantiation(error),
        })?;
        Ok(Guest { host, exchange, coroutine })
    }

    /// Gives back the stacks that the guest was entered on. The next call enters it anew.
    pub(crate) fn rest(&self) {
        self.coroutine.take();
    }

    /// Has the guest handle a message.
    ///
    /// After a fault that does not leave the instance usable, or when this future is dropped before it is ready,
    /// the guest has to be dropped: it may be in the middle of a call.
    pub(crate) async fn call(&self, operation: &str, message: &[u8], deadline: Instant) -> Result<Vec<u8>, Fault> {
        let bytes = operation.len().max(message.len());
        let limit = self.exchange.message_bytes;
        if bytes > limit {
            return Err(Fault::TooLarge { what: REQUEST, bytes, limit });
        }
        self.exchange.set_deadline(deadline);
        within(deadline, self.host.call(operation, message)).await?.map_err(|error| match error {
            wapc::errors::Error::GuestCallFailure(reason) => {
                self.exchange.take_fault().unwrap_or(Fault::Failed(reason))
            }
            other => Fault::Failed(other.to_string()),
        })
    }
}
