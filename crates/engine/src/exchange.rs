//! What passes between a call and the imports that the guest reaches for while it serves it.
//!
//! One exchange belongs to one guest and stays on its shard. Most imports are synchronous, so everything they need
//! lies here before the guest is entered, and everything they leave is collected after it has returned.
//!
//! The exchange also knows how long the guest has been at it since its shard served others. What takes longer than a slice
//! is interrupted: the guest's own code by the meter, and what the host does for it by [`Exchange::rest_if_due`].

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use wasmcloud_core::call::{CallContext, GuestCall};
use wasmcloud_core::error::{Result, printable};
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmer::Memory;

use super::fault::Fault;
use super::last_words::LastWords;

/// How a guest's calls are carried out, as part of the call that it serves.
pub type HostCalls = Box<dyn Fn(CallContext, GuestCall) -> LocalBoxFuture<'static, Result<Vec<u8>>>>;

/// For how long a guest keeps its shard before others are served.
const SLICE: Duration = Duration::from_micros(500);

/// How much of the text of a refusal a guest gets to read, in bytes.
const LONGEST_REFUSAL: usize = 64 * 1024;

/// The buffers of one guest.
pub(super) struct Exchange {
    /// The largest message in any direction, in bytes.
    pub(super) message_bytes: usize,
    /// The guest's linear memory, known once it is instantiated.
    pub(super) memory: OnceCell<Memory>,
    /// What carries out the guest's calls.
    pub(super) host: HostCalls,
    /// Whether the guest is to end, whatever it is at.
    shutdown: Arc<ShutdownSignal>,
    /// The context of the call that the guest serves, or of its start.
    context: RefCell<CallContext>,
    /// Whether there is a request that the guest has not been entered for.
    waiting: Cell<bool>,
    /// What `__guest_call` returned.
    outcome: Cell<Option<i32>>,
    request: RefCell<Request>,
    answer: RefCell<Answer>,
    /// The beginning of what the guest wrote to the log last.
    last_line: RefCell<Vec<u8>>,
    host_answer: RefCell<HostAnswer>,
    /// What the guest waits for the host to copy.
    large_copy: Cell<Option<LargeCopy>>,
    /// Since when the guest has kept its shard.
    slice: Cell<Instant>,
}

/// What the guest is asked.
#[derive(Default)]
struct Request {
    operation: String,
    message: Vec<u8>,
}

/// What the guest leaves behind when it returns.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) response: Option<Vec<u8>>,
    /// As the guest wrote it.
    pub(super) error: Option<Vec<u8>>,
}

/// The answer to the guest's last call into the host.
#[derive(Default)]
struct HostAnswer {
    response: Vec<u8>,
    error: String,
}

/// A copy between the guest's memory and the exchange that takes too long for one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LargeCopy {
    /// The request, to these places in the guest's memory.
    Request { operation: u32, message: u32 },
    /// So many bytes of the guest's memory, to its answer.
    Response { pointer: u32, length: u32 },
    /// The host's answer, to this place in the guest's memory.
    HostResponse { pointer: u32 },
}

impl Exchange {
    /// An exchange for messages of at most so many bytes, for a guest that starts in this context.
    pub(super) fn new(
        message_bytes: usize,
        host: HostCalls,
        shutdown: Arc<ShutdownSignal>,
        context: CallContext,
    ) -> Exchange {
        Exchange {
            message_bytes,
            memory: OnceCell::new(),
            host,
            shutdown,
            context: RefCell::new(context),
            waiting: Cell::default(),
            outcome: Cell::default(),
            request: RefCell::default(),
            answer: RefCell::default(),
            last_line: RefCell::default(),
            host_answer: RefCell::default(),
            large_copy: Cell::default(),
            slice: Cell::new(Instant::now()),
        }
    }

    /// Lays a request out for the guest, and forgets the call before.
    pub(super) fn begin(&self, operation: String, message: Vec<u8>, context: CallContext, now: Instant) {
        self.context.replace(context);
        self.request.replace(Request { operation, message });
        self.answer.take();
        self.last_line.borrow_mut().clear();
        self.host_answer.take();
        self.outcome.take();
        self.large_copy.take();
        self.slice.set(now);
        self.waiting.set(true);
    }

    /// Takes what the guest left, and lets go of all that it was given. The operation is kept, to tell of it.
    pub(super) fn take_answer(&self) -> Answer {
        self.request.borrow_mut().message = Vec::new();
        self.host_answer.take();
        self.answer.take()
    }

    pub(super) fn operation(&self) -> String {
        self.request.borrow().operation.clone()
    }

