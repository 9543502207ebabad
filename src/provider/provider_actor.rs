//! The actix actor of a provider's instance. It serves calls and link changes concurrently, and stops after the last one.
//!
//! # Layout
//! - `lifecycle`: changes of links, and the stop
//! - `start`: the start of an instance, whatever its interface
//! - `counting`: what the provider counts, for readers on other threads
//! - `crash_reports`: the crash reports of an instance to the supervisor

mod counting;
mod crash_reports;
mod lifecycle;
mod start;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Context, Handler, ResponseFuture};
use futures_util::FutureExt;
use tokio::sync::{Notify, RwLock};
use wasmcloud_core::call::Request;
use wasmcloud_core::deadline::within;
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
use wasmcloud_core::health::{HEALTH_REQUEST, Health};
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmcloud_core::trace::is_listening;
use wasmcloud_provider::threads::panic_error;
use wasmcloud_provider::{ActorDispatcher, AsyncCapabilityProvider, ProviderCallContext};

#[cfg(feature = "experiments")]
use super::fault_injection;
use crate::dispatch::Dispatch;
use crate::dispatch::provider_mailbox::{ProviderCall, ProviderCheck};
use crate::identity::ProviderIdentity;
use crate::instruments::InstanceInstruments;
use crate::shard::BatchCounter;
use crate::spans;
use counting::Counting;
pub(crate) use crash_reports::CrashReports;
pub(crate) use lifecycle::RELEASE_TIMEOUT;
pub(crate) use start::ProviderStart;

/// The time that a provider may take to start, and to establish or release a link.
const LIFECYCLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The actix actor of one instance of a provider.
pub(crate) struct ProviderActor {
    running: Rc<Running>,
    /// Counts link changes, of which many may arrive at once.
    changes: BatchCounter,
}

/// A running instance.
struct Running {
    identity: Arc<ProviderIdentity>,
    instruments: InstanceInstruments,
    /// Before the provider, which is dropped on this thread so.
    _counting: Counting,
    provider: Arc<dyn AsyncCapabilityProvider>,
    /// Calls actors outside of any call.
    dispatcher: ActorDispatcher,
    dispatch: Dispatch,
    reports: CrashReports,
    /// Once closing, only calls that its own calls wait for are accepted. Once ended, link changes are abandoned.
    shutdown: ShutdownSignal,
    /// Whether it has released everything and accepts nothing.
    is_gone: Cell<bool>,
    /// Read-locked by changes of single links, write-locked by the stop. Holds whether the provider has been stopped.
    lifecycle: RwLock<bool>,
    /// The number of calls being served.
    calls: Cell<usize>,
    /// Notified when the last of them has ended.
    idle: Notify,
}

impl Running {
    async fn serve_traced(&self, call: ProviderCall) -> Result<Result<Vec<u8>>, ProviderCall> {
        let ProviderCall { actor, request, context: outer } = call;
        let tracing = self.dispatch.tracing();
        let (context, span) = spans::provider(tracing, outer.clone(), &self.identity, &actor, &request.operation);
        let answer = span.instrument(self.serve_call(ProviderCall { actor, request, context })).await;
        match answer {
            Ok(answer) => {
                span.end(&answer);
                Ok(answer)
            }
            // The provider's next instance serves it.
            Err(call) => {
                span.moved();
                Err(ProviderCall { context: outer, ..call })
            }
        }
    }

    async fn serve_call(&self, call: ProviderCall) -> Result<Result<Vec<u8>>, ProviderCall> {
        let instance = self.reports.instance();
        let is_own = || !self.is_gone.get() && call.context.is_awaited_by_provider(instance);
        if self.shutdown.is_closing() && !is_own() {
            return Err(call);
        }
        let _counted = CountedCall::new(self);
        let ProviderCall { actor, request: Request { operation, payload }, context } = call;
        let deadline = context.deadline;
        let begun = self.instruments.begin(&operation, Instant::now);
        let name = operation.clone();
        let dispatcher = self.dispatcher.within(Some(context));
        let call = ProviderCallContext::new(&*actor, operation, payload, dispatcher);
        let work = self.provider.handle_call(call);
        #[cfg(feature = "experiments")]
        let work = fault_injection::call(&self.dispatch, &self.identity, work);
        let answer = self.run(&name, deadline, work).await;
        self.instruments.end(begun, &answer, || Some(name), Instant::now);
        if answer.as_ref().map_or_else(|error| error.kind() == ErrorKind::ProviderFailed, |_| true) {
            self.reports.answered();
        }
        Ok(answer)
    }

