//! The thread that calls functions of a plugin with the answers of actors. These functions are the plugin's code and may
//! block, so neither a shard nor a thread that reads frames calls them.

#![allow(unsafe_code, reason = "calls functions of a library")]

use std::cell::Cell;
use std::ffi::c_void;

use crossbeam_channel::Sender;
use wasmcloud_provider::threads::{Job, spawn_worker};
use wasmcloud_provider_sdk::interface::{ActorAnswered, Answer, Bytes, status};

use super::budget::ReservedBytes;
use super::request::{FailureKind, Outcome, RequestFailure};

/// A handle of the thread. The thread ends when all handles are dropped and all queued callbacks have been called.
#[derive(Debug, Clone)]
pub(super) struct CallbackThread(Sender<Job>);

/// A function of a plugin that waits for an answer. It is called exactly once: if this is dropped, with a failure.
pub(super) struct Callback {
    function: Option<ActorAnswered>,
    user_data: *mut c_void,
    thread: CallbackThread,
}

/// The receiver of the answer to a plugin's call to an actor.
pub(super) enum Responder {
    /// A thread of the plugin that is blocked in the call.
    Thread(Sender<Outcome>),
    /// A function of the plugin.
    Function(Callback),
}

thread_local! {
    /// Whether this thread is inside a callback, and must not block.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

impl CallbackThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub(super) fn start(name: String) -> std::io::Result<CallbackThread> {
        let (jobs, queue) = crossbeam_channel::unbounded();
        spawn_worker(name, &queue)?;
        Ok(CallbackThread(jobs))
    }

    /// Returns whether the calling thread is inside a callback.
    pub(super) fn is_in_callback() -> bool {
        IN_CALLBACK.get()
    }
}

// SAFETY: the interface allows answers on any thread.
unsafe impl Send for Callback {}

impl Callback {
    pub(super) fn new(function: ActorAnswered, user_data: *mut c_void, thread: CallbackThread) -> Callback {
        Callback { function: Some(function), user_data, thread }
    }

    /// Queues a call of the function with an outcome. The reserved bytes are returned afterwards.
    fn enqueue(&mut self, outcome: Outcome, reserved: Option<ReservedBytes>) {
        let Some(function) = self.function.take() else { return };
        let queued = Callback { function: Some(function), user_data: self.user_data, thread: self.thread.clone() };
        let job = move || {
            queued.call(&outcome);
            drop(reserved);
        };
        if let Err(refused) = self.thread.0.send(Box::new(job)) {
            // The callback thread has ended, and the function must still be called.
            (refused.0)();
        }
    }

    fn call(mut self, outcome: &Outcome) {
        let Some(function) = self.function.take() else { return };
        let (status, bytes) = match outcome {
            Ok(bytes) => (status::DONE, Bytes::of(bytes)),
            Err(failure) => (failure.kind.status(), Bytes::of(failure.text.as_bytes())),
        };
        let answer = Answer { status, bytes, ..Answer::unanswered() };
        let before = IN_CALLBACK.replace(true);
        // SAFETY: the plugin passed the function with this pointer, and `function` is taken, so it is called once.
        unsafe { function(self.user_data, &answer) };
        IN_CALLBACK.set(before);
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.enqueue(Err(RequestFailure::stopped()), None);
    }
}

impl Responder {
    /// Delivers the outcome without blocking. The reserved bytes are returned once the plugin has received it.
    pub(super) fn respond(self, outcome: Outcome, reserved: Option<ReservedBytes>) {
        match self {
            Responder::Thread(waiting) => {
                // The thread is blocked until it receives this, so sending does not fail.
                let _ = waiting.send(outcome);
            }
            Responder::Function(mut callback) => callback.enqueue(outcome, reserved),
        }
    }

    /// Returns whether outcomes are queued in memory until the plugin receives them.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self, Responder::Function(_))
    }
}

impl FailureKind {
    /// Returns the status of the failure in the C interface.
    pub(super) fn status(self) -> u32 {
        match self {
            FailureKind::TimedOut => status::TIMED_OUT,
            FailureKind::Unavailable => status::UNAVAILABLE,
            FailureKind::Failed | FailureKind::Panicked => status::FAILED,
        }
    }
}