    pub(super) fn context(&self) -> CallContext {
        self.context.borrow().clone()
    }

    /// Why the guest should not go on, if it should not.
    pub(super) fn reason_to_end(&self) -> Option<Fault> {
        let context = self.context.borrow();
        if self.shutdown.is_ended() {
            Some(Fault::Ended)
        } else if Instant::now() >= context.deadline {
            Some(Fault::Deadline)
        } else if context.is_cancelled() {
            Some(Fault::Cancelled)
        } else {
            None
        }
    }

    /// Whether the guest has kept its shard for longer than it may at once.
    pub(super) fn is_slice_over(&self) -> bool {
        self.slice.get().elapsed() >= SLICE
    }

    /// Begins a new slice, when the guest goes on after others have been served.
    pub(super) fn begin_slice(&self) {
        self.slice.set(Instant::now());
    }

    /// Lets the shard serve others.
    ///
    /// # Errors
    /// Why the guest should not go on, if it should not.
    pub(super) async fn rest(&self) -> Result<(), Fault> {
        tokio::task::yield_now().await;
        self.begin_slice();
        self.reason_to_end().map_or(Ok(()), Err)
    }

    /// Lets the shard serve others if the guest's slice is over.
    ///
    /// # Errors
    /// Why the guest should not go on, if it should not.
    pub(super) async fn rest_if_due(&self) -> Result<(), Fault> {
        if self.is_slice_over() { self.rest().await } else { Ok(()) }
    }

    /// Keeps a copy until the guest yields, as it is about to.
    pub(super) fn put_off(&self, copy: LargeCopy) {
        self.large_copy.set(Some(copy));
    }

    pub(super) fn has_large_copy(&self) -> bool {
        self.large_copy.get().is_some()
    }

    pub(super) fn take_large_copy(&self) -> Option<LargeCopy> {
        self.large_copy.take()
    }

    /// Whether there is a request that the guest has not been entered for.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.get()
    }

    /// The lengths of the request that the guest is about to be entered for.
    pub(super) fn enter(&self) -> (u32, u32) {
        self.waiting.set(false);
        let request = self.request.borrow();
        // Neither is longer than the largest message there can be, which fits.
        (request.operation.len() as u32, request.message.len() as u32)
    }

    /// Takes note of what `__guest_call` returned.
    pub(super) fn finish(&self, code: i32) {
        self.outcome.set(Some(code));
    }

    pub(super) fn take_outcome(&self) -> Option<i32> {
        self.outcome.take()
    }

    /// Lends the request's operation and message.
    pub(super) fn with_request<R>(&self, read: impl FnOnce(&[u8], &[u8]) -> R) -> R {
        let request = self.request.borrow();
        read(request.operation.as_bytes(), &request.message)
    }

    pub(super) fn set_response(&self, response: Vec<u8>) {
        self.answer.borrow_mut().response = Some(response);
    }

    /// The buffer of an answer that the guest is about to replace, empty.
    pub(super) fn take_response_buffer(&self) -> Vec<u8> {
        let mut buffer = self.answer.borrow_mut().response.take().unwrap_or_default();
        buffer.clear();
        buffer
    }

    pub(super) fn set_error(&self, error: Vec<u8>) {
        self.answer.borrow_mut().error = Some(error);
    }

    /// Takes note of a line that the guest wrote to the log.
    pub(super) fn note_line(&self, line: &[u8]) {
        let mut last = self.last_line.borrow_mut();
        last.clear();
        last.extend_from_slice(LastWords::kept(line));
    }

    /// What the guest has said in this call, or at its start.
    pub(super) fn last_words(&self) -> LastWords {
        let error = self.answer.borrow().error.as_deref().map(printable);
        LastWords::new(error.as_deref(), Some(&self.last_line.borrow()))
    }

    /// Keeps the host's answer to the guest's call until the guest fetches it.
    pub(super) fn set_host_answer(&self, answer: Result<Vec<u8>, String>) {
        let (response, mut error) = match answer {
            Ok(response) => (response, String::new()),
            Err(error) => (Vec::new(), error),
        };
        error.truncate(error.floor_char_boundary(LONGEST_REFUSAL));
        self.host_answer.replace(HostAnswer { response, error });
    }

    /// Lends the host's last answer; empty before there was one.
    pub(super) fn with_host_response<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.host_answer.borrow().response)
    }

    pub(super) fn host_response_length(&self) -> usize {
        self.host_answer.borrow().response.len()
    }

    /// Lends the text of the host's last refusal; empty where there was none.
    pub(super) fn with_host_error<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(self.host_answer.borrow().error.as_bytes())
    }
}
