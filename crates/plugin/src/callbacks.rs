//! The thread on which a plugin's functions are called with the answers that they wait for. They are the plugin's code, so

#![allow(unsafe_code, reason = "functions of a library are called")]

use std::cell::Cell;
use std::ffi::c_void;

use crossbeam_channel::Sender;
use wasmcloud_provider::threads::{Job, work_off};
use wasmcloud_provider_sdk::interface::{ActorAnswered, Answer, Bytes, status};

use super::budget::Reserved;
use super::order::{Failure, FailureKind, Outcome};

/// Leads to the thread, which ends when all of these are dropped and what they were given is done.
#[derive(Debug, Clone)]
pub(super) struct Callbacks(Sender<Job>);

/// A function of a plugin that waits for an answer, and is called once. Dropped, it is called with the answer that there will
/// be none.
pub(super) struct Callback {
    function: Option<ActorAnswered>,
    asker: *mut c_void,
    thread: Callbacks,
}

/// Who waits for the answer to a call of a plugin.
pub(super) enum Asker {
    /// A thread of the plugin, which does nothing else.
    Thread(Sender<Outcome>),
    /// A function of the plugin.
    Function(Callback),
}

thread_local! {
    /// Whether this thread is calling a plugin's function with an answer, and must not be held up.
    static CALLING_BACK: Cell<bool> = const { Cell::new(false) };
}

impl Callbacks {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the operating system has none to give.
    pub(super) fn start(name: String) -> std::io::Result<Callbacks> {
        let (jobs, waiting) = crossbeam_channel::unbounded();
        work_off(name, &waiting)?;
        Ok(Callbacks(jobs))
    }

    /// Tells whether this thread is such a one and inside of a plugin's function.
    pub(super) fn are_on_this_thread() -> bool {
        CALLING_BACK.get()
    }
}

// SAFETY: the interface says that an answer may come on any thread.
unsafe impl Send for Callback {}

impl Callback {
    pub(super) fn new(function: ActorAnswered, asker: *mut c_void, thread: Callbacks) -> Callback {
        Callback { function: Some(function), asker, thread }
    }

    /// Has the thread call the function with an outcome. What was reserved for it is given back afterwards.
    fn leave(&mut self, outcome: Outcome, held: Option<Reserved>) {
        let Some(function) = self.function.take() else { return };
        let called = Callback { function: Some(function), asker: self.asker, thread: self.thread.clone() };
        let job = move || {
            called.call(&outcome);
            drop(held);
        };
        if let Err(refused) = self.thread.0.send(Box::new(job)) {
            // Nobody else is left to call it.
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
        let before = CALLING_BACK.replace(true);
        // SAFETY: the plugin waits to be called with its asker, and this is the one time.
        unsafe { function(self.asker, &answer) };
        CALLING_BACK.set(before);
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.leave(Err(Failure::nobody_answers()), None);
    }
}

impl Asker {
    /// Brings the outcome, and gives back what was reserved for it once it is taken. It does not block.
    pub(super) fn bring(self, outcome: Outcome, held: Option<Reserved>) {
        match self {
            Asker::Thread(waiting) => {
                // It waits for nothing else.
                let _ = waiting.send(outcome);
            }
            Asker::Function(mut callback) => callback.leave(outcome, held),
        }
    }

    /// Tells whether an outcome waits in memory until the plugin takes it.
    pub(super) fn lets_wait(&self) -> bool {
        matches!(self, Asker::Function(_))
    }
}

impl FailureKind {
    /// What it is in the interface.
    pub(super) fn status(self) -> u32 {
        match self {
            FailureKind::TimedOut => status::TIMED_OUT,
            FailureKind::Unavailable => status::UNAVAILABLE,
            FailureKind::Failed | FailureKind::Panicked => status::FAILED,
        }
    }
}
