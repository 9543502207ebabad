//! The middlewares of a host in their order, and the passage of one call through them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmcloud_core::call::Request;
use wasmcloud_core::entity::{WasmCloudEntity, shorten};
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result, panic_text};

use super::{Call, Invocation, InvocationResponse, Middleware};

/// The middlewares of a host, in the order of their installation.
#[derive(Default)]
pub(crate) struct MiddlewareChain {
    middlewares: Vec<InstalledMiddleware>,
    /// The number of calls shown so far.
    calls: AtomicU64,
}

/// A middleware, and the name of its type for error texts.
#[derive(Clone)]
pub(crate) struct InstalledMiddleware {
    middleware: Arc<dyn Middleware>,
    name: &'static str,
}

/// The passage of one call through the middlewares. Without middlewares it costs nothing.
///
/// Dropping it before the call has been answered shows the middlewares `CallerGone`.
pub(crate) struct MiddlewareCall<'a> {
    chain: &'a MiddlewareChain,
    /// The call, from the time it is shown to the first middleware until it is answered.
    shown: Option<Box<Shown>>,
}

/// A call that the middlewares have seen.
struct Shown {
    call: Call,
    operation: String,
    /// The number of middlewares that let it pass.
    passed: usize,
}

/// The caller and the target of a call.
pub(crate) struct Participants {
    pub(crate) origin: WasmCloudEntity,
    pub(crate) target: WasmCloudEntity,
}

impl MiddlewareChain {
    pub(crate) fn new(middlewares: Vec<InstalledMiddleware>) -> MiddlewareChain {
        MiddlewareChain { middlewares, calls: AtomicU64::new(0) }
    }

    /// Returns the passage of a call that is about to be made.
    pub(crate) fn begin_call(&self) -> MiddlewareCall<'_> {
        MiddlewareCall { chain: self, shown: None }
    }
}

impl MiddlewareCall<'_> {
    /// Shows the call to the middlewares, and returns its request as they leave it. [`MiddlewareCall::leave`] must follow,
    /// even if they refuse the call.
    pub(crate) fn enter(&mut self, participants: impl FnOnce() -> Participants, request: Request) -> Result<Request> {
        if self.chain.middlewares.is_empty() {
            return Ok(request);
        }
        let Request { operation, payload } = request;
        let Participants { origin, target } = participants();
        let call = Call { number: self.chain.calls.fetch_add(1, Ordering::Relaxed), origin, target };
        let mut invocation = Invocation { call, operation, message: payload };
        let mut passed = 0;
        let entered = self.chain.middlewares.iter().try_for_each(|installed| {
            installed.pre_invoke(&mut invocation)?;
            passed += 1;
            Ok(())
        });
        let Invocation { call, operation, message: payload } = invocation;
        self.shown = Some(Box::new(Shown { call, operation: operation.clone(), passed }));
        entered.map(|()| Request { operation, payload })
    }

    /// Shows the end of the call to the middlewares that let it pass, and returns the answer as they leave it.
    pub(crate) fn leave(mut self, answer: Result<Vec<u8>>) -> Result<Vec<u8>> {
        match self.shown.take() {
            Some(shown) => self.chain.show_answer(*shown, answer),
            None => answer,
        }
    }
}

impl Drop for MiddlewareCall<'_> {
    fn drop(&mut self) {
        if let Some(shown) = self.shown.take() {
            let message = format!(
                "the caller cancelled the call before {} had answered {:?}",
                shown.call.target,
                shorten(&shown.operation)
            );
            if let Err(error) = self.chain.show_answer(*shown, Err(Error::new(ErrorKind::CallerGone, message))) {
                log::debug!("{error}");
            }
        }
    }
}

impl MiddlewareChain {
    fn show_answer(&self, shown: Shown, answer: Result<Vec<u8>>) -> Result<Vec<u8>> {
        let Shown { call, operation, passed } = shown;
        let mut response = InvocationResponse { call, operation, answer };
        for installed in self.middlewares[..passed].iter().rev() {
            if let Err(error) = installed.post_invoke(&mut response) {
                response.answer = Err(error);
            }
        }
        response.answer
    }
}

impl InstalledMiddleware {
    pub(crate) fn new<M: Middleware + 'static>(middleware: M) -> InstalledMiddleware {
        InstalledMiddleware { middleware: Arc::new(middleware), name: std::any::type_name::<M>() }
    }

    fn pre_invoke(&self, invocation: &mut Invocation) -> Result<()> {
        let outcome = catch_unwind(AssertUnwindSafe(|| match invocation.call.target {
            WasmCloudEntity::Capability { .. } => self.middleware.capability_pre_invoke(invocation),
            _ => self.middleware.actor_pre_invoke(invocation),
        }));
        self.explain(outcome, || format!("{:?} to {}", shorten(&invocation.operation), invocation.call.target))
    }

    fn post_invoke(&self, response: &mut InvocationResponse) -> Result<()> {
        let outcome = catch_unwind(AssertUnwindSafe(|| match response.call.target {
            WasmCloudEntity::Capability { .. } => self.middleware.capability_post_invoke(response),
            _ => self.middleware.actor_post_invoke(response),
        }));
        self.explain(outcome, || {
            format!("the answer to {:?} by {}", shorten(&response.operation), response.call.target)
        })
    }

    /// Returns an error that names the middleware if it refused or panicked. A panic is logged for its author.
    fn explain(
        &self,
        outcome: std::thread::Result<Result<(), BoxedError>>,
        subject: impl FnOnce() -> String,
    ) -> Result<()> {
        let error = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => {
                let message = format!("the middleware {} refused {}", self.name, subject());
                Error::new(ErrorKind::MiddlewareRefused, message).caused_by(reason)
            }
            Err(panic) => {
                let message = format!("the middleware {} panicked over {}", self.name, subject());
                let error = Error::new(ErrorKind::MiddlewarePanicked, message).caused_by(panic_text(&*panic));
                log::error!("{error}");
                error
            }
        };
        Err(error)
    }
}

impl fmt::Debug for InstalledMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
