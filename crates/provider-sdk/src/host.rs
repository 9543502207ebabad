//! What a provider can ask of its host.

use std::ffi::c_void;
use std::fmt;

use crate::answer;
use crate::interface::{ActorCall, Answer, Bytes, HostInterface, level, status};

/// The way from a provider to its host. Cheap to clone, and usable from any thread.
pub struct Host {
    interface: HostInterface,
    /// The call that it is part of, or 0.
    within: u64,
}

// SAFETY: the interface says that its functions can be called from any thread.
unsafe impl Send for Host {}
// SAFETY: as above, and at the same time.
unsafe impl Sync for Host {}

/// How much a line on the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is lost.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// Why an actor did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorError {
    kind: ActorErrorKind,
    text: String,
}

/// What kept an actor from answering, as far as a program can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActorErrorKind {
    /// It did not answer in time.
    TimedOut,
    /// It does not run, is not linked or has too much to do.
    Unavailable,
    /// It, or the way to it, failed.
    Failed,
}

impl Host {
    /// # Safety
    /// The interface must be a host's, and its context must be one that is not released yet.
    pub(crate) unsafe fn new(interface: &HostInterface) -> Host {
        // SAFETY: the context is there, as the caller promises.
        unsafe { (interface.retain)(interface.context) };
        Host { interface: *interface, within: 0 }
    }

    pub(crate) fn within(&self, call: u64) -> Host {
        let mut host = self.clone();
        host.within = call;
        host
    }

    /// Calls an actor that is linked to the provider and waits for its answer.
    ///
    /// # Errors
    /// Where no link joins provider and actor, where the actor does not run, fails, or does not answer in time.
    pub fn call(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, ActorError> {
        let call = self.actor_call(actor, operation, message);
        // SAFETY: the context is retained, everything that is passed outlives the function, and the host answers.
        let (status, bytes) =
            unsafe { answer::asked(|answer| (self.interface.call_actor)(self.interface.context, &call, answer)) };
        read(status, bytes)
    }

    /// Calls an actor and does not wait: `answered` is called with its answer, once, on a thread that brings further answers to
    /// this provider. It must not block; a panic in it ends the process.
    pub fn call_then(
        &self,
        actor: &str,
        operation: &str,
        message: &[u8],
        answered: impl FnOnce(Result<Vec<u8>, ActorError>) + Send + 'static,
    ) {
        let call = self.actor_call(actor, operation, message);
        let asker: Box<Answered> = Box::new(Box::new(answered));
        let asker = Box::into_raw(asker).cast::<c_void>();
        // SAFETY: the context is retained, and the asker is given back once, as the interface says.
        unsafe { (self.interface.call_actor_then)(self.interface.context, &call, bring, asker) };
    }

    /// Writes a line on the host's log, which names the provider.
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

type Answered = Box<dyn FnOnce(Result<Vec<u8>, ActorError>) + Send>;

/// Brings an answer to whoever asked.
unsafe extern "C" fn bring(asker: *mut c_void, answer: *const Answer) {
    // SAFETY: the asker is the box that was made a pointer in `call_then`, and comes back once.
    let asker = unsafe { Box::from_raw(asker.cast::<Answered>()) };
    // SAFETY: the answer is there until this returns.
    let (status, bytes) = unsafe { answer::read(&*answer) };
    asker(read(status, bytes));
}

fn read(status: u32, bytes: Vec<u8>) -> Result<Vec<u8>, ActorError> {
    let kind = match status {
        status::DONE => return Ok(bytes),
        status::TIMED_OUT => ActorErrorKind::TimedOut,
        status::UNAVAILABLE => ActorErrorKind::Unavailable,
        _ => ActorErrorKind::Failed,
    };
    Err(ActorError { kind, text: String::from_utf8_lossy(&bytes).into_owned() })
}

impl ActorError {
    /// What kept the actor from answering.
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
        // SAFETY: the context is retained by this one until it is dropped.
        unsafe { (self.interface.retain)(self.interface.context) };
        Host { interface: self.interface, within: self.within }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: it was retained when this was made.
        unsafe { (self.interface.release)(self.interface.context) };
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("within", &self.within).finish_non_exhaustive()
    }
}
