//! Lets suspended guests on one thread trap in any order.
//!
//! A trap of a guest is a signal. wasmer finds the guest that a signal belongs to through one variable per thread,
//! which it sets when it enters a guest and restores when it leaves it. Guests that are suspended in between and
//! continue in any order leave that variable pointing at another guest, or at one that is gone; a division by zero then
//! ends the process.
//!
//! So each poll of a guest runs inside of a wasmer call that catches traps, and a signal handler of this module runs
//! first. It ends the guest like wasmer's library calls do, which does not depend on that variable.
//!
//! # Layout
//! - `signals`: the signal handling, on systems where it is known to work. Elsewhere wasmer handles signals alone.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod signals;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use wasmer::{RuntimeError, Value};

use super::symbols::{BacktraceAddresses, SymbolTable};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use signals::guarded;

/// A call into a guest whose polls and drop are guarded.
pub(super) struct GuardedCall {
    call: Option<Pin<Box<dyn Future<Output = Outcome>>>>,
    symbols: Arc<SymbolTable>,
}

type Outcome = Result<Box<[Value]>, RuntimeError>;

/// The error of a call into a guest.
pub(super) struct CallError {
    pub(super) error: RuntimeError,
    /// The names of the functions on the guest's stack, innermost first. Empty if unknown.
    pub(super) backtrace: Vec<String>,
}

impl GuardedCall {
    /// Returns a guarded call of a module with these symbols.
    pub(super) fn new(call: impl Future<Output = Outcome> + 'static, symbols: Arc<SymbolTable>) -> GuardedCall {
        GuardedCall { call: Some(Box::pin(call)), symbols }
    }
}

impl Future for GuardedCall {
    type Output = Result<Box<[Value]>, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let GuardedCall { call, symbols } = &mut *self;
        let Some(call) = call else { return Poll::Pending };
        let addresses = BacktraceAddresses::default();
        let polled = guarded(|| call.as_mut().poll(context), symbols, &addresses);
        polled.map_err(|error| {
            let mut names = symbols.names(&addresses);
            if names.is_empty() {
                // Traps that the engine raises itself carry their frames.
                names = symbols.names_of(error.trace());
            }
            CallError { error, backtrace: names }
        })
    }
}

impl Drop for GuardedCall {
    /// Unwinds the stacks of a suspended guest, which also restores wasmer's variable.
    fn drop(&mut self) {
        let call = self.call.take();
        guarded(|| drop(call), &self.symbols, &BacktraceAddresses::default());
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn guarded<T>(work: impl FnOnce() -> T, _: &SymbolTable, _: &BacktraceAddresses) -> T {
    work()
}
