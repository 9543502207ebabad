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
use std::task::{Context, Poll};

use wasmer::{RuntimeError, Value};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use signals::turn;

/// A call into a guest that is polled, and dropped, in turns.
pub(super) struct InTurns(Option<Pin<Box<dyn Future<Output = Outcome>>>>);

type Outcome = Result<Box<[Value]>, RuntimeError>;

impl InTurns {
    pub(super) fn new(call: impl Future<Output = Outcome> + 'static) -> InTurns {
        InTurns(Some(Box::pin(call)))
    }
}

impl Future for InTurns {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.0 {
            Some(call) => turn(|| call.as_mut().poll(context)),
            None => Poll::Pending,
        }
    }
}

impl Drop for InTurns {
    /// A guest that is suspended is left by unwinding its stacks, which sets wasmer's variable back as well.
    fn drop(&mut self) {
        let call = self.0.take();
        turn(|| drop(call));
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn turn<T>(work: impl FnOnce() -> T) -> T {
    work()
}
