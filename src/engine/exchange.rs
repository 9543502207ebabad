//! What passes between a call and the imports that the guest reaches for while it serves it.
//!
//! One exchange belongs to one guest and stays on its shard. The imports are synchronous, so everything they need
//! lies here before the guest is entered, and everything they leave is collected after it has returned.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use wapc::ModuleStateAsync;
use wasmer::Memory;

use super::fault::Fault;
use crate::error::BoxedError;

/// The buffers of one guest.
#[derive(Default)]
pub(super) struct Exchange {
    /// The largest message in any direction, in bytes.
    pub(super) message_bytes: usize,
    /// The guest's linear memory, known once it is instantiated.
    pub(super) memory: OnceCell<Memory>,
    /// waPC's view of the conversation, known once the engine provider is initialised.
    pub(super) conversation: OnceCell<Arc<ModuleStateAsync>>,
    call: RefCell<Call>,
    /// When the time of what the guest is doing is up.
    deadline: Cell<Option<Instant>>,
    /// Why the last call failed, where it was not the guest's own answer: waPC passes on the text alone.
    fault: RefCell<Option<Fault>>,
}

/// The call that the guest serves, with its answer, and the answer to its last call into the host.
#[derive(Default)]
struct Call {
    /// The guest has not been entered for it yet.
    waiting: bool,
    /// The guest has been entered for it and has not returned.
    entered: bool,
    operation: String,
    message: Vec<u8>,
    outcome: Option<i32>,
    response: Option<Vec<u8>>,
    error: Option<String>,
    host_response: Vec<u8>,
    host_error: String,
    /// How often the guest has fetched its request.
    request_fetches: u32,
    /// How often the guest has fetched the host's last answer.
    answer_fetches: u32,
}

/// How often a guest may fetch the same request or answer: each time costs the host a copy that the guest does not pay.
const MOST_FETCHES: u32 = 16;

/// What a guest left behind when it returned.
pub(super) struct Answer {
    pub(super) response: Option<Vec<u8>>,
    pub(super) error: Option<String>,
}

impl Exchange {
    /// An exchange for messages of at most so many bytes.
    pub(super) fn new(message_bytes: usize) -> Exchange {
        Exchange { message_bytes, ..Exchange::default() }
    }

    /// Sets the time until which the guest may work.
    pub(super) fn set_deadline(&self, deadline: Instant) {
        self.deadline.set(Some(deadline));
    }

    /// Whether the time of what the guest is doing is up.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.deadline.get().is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Lays a request out for the guest, and forgets the call before.
    pub(super) fn begin(&self, operation: String, message: Vec<u8>) {
        *self.call.borrow_mut() = Call { waiting: true, operation, message, ..Call::default() };
    }

    /// The lengths of the request that waits for the guest: asked once per request.
    pub(super) fn poll_lengths(&self) -> Poll<(u32, u32)> {
        let mut call = self.call.borrow_mut();
        if !std::mem::take(&mut call.waiting) {
            return Poll::Pending;
        }
        call.entered = true;
        // Neither is longer than the largest message there can be, which fits.
        Poll::Ready((call.operation.len() as u32, call.message.len() as u32))
    }

    /// Takes note of what `__guest_call` returned, if it was called: the driver asks for its first call before.
    pub(super) fn finish(&self, code: i32) {
        let mut call = self.call.borrow_mut();
        if std::mem::take(&mut call.entered) {
            call.outcome = Some(code);
        }
    }

    pub(super) fn take_outcome(&self) -> Option<i32> {
        self.call.borrow_mut().outcome.take()
    }

    /// Takes what the guest left, and drops its request and what the host had answered it.
    pub(super) fn take_answer(&self) -> Answer {
        let call = std::mem::take(&mut *self.call.borrow_mut());
        Answer { response: call.response, error: call.error }
    }

    /// Keeps a fault for the caller, and gives waPC its text.
    pub(super) fn leave_fault(&self, fault: Fault) -> BoxedError {
        let text = fault.to_string();
        *self.fault.borrow_mut() = Some(fault);
        text.into()
    }

    pub(super) fn take_fault(&self) -> Option<Fault> {
        self.fault.borrow_mut().take()
    }

    /// Lends the request's operation and message.
    pub(super) fn with_request<R>(&self, read: impl FnOnce(&[u8], &[u8]) -> R) -> R {
        let call = self.call.borrow();
        read(call.operation.as_bytes(), &call.message)
    }

    pub(super) fn set_response(&self, response: Vec<u8>) {
        self.call.borrow_mut().response = Some(response);
    }

    pub(super) fn set_error(&self, error: String) {
        self.call.borrow_mut().error = Some(error);
    }

    /// Counts that the guest fetches its request.
    pub(super) fn count_request_fetch(&self) -> Result<(), Fault> {
        count(&mut self.call.borrow_mut().request_fetches, "its request")
    }

    /// Counts that the guest fetches the host's answer.
    pub(super) fn count_answer_fetch(&self) -> Result<(), Fault> {
        count(&mut self.call.borrow_mut().answer_fetches, "the host's answer")
    }

    /// Keeps the host's answer to the guest's call until the guest fetches it.
    pub(super) fn set_host_answer(&self, answer: Result<Vec<u8>, String>) {
        let mut call = self.call.borrow_mut();
        call.answer_fetches = 0;
        (call.host_response, call.host_error) = match answer {
            Ok(response) => (response, String::new()),
            Err(error) => (Vec::new(), error),
        };
    }

    /// Lends the host's last answer; empty before there was one.
    pub(super) fn with_host_response<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.call.borrow().host_response)
    }

    /// Lends the text of the host's last refusal; empty where there was none.
    pub(super) fn with_host_error<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(self.call.borrow().host_error.as_bytes())
    }
}

fn count(fetches: &mut u32, what: &str) -> Result<(), Fault> {
    *fetches += 1;
    if *fetches > MOST_FETCHES {
        return Err(Fault::Protocol(format!("it fetched {what} more than {MOST_FETCHES} times")));
    }
    Ok(())
}
