//! Guests take turns on their thread, and each may trap in its own.
//!
//! A trap of a guest is a signal. wasmer finds the guest it belongs to through one variable for each thread, which it sets
//! where it enters a guest and sets back where it leaves it. Guests that are suspended in between, and go on in any
//! order, leave that variable pointing at one another, or at one that is gone; then a division by zero ends the
//! process. So each turn of a guest runs inside of a call of wasmer's own, for which signals come here first. From here
//! the guest is ended in the way of wasmer's library calls, which does not go by that variable.
//!
//! # Layout
//! - `signals`: a turn, on systems where this is known to work; elsewhere wasmer is left alone with it

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod signals;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use wasmer::{RuntimeError, Value};

use super::functions::{Addresses, Functions};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use signals::turn;

/// A call into a guest that is polled, and dropped, in turns.
pub(super) struct InTurns {
    call: Option<Pin<Box<dyn Future<Output = Outcome>>>>,
    functions: Arc<Functions>,
}

type Outcome = Result<Box<[Value]>, RuntimeError>;

/// How a call into a guest ended early.
pub(super) struct Broken {
    pub(super) error: RuntimeError,
    /// The functions that the guest was in, the innermost first; nothing where that is not known.
    pub(super) functions: Vec<String>,
}

impl InTurns {
    /// A call of one of these functions.
    pub(super) fn new(call: impl Future<Output = Outcome> + 'static, functions: Arc<Functions>) -> InTurns {
        InTurns { call: Some(Box::pin(call)), functions }
    }
}

impl Future for InTurns {
    type Output = Result<Box<[Value]>, Broken>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let InTurns { call, functions } = &mut *self;
        let Some(call) = call else { return Poll::Pending };
        let trapped_at = Addresses::default();
        let polled = turn(|| call.as_mut().poll(context), functions, &trapped_at);
        polled.map_err(|error| {
            let mut names = functions.names(&trapped_at);
            if names.is_empty() {
                // Traps that the engine raises by itself bring their frames along.
                names = functions.names_of(error.trace());
            }
            Broken { error, functions: names }
        })
    }
}

impl Drop for InTurns {
    /// A guest that is suspended is left by unwinding its stacks, which sets wasmer's variable back as well.
    fn drop(&mut self) {
        let call = self.call.take();
        turn(|| drop(call), &self.functions, &Addresses::default());
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn turn<T>(work: impl FnOnce() -> T, _: &Functions, _: &Addresses) -> T {
    work()
}
