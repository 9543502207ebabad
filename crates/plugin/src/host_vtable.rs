//! What a plugin can ask of its host, as the C functions that it calls.

#![allow(unsafe_code, reason = "the functions are called from C")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_bytes::ByteBuf;
use wasmcloud_core::text::printable;
use wasmcloud_provider_sdk::interface::{
    ActorAnswered, ActorCall, Answer, Bytes, HostInterface, VERSION, level, status,
};

use super::callbacks::{Asker, Callback, Callbacks};
use super::order::{ActorRequest, Failure, FailureKind, Outcome};

/// Where what a plugin asks for leads.
pub(super) trait HostServices: Send + Sync {
    /// Has an actor called. It does not wait for the answer.
    fn call_actor(&self, request: ActorRequest, asker: Asker);

    /// The largest message to an actor that the host takes, in bytes.
    fn largest_message(&self) -> usize;

    /// The thread on which functions of the plugin are called.
    fn callbacks(&self) -> &Callbacks;

    /// Writes a line on the log.
    fn log(&self, level: log::Level, text: &str);
}

/// A plugin's host_vtable to the services: shared with the plugin, which may keep it longer than the host does.
pub(super) struct HostVTable(Arc<dyn HostServices>);

/// The interface over a host_vtable, which is kept until the interface is [released](release).
pub(super) fn open(services: Arc<dyn HostServices>) -> HostInterface {
    let context = Arc::into_raw(Arc::new(HostVTable(services))).cast_mut().cast();
    let size = size_of::<HostInterface>() as u32;
    HostInterface { version: VERSION, size, context, retain, release, call_actor, call_actor_then, log: write_log }
}

unsafe extern "C" fn retain(context: *mut c_void) {
    // SAFETY: the context came from `open`, and whoever calls this holds it.
    unsafe { Arc::increment_strong_count(context.cast::<HostVTable>()) };
}

/// Lets go of a context.
pub(super) unsafe extern "C" fn release(context: *mut c_void) {
    // SAFETY: the context came from `open`, and is released as often as it was retained.
    unsafe { Arc::decrement_strong_count(context.cast::<HostVTable>()) };
}

/// # Safety
/// The context must be one that the caller holds.
unsafe fn services<'a>(context: *mut c_void) -> &'a dyn HostServices {
    // SAFETY: as the caller promises.
    unsafe { &*(*context.cast::<HostVTable>()).0 }
}

unsafe extern "C" fn call_actor(context: *mut c_void, call: *const ActorCall, answer: *mut Answer) {
    // SAFETY: the plugin holds the context, and passes a call and an answer of the interface.
    let outcome = unsafe {
        if Callbacks::are_on_this_thread() {
            Err(Failure::new(FailureKind::Failed, "waiting for an actor where an answer is brought would stall others"))
        } else {
            let services = services(context);
            request(call, services.largest_message()).and_then(|request| wait_for(services, request))
        }
    };
    // SAFETY: the plugin passes an answer to write to.
    unsafe { answer.write(given(outcome)) };
}

fn wait_for(services: &dyn HostServices, request: ActorRequest) -> Outcome {
    let (asker, answer) = crossbeam_channel::bounded(1);
    services.call_actor(request, Asker::Thread(asker));
    answer.recv().unwrap_or_else(|_| Err(Failure::nobody_answers()))
}

unsafe extern "C" fn call_actor_then(
    context: *mut c_void,
    call: *const ActorCall,
    answered: ActorAnswered,
    asker: *mut c_void,
) {
    // SAFETY: the plugin holds the context.
    let services = unsafe { services(context) };
    let asker = Asker::Function(Callback::new(answered, asker, services.callbacks().clone()));
    // SAFETY: the plugin passes a call of the interface.
    match unsafe { request(call, services.largest_message()) } {
        Ok(request) => services.call_actor(request, asker),
        // A refusal comes as any other answer does, and not before this returns: a function that calls again would never
        // come to an end.
        Err(failure) => asker.bring(Err(failure), None),
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
    // A logger that panics must not take the plugin with it.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the plugin holds the context, and passes bytes that are there.
        unsafe { services(context).log(level, &printable(text.as_slice())) };
    }));
}

/// # Safety
/// It must be a call that is filled in as the interface says.
unsafe fn request(call: *const ActorCall, largest: usize) -> Result<ActorRequest, Failure> {
    // SAFETY: as the caller promises.
    let (call, actor, operation, message) = unsafe {
        let call = &*call;
        (call, call.actor.as_slice(), call.operation.as_slice(), call.message.as_slice())
    };
    ActorRequest::expect_lengths([actor.len(), operation.len()], message.len(), largest)?;
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| Failure::new(FailureKind::Failed, "the name of the actor or operation is no UTF-8"))
    };
    let (actor, operation) = (text(actor)?, text(operation)?);
    Ok(ActorRequest { within: call.within, actor, operation, message: ByteBuf::from(message) })
}

/// An outcome as an answer, whose bytes the plugin has the host free.
fn given(outcome: Outcome) -> Answer {
    let (status, bytes) = match outcome {
        Ok(bytes) => (status::DONE, bytes.into_vec()),
        Err(failure) => (failure.kind.status(), failure.text.into_bytes()),
    };
    let owner = Box::new(bytes);
    let bytes = Bytes::of(&owner);
    Answer { status, bytes, owner: Box::into_raw(owner).cast(), release: Some(free) }
}

unsafe extern "C-unwind" fn free(owner: *mut c_void, _: Bytes) {
    // SAFETY: it is the owner that `given` has made, and the plugin releases it once.
    drop(unsafe { Box::from_raw(owner.cast::<Vec<u8>>()) });
}
