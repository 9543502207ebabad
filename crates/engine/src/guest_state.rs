//! The state that a guest shares with its imported functions.
//!
//! One state belongs to one guest and stays on its shard. Most imported functions are synchronous, so their input is
//! stored here before the guest is entered, and their output is collected after it has returned.
//!
//! The state also measures how long the guest has kept its shard. A guest that has used up its slice yields: the meter
//! makes its own code yield, and [`GuestState::yield_if_due`] makes the host's work for it yield.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use wasmcloud_core::call::{CallContext, GuestCall, Request};
use wasmcloud_core::error::{Result, printable};
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmer::Memory;

use super::fault::Fault;
use super::last_output::LastOutput;
use super::meter;
use super::usage::GuestUsage;

/// Performs the calls that a guest makes, in the context of the call that it serves.
pub type HostCallHandler = Box<dyn Fn(CallContext, GuestCall) -> LocalBoxFuture<'static, Result<Vec<u8>>>>;

/// How long a guest keeps its shard before other tasks run.
const SLICE: Duration = Duration::from_micros(500);

/// The largest error text of a host call that a guest receives. Longer text is cut. Unit: bytes.
const MAX_HOST_ERROR_BYTES: usize = 64 * 1024;

/// The state of one guest.
pub(super) struct GuestState {
    /// The largest payload in any direction. Unit: bytes.
    pub(super) max_payload_bytes: usize,
    /// The guest's linear memory, set once the guest is instantiated.
    pub(super) memory: OnceCell<Memory>,
    /// Performs the calls that the guest makes.
    pub(super) call_handler: HostCallHandler,
    /// Ends the guest at its next yield.
    shutdown: Arc<ShutdownSignal>,
    /// The context of the current call, or of the start of the guest.
    context: RefCell<CallContext>,
    /// Whether a request waits for the guest to be entered.
    has_request: Cell<bool>,
    /// The result of `__guest_call`.
    outcome: Cell<Option<i32>>,
    request: RefCell<Request>,
    answer: RefCell<GuestAnswer>,
    /// The beginning of the last line that the guest logged.
    last_line: RefCell<Vec<u8>>,
    host_call_result: RefCell<HostCallResult>,
    /// The copy that the guest waits for.
    deferred_copy: Cell<Option<DeferredCopy>>,
    /// The start of the current slice.
    slice: Cell<Instant>,
    /// The fuel that the guest got last.
    granted: Cell<i32>,
    /// Where the guest's use of fuel and memory is recorded, if anyone reads it.
    usage: Option<Arc<GuestUsage>>,
}

/// The lengths of a request. Unit: bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLengths {
    pub(super) operation: u32,
    pub(super) payload: u32,
}

/// The response and error that a guest sets during a call.
#[derive(Default)]
pub(super) struct GuestAnswer {
    pub(super) response: Option<Vec<u8>>,
    /// The bytes as the guest wrote them.
    pub(super) error: Option<Vec<u8>>,
}

/// The result of the guest's last call into the host.
#[derive(Default)]
struct HostCallResult {
    response: Vec<u8>,
    error: String,
}

/// A large copy between the guest's memory and its state. It is deferred until the guest yields, and made in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeferredCopy {
    /// Copies the request to these addresses in the guest's memory.
    Request { operation: u32, payload: u32 },
    /// Copies this range of the guest's memory to its response.
    Response { pointer: u32, length: u32 },
    /// Copies the result of the last host call to this address in the guest's memory.
    HostResponse { pointer: u32 },
}

impl GuestState {
    /// Returns the state of a guest that starts in this context, for payloads of at most `max_payload_bytes`.
    pub(super) fn new(
        max_payload_bytes: usize,
        call_handler: HostCallHandler,
        shutdown: Arc<ShutdownSignal>,
        context: CallContext,
        usage: Option<Arc<GuestUsage>>,
    ) -> GuestState {
        GuestState {
            max_payload_bytes,
            memory: OnceCell::new(),
            call_handler,
            shutdown,
            context: RefCell::new(context),
            has_request: Cell::default(),
            outcome: Cell::default(),
            request: RefCell::default(),
            answer: RefCell::default(),
            last_line: RefCell::default(),
            host_call_result: RefCell::default(),
            deferred_copy: Cell::default(),
            slice: Cell::new(Instant::now()),
            granted: Cell::new(meter::QUANTUM),
            usage,
        }
    }

    /// Records that the guest gets more fuel after it has used up the last that it got, and `debt` beyond that.
    pub(super) fn grant(&self, fuel: i32, debt: i32) {
        let used = self.granted.replace(fuel).saturating_add(debt);
        if let Some(usage) = &self.usage {
            usage.spend(u64::try_from(used).unwrap_or(0));
        }
    }

    /// Records the size of the guest's memory, in bytes.
    pub(super) fn record_memory(&self, bytes: u64) {
        if let Some(usage) = &self.usage {
            usage.set_memory(bytes);
        }
    }

    /// Stores a request for the guest and clears the state of the previous call.
    pub(super) fn begin(&self, operation: String, payload: Vec<u8>, context: CallContext, now: Instant) {
        self.context.replace(context);
        self.request.replace(Request { operation, payload });
        self.answer.take();
        self.last_line.borrow_mut().clear();
        self.host_call_result.take();
        self.outcome.take();
        self.deferred_copy.take();
        self.slice.set(now);
        self.has_request.set(true);
    }

