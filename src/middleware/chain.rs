//! The middlewares of a host in their order, and the way of one call through them and back.

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
    /// How many calls they have been shown.
    calls: AtomicU64,
}

/// A middleware, and the name of its type for those who read errors.
#[derive(Clone)]
pub(crate) struct InstalledMiddleware {
    middleware: Arc<dyn Middleware>,
    name: &'static str,
}

/// The way of one call through the middlewares. Where there are none it costs nothing.
///
/// When it is dropped before the call has been answered, the middlewares are told that the caller is gone.
pub(crate) struct MiddlewareCall<'a> {
    chain: &'a MiddlewareChain,
    /// The call, from the time it is shown to the first middleware until it is answered.
    shown: Option<Box<Shown>>,
}

struct Shown {
    call: Call,
    operation: String,
    /// How many middlewares have let it pass.
    passed: usize,
}

impl MiddlewareChain {
    pub(crate) fn new(middlewares: Vec<InstalledMiddleware>) -> MiddlewareChain {
        MiddlewareChain { middlewares, calls: AtomicU64::new(0) }
    }

    /// The way that a call is about to take.
    pub(crate) fn begin_call(&self) -> MiddlewareCall<'_> {
        MiddlewareCall { chain: self, shown: None }
    }
}

impl MiddlewareCall<'_> {
    /// Shows the call to the middlewares, and answers with its message as they leave it.
    /// [`MiddlewareCall::leave`] is to follow, even where they refuse it. `ends` tells who calls and who is called.
    pub(crate) fn enter(
        &mut self,
        ends: impl FnOnce() -> (WasmCloudEntity, WasmCloudEntity),
        request: Request,
    ) -> Result<Request> {
        if self.chain.middlewares.is_empty() {
            return Ok(request);
        }
        let Request { operation, payload: message } = request;
        let (origin, target) = ends();
        let call = Call { number: self.chain.calls.fetch_add(1, Ordering::Relaxed), origin, target };
        let mut invocation = Invocation { call, operation, message };
        let mut passed = 0;
        let entered = self.chain.middlewares.iter().try_for_each(|installed| {
            installed.before(&mut invocation)?;
            passed += 1;
            Ok(())
        });
        let Invocation { call, operation, message } = invocation;
        self.shown = Some(Box::new(Shown { call, operation: operation.clone(), passed }));
        entered.map(|()| Request { operation, payload: message })
    }

    /// Shows what has come of the call to the middlewares that let it pass, and answers with what they make of it.
    pub(crate) fn leave(mut self, answer: Result<Vec<u8>>) -> Result<Vec<u8>> {
        match self.shown.take() {
            Some(shown) => self.chain.after(*shown, answer),
            None => answer,
        }
    }
}

impl Drop for MiddlewareCall<'_> {
    fn drop(&mut self) {
        if let Some(shown) = self.shown.take() {
            let message =
                format!("the caller gave up before {} had answered {:?}", shown.call.target, shorten(&shown.operation));
            if let Err(error) = self.chain.after(*shown, Err(Error::new(ErrorKind::CallerGone, message))) {
                log::debug!("{error}");
            }
        }
    }
}

impl MiddlewareChain {
    fn after(&self, shown: Shown, answer: Result<Vec<u8>>) -> Result<Vec<u8>> {
        let Shown { call, operation, passed } = shown;
        let mut response = InvocationResponse { call, operation, answer };
        for installed in self.middlewares[..passed].iter().rev() {
            if let Err(error) = installed.after(&mut response) {
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

    fn before(&self, invocation: &mut Invocation) -> Result<()> {
        let done = catch_unwind(AssertUnwindSafe(|| match invocation.call.target {
            WasmCloudEntity::Capability { .. } => self.middleware.capability_pre_invoke(invocation),
            _ => self.middleware.actor_pre_invoke(invocation),
        }));
        self.explain(done, || format!("{:?} to {}", shorten(&invocation.operation), invocation.call.target))
    }

    fn after(&self, response: &mut InvocationResponse) -> Result<()> {
        let done = catch_unwind(AssertUnwindSafe(|| match response.call.target {
            WasmCloudEntity::Capability { .. } => self.middleware.capability_post_invoke(response),
            _ => self.middleware.actor_post_invoke(response),
        }));
        self.explain(done, || format!("the answer to {:?} by {}", shorten(&response.operation), response.call.target))
    }

    /// What a middleware did, as an error that names it where it refused or panicked. A panic is on the log too: its
    /// author should hear of it.
    fn explain(&self, done: std::thread::Result<Result<(), BoxedError>>, what: impl FnOnce() -> String) -> Result<()> {
        let error = match done {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => {
                let message = format!("the middleware {} refused {}", self.name, what());
                Error::new(ErrorKind::MiddlewareRefused, message).caused_by(reason)
            }
            Err(panic) => {
                let message = format!("the middleware {} panicked over {}", self.name, what());
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
