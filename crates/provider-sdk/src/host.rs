//! The services that the host offers to a provider.

use std::ffi::c_void;
use std::fmt;

use crate::answer::{self, CopiedAnswer};
use crate::interface::{ActorCall, Answer, Bytes, HostInterface, level, status};

/// The host of a provider: calls actors and writes to the log. Cheap to clone. All threads can use it.
pub struct Host {
    interface: HostInterface,
    /// The id of the call that calls to actors are part of, or 0.
    within: u64,
}

// SAFETY: the functions of the interface can be called from any thread.
unsafe impl Send for Host {}
// SAFETY: the functions of the interface can be called concurrently.
unsafe impl Sync for Host {}

/// The severity of a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Data or an operation was lost.
    Error,
    /// An unexpected condition that the provider could handle.
    Warn,
    /// Information for operators.
    Info,
    /// Information for developers.
    Debug,
    /// Every detail.
    Trace,
}

/// The error of a call to an actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorError {
    kind: ActorErrorKind,
    text: String,
}

/// The kind of an [`ActorError`], for programs to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActorErrorKind {
    /// The actor did not answer before the deadline.
    TimedOut,
    /// The actor does not run, is not linked, or is busy. A later call may succeed.
    Unavailable,
    /// The actor or the delivery of the call failed.
    Failed,
}

impl Host {
    /// # Safety
    /// The interface must be a host's, and its context must not have been released.
    pub(crate) unsafe fn new(interface: &HostInterface) -> Host {
        // SAFETY: the caller guarantees that the context is valid.
        unsafe { (interface.retain)(interface.context) };
        Host { interface: *interface, within: 0 }
    }

    pub(crate) fn within(&self, call: u64) -> Host {
        let mut host = self.clone();
        host.within = call;
        host
    }

    /// Calls an actor that is linked to the provider, and blocks until it answers. `actor` is its public key, `message` the
    /// payload. In the callback of [`Host::call_then`], this fails.
    ///
    /// # Errors
    /// An error if no link joins provider and actor, or the actor does not run, fails, or does not answer in time.
    pub fn call(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, ActorError> {
        let call = self.actor_call(actor, operation, message);
        // SAFETY: the context is retained, all arguments outlive the function, and the host fills in the answer.
        let answer =
            unsafe { answer::with_answer(|answer| (self.interface.call_actor)(self.interface.context, &call, answer)) };
        into_result(answer)
    }

    /// Calls an actor without waiting. `answered` is called once with the answer.
    ///
    /// All callbacks of a provider are called on one thread. So `answered` must not block. A panic in it ends the process.
    pub fn call_then(
        &self,
        actor: &str,
        operation: &str,
        message: &[u8],
        answered: impl FnOnce(Result<Vec<u8>, ActorError>) + Send + 'static,
    ) {
        let call = self.actor_call(actor, operation, message);
        let callback: Box<Callback> = Box::new(Box::new(answered));
        let callback = Box::into_raw(callback).cast::<c_void>();
        // SAFETY: the context is retained, and the host passes the callback to `call_back` exactly once.
        unsafe { (self.interface.call_actor_then)(self.interface.context, &call, call_back, callback) };
    }

    /// Writes a line to the host's log. The host adds the name of the provider.
    pub fn log(&self, level: LogLevel, text: &str) {
        let level = match level {
            LogLevel::Error => level::ERROR,
            LogLevel::Warn => level::WARN,
            LogLevel::Info => level::INFO,
            LogLevel::Debug => level::DEBUG,
            LogLevel::Trace => level::TRACE,
        };
        // SAFETY: the context is retained, and the text outlives the function.
        unsafe { (self.interface.log)(self.interface.context, level, Bytes::of(text.as_bytes())) };
    }

    fn actor_call(&self, actor: &str, operation: &str, message: &[u8]) -> ActorCall {
        ActorCall {
            within: self.within,
            actor: Bytes::of(actor.as_bytes()),
            operation: Bytes::of(operation.as_bytes()),
            message: Bytes::of(message),
        }
    }
}

type Callback = Box<dyn FnOnce(Result<Vec<u8>, ActorError>) + Send>;

/// Calls the function that was passed to [`Host::call_then`] with an answer.
unsafe extern "C" fn call_back(callback: *mut c_void, answer: *const Answer) {
    // SAFETY: the pointer is the box of `call_then`, and the host passes it once.
    let callback = unsafe { Box::from_raw(callback.cast::<Callback>()) };
    // SAFETY: the answer is valid until this function returns.
    let answer = unsafe { answer::copy(&*answer) };
    callback(into_result(answer));
}

fn into_result(answer: CopiedAnswer) -> Result<Vec<u8>, ActorError> {
    let CopiedAnswer { status, bytes } = answer;
    let kind = match status {
        status::DONE => return Ok(bytes),
        status::TIMED_OUT => ActorErrorKind::TimedOut,
        status::UNAVAILABLE => ActorErrorKind::Unavailable,
        _ => ActorErrorKind::Failed,
    };
    Err(ActorError { kind, text: String::from_utf8_lossy(&bytes).into_owned() })
}

impl ActorError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> ActorErrorKind {
        self.kind
    }
}

impl fmt::Display for ActorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ActorError {}

impl Clone for Host {
    fn clone(&self) -> Host {
        // SAFETY: `self` retains the context.
        unsafe { (self.interface.retain)(self.interface.context) };
        Host { interface: self.interface, within: self.within }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: the context was retained when this value was created.
        unsafe { (self.interface.release)(self.interface.context) };
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("within", &self.within).finish_non_exhaustive()
    }
}