    /// Takes the guest's response and error, and frees the payloads of the call. Keeps the operation for error texts.
    pub(super) fn take_answer(&self) -> GuestAnswer {
        self.request.borrow_mut().payload = Vec::new();
        self.host_call_result.take();
        self.answer.take()
    }

    /// Returns the operation of the current call, or of the last one.
    pub(super) fn operation(&self) -> String {
        self.request.borrow().operation.clone()
    }

    /// Returns the context of the current call, or of the start of the guest.
    pub(super) fn context(&self) -> CallContext {
        self.context.borrow().clone()
    }

    /// Returns the fault that ends the guest: shutdown, deadline or cancellation, in this order. `None` if it may continue.
    pub(super) fn end_reason(&self) -> Option<Fault> {
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

    /// Returns whether the guest has kept its shard for a whole slice.
    pub(super) fn is_slice_over(&self) -> bool {
        self.slice.get().elapsed() >= SLICE
    }

    /// Begins a new slice, after other tasks had their turn.
    pub(super) fn begin_slice(&self) {
        self.slice.set(Instant::now());
    }

    /// Yields to the other tasks of the shard.
    ///
    /// # Errors
    /// Returns the fault that ends the guest, if it has to end.
    pub(super) async fn yield_now(&self) -> Result<(), Fault> {
        tokio::task::yield_now().await;
        self.begin_slice();
        self.end_reason().map_or(Ok(()), Err)
    }

    /// Yields to the other tasks of the shard if the guest's slice is over.
    ///
    /// # Errors
    /// Returns the fault that ends the guest, if it has to end.
    pub(super) async fn yield_if_due(&self) -> Result<(), Fault> {
        if self.is_slice_over() { self.yield_now().await } else { Ok(()) }
    }

    /// Stores a copy that is made at the guest's next yield. The caller returns a price that makes the guest yield at once.
    pub(super) fn defer_copy(&self, copy: DeferredCopy) {
        self.deferred_copy.set(Some(copy));
    }

    /// Returns whether the guest waits for a copy.
    pub(super) fn has_deferred_copy(&self) -> bool {
        self.deferred_copy.get().is_some()
    }

    /// Takes the copy that the guest waits for.
    pub(super) fn take_deferred_copy(&self) -> Option<DeferredCopy> {
        self.deferred_copy.take()
    }

    /// Returns whether a request waits for the guest to be entered.
    pub(super) fn has_pending_request(&self) -> bool {
        self.has_request.get()
    }

    /// Marks the request as no longer pending, and returns the lengths of its operation and payload.
    pub(super) fn accept_request(&self) -> RequestLengths {
        self.has_request.set(false);
        let request = self.request.borrow();
        // `InstanceContext::refusal` bounds both by `message_bytes`, which is at most 1 GiB.
        RequestLengths { operation: request.operation.len() as u32, payload: request.payload.len() as u32 }
    }

    /// Stores the result of `__guest_call`.
    pub(super) fn set_outcome(&self, code: i32) {
        self.outcome.set(Some(code));
    }

    /// Takes the result of `__guest_call`. `None` while the guest has not returned.
    pub(super) fn take_outcome(&self) -> Option<i32> {
        self.outcome.take()
    }

    /// Passes the request to a closure.
    pub(super) fn with_request<R>(&self, read: impl FnOnce(&Request) -> R) -> R {
        read(&self.request.borrow())
    }

    /// Stores the response of the guest, and replaces a previous one.
    pub(super) fn set_response(&self, response: Vec<u8>) {
        self.answer.borrow_mut().response = Some(response);
    }

    /// Takes the buffer of the previous response, cleared, so that the next response reuses it.
    pub(super) fn take_response_buffer(&self) -> Vec<u8> {
        let mut buffer = self.answer.borrow_mut().response.take().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Stores the error of the guest, and replaces a previous one.
    pub(super) fn set_error(&self, error: Vec<u8>) {
        self.answer.borrow_mut().error = Some(error);
    }

    /// Stores the last line that the guest logged.
    pub(super) fn set_last_line(&self, line: &[u8]) {
        let mut last = self.last_line.borrow_mut();
        last.clear();
        last.extend_from_slice(LastOutput::kept(line));
    }

    /// Returns the last error and log line of this call, or of the start.
    pub(super) fn last_output(&self) -> LastOutput {
        let error = self.answer.borrow().error.as_deref().map(printable);
        LastOutput::new(error.as_deref(), Some(&self.last_line.borrow()))
    }

    /// Stores the result of a host call until the guest fetches it.
    pub(super) fn set_host_call_result(&self, answer: Result<Vec<u8>, String>) {
        let (response, mut error) = match answer {
            Ok(response) => (response, String::new()),
            Err(error) => (Vec::new(), error),
        };
        error.truncate(error.floor_char_boundary(MAX_HOST_ERROR_BYTES));
        self.host_call_result.replace(HostCallResult { response, error });
    }

    /// Passes the response of the last host call to a closure. Empty if there was none.
    pub(super) fn with_host_response<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.host_call_result.borrow().response)
    }

    /// Returns the length of the response of the last host call. Unit: bytes.
    pub(super) fn host_response_length(&self) -> usize {
        self.host_call_result.borrow().response.len()
    }

    /// Passes the error of the last host call to a closure. Empty if there was none.
    pub(super) fn with_host_error<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(self.host_call_result.borrow().error.as_bytes())
    }
}

impl Drop for GuestState {
    fn drop(&mut self) {
        self.record_memory(0);
    }
}
