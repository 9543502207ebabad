//! The functions of the host that plugins call through the C interface.

#![allow(unsafe_code, reason = "defines functions that are called from C")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_bytes::ByteBuf;
use wasmcloud_core::text::printable;
use wasmcloud_provider_sdk::interface::{
    ActorAnswered, ActorCall, Answer, Bytes, HostInterface, VERSION, level, status,
};

use super::callback_thread::{Callback, CallbackThread, Responder};
use super::request::{ActorRequest, FailureKind, Outcome, RequestFailure};

/// The services of the host that a plugin uses.
pub(super) trait HostServices: Send + Sync {
    /// Starts a call to an actor, without waiting for the answer.
    fn call_actor(&self, request: ActorRequest, responder: Responder);

    /// Returns the size of the largest payload to an actor, in bytes.
    fn largest_payload(&self) -> usize;

    /// Returns the thread that calls functions of the plugin.
    fn callback_thread(&self) -> &CallbackThread;

    /// Writes a line to the log.
    fn log(&self, level: log::Level, text: &str);
}

/// The context that the functions of the interface are called with. The plugin may retain it longer than the host does.
pub(super) struct HostContext(Arc<dyn HostServices>);

/// Returns an interface to services of the host. Its context must be [released](release) once.
pub(super) fn interface_to(services: Arc<dyn HostServices>) -> HostInterface {
    let context = Arc::into_raw(Arc::new(HostContext(services))).cast_mut().cast();
    let size = size_of::<HostInterface>() as u32;
    HostInterface { version: VERSION, size, context, retain, release, call_actor, call_actor_then, log: write_log }
}

unsafe extern "C" fn retain(context: *mut c_void) {
    // SAFETY: the context came from `interface_to`, and the caller holds it.
    unsafe { Arc::increment_strong_count(context.cast::<HostContext>()) };
}

/// Releases a context.
pub(super) unsafe extern "C" fn release(context: *mut c_void) {
    // SAFETY: the context came from `interface_to`, and is released as often as it was retained.
    unsafe { Arc::decrement_strong_count(context.cast::<HostContext>()) };
}

/// # Safety
/// The caller must hold the context.
unsafe fn services<'a>(context: *mut c_void) -> &'a dyn HostServices {
    // SAFETY: the caller holds the context.
    unsafe { &*(*context.cast::<HostContext>()).0 }
}

unsafe extern "C" fn call_actor(context: *mut c_void, call: *const ActorCall, answer: *mut Answer) {
    // SAFETY: the plugin holds the context, and passes a call and an answer of the interface.
    let outcome = unsafe {
        if CallbackThread::is_in_callback() {
            let text = "a callback must not wait for an actor, because all other callbacks would wait too: use call_actor_then";
            Err(RequestFailure::new(FailureKind::Failed, text))
        } else {
            let services = services(context);
            read_request(call, services.largest_payload()).and_then(|request| call_and_wait(services, request))
        }
    };
    // SAFETY: the plugin passes an answer to write to.
    unsafe { answer.write(into_answer(outcome)) };
}

fn call_and_wait(services: &dyn HostServices, request: ActorRequest) -> Outcome {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    services.call_actor(request, Responder::Thread(sender));
    receiver.recv().unwrap_or_else(|_| Err(RequestFailure::stopped()))
}

unsafe extern "C" fn call_actor_then(
    context: *mut c_void,
    call: *const ActorCall,
    answered: ActorAnswered,
    user_data: *mut c_void,
) {
    // SAFETY: the plugin holds the context.
    let services = unsafe { services(context) };
    let responder = Responder::Function(Callback::new(answered, user_data, services.callback_thread().clone()));
    // SAFETY: the plugin passes a call of the interface.
    match unsafe { read_request(call, services.largest_payload()) } {
        Ok(request) => services.call_actor(request, responder),
        // A refusal is queued like any other outcome. If the function were called before this returns, and made another
        // call, it would recurse without end.
        Err(failure) => responder.respond(Err(failure), None),
    }
}

unsafe extern "C" fn write_log(context: *mut c_void, level: u32, text: Bytes) {
    let level = match level {
        level::ERROR => log::Level::Error,
        level::WARN => log::Level::Warn,
        level::DEBUG => log::Level::Debug,
        level::TRACE => log::Level::Trace,
        _ => log::Level::Info,
    };
    // A panic of the logger must not unwind into the plugin.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin holds the context, and passes valid bytes.
        unsafe { services(context).log(level, &printable(text.as_slice())) };
    }));
}

/// # Safety
/// `call` must be filled in as the interface requires.
unsafe fn read_request(call: *const ActorCall, largest_payload: usize) -> Result<ActorRequest, RequestFailure> {
    // SAFETY: the caller passes a valid call.
    let call = unsafe { &*call };
    // SAFETY: the bytes of a valid call are valid until the function of the interface returns.
    let [actor, operation, payload] =
        unsafe { [call.actor, call.operation, call.message].map(|bytes| bytes.as_slice()) };
    ActorRequest::check_sizes([actor.len(), operation.len()], payload.len(), largest_payload)?;
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| RequestFailure::new(FailureKind::Failed, "the name of the actor or operation is not UTF-8"))
    };
    Ok(ActorRequest {
        within: call.within,
        actor: text(actor)?,
        operation: text(operation)?,
        payload: ByteBuf::from(payload),
    })
}

/// Returns an outcome as an answer. The plugin releases its bytes with [`free`].
fn into_answer(outcome: Outcome) -> Answer {
    let (status, bytes) = match outcome {
        Ok(bytes) => (status::DONE, bytes.into_vec()),
        Err(failure) => (failure.kind.status(), failure.text.into_bytes()),
    };
    let owner = Box::new(bytes);
    let bytes = Bytes::of(&owner);
    Answer { status, bytes, owner: Box::into_raw(owner).cast(), release: Some(free) }
}

unsafe extern "C-unwind" fn free(owner: *mut c_void, _: Bytes) {
    // SAFETY: the owner comes from `into_answer`, and the plugin releases it once.
    drop(unsafe { Box::from_raw(owner.cast::<Vec<u8>>()) });
}