    async fn check(&self, time: Duration) -> Health {
        if self.shutdown.is_closing() {
            return Health::Busy;
        }
        match self.run(HEALTH_REQUEST, Instant::now() + time, self.provider.health()).await {
            Ok(()) => Health::Healthy,
            Err(error) => Health::of_failure(&error),
        }
    }

    /// Runs work of the provider until a deadline, and adds the operation to its error. A panic is reported as a crash.
    async fn run<T>(
        &self,
        operation: &str,
        deadline: Instant,
        work: impl Future<Output = Result<T, BoxedError>>,
    ) -> Result<T> {
        match AssertUnwindSafe(within(deadline, work)).catch_unwind().await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(error))) => Err(self.explain(operation, error)),
            Ok(Err(_)) => Err(timed_out(&self.identity, operation)),
            Err(panic) => Err(self.explain(operation, panic_error(&*panic).into())),
        }
        .inspect_err(|error| self.report_crash(error))
    }

    fn report_crash(&self, error: &Error) {
        if error.kind() == ErrorKind::ProviderPanicked {
            self.reports.crashed(error.to_string());
        }
    }

    /// Returns the error of a provider with the names of the provider and of the operation. Errors of the runtime that a
    /// provider passes on, such as a refused call to an actor, keep their kind.
    fn explain(&self, operation: &str, error: BoxedError) -> Error {
        let kind = error.downcast_ref::<Error>().map_or(ErrorKind::ProviderFailed, Error::kind);
        Error::new(kind, format!("{} failed in {:?}", self.identity, shorten(operation))).context_of(error)
    }
}

/// Counts a call in progress until it is dropped.
struct CountedCall<'a>(&'a Running);

impl CountedCall<'_> {
    fn new(running: &Running) -> CountedCall<'_> {
        running.calls.set(running.calls.get() + 1);
        running.instruments.suspend();
        CountedCall(running)
    }
}

impl Drop for CountedCall<'_> {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
        self.0.instruments.resume();
        if self.0.calls.get() == 0 {
            self.0.idle.notify_one();
        }
    }
}

fn lifecycle_deadline() -> Instant {
    Instant::now() + LIFECYCLE_TIMEOUT
}

fn timed_out(provider: &ProviderIdentity, operation: &str) -> Error {
    let message = format!("{provider} was not done in time with {:?}", shorten(operation));
    Error::new(ErrorKind::DeadlineExceeded, message)
}

impl actix::Actor for ProviderActor {
    type Context = Context<Self>;
}

impl Handler<ProviderCall> for ProviderActor {
    type Result = ResponseFuture<Result<Result<Vec<u8>>, ProviderCall>>;

    fn handle(&mut self, call: ProviderCall, _: &mut Self::Context) -> Self::Result {
        let running = self.running.clone();
        if is_listening() {
            return Box::pin(async move { running.serve_traced(call).await });
        }
        Box::pin(async move { running.serve_call(call).await })
    }
}

impl Handler<ProviderCheck> for ProviderActor {
    type Result = ResponseFuture<Health>;

    fn handle(&mut self, ProviderCheck { time }: ProviderCheck, _: &mut Self::Context) -> Self::Result {
        let running = self.running.clone();
        Box::pin(async move { running.check(time).await })
    }
}

impl fmt::Debug for ProviderActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderActor").field("identity", &self.running.identity).finish_non_exhaustive()
    }
}
