//! A provider that a library has made, safe to call from any thread.

#![allow(unsafe_code, reason = "the functions of a library are called")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_bytes::ByteBuf;
use wasmcloud_provider_sdk::interface::{
    Answer, Bytes, HostInterface, LinkDefinition, Pair, ProviderCall, ProviderInterface, status,
};

use super::host_vtable::{self, HostServices};
use super::library::Library;
use super::order::{CallOrder, Failure, FailureKind, LinkOrder, Order, Outcome};

/// The largest answer that is taken from a provider.
pub(super) const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A provider as it lives in its library. It is destroyed when this is dropped, which may block.
pub(super) struct Instance {
    /// Held by every object that came from it.
    library: Arc<Library>,
    provider: *mut c_void,
    host: HostInterface,
}

// SAFETY: the interface says that calls come from several threads. That everything else comes one after the other is seen to
// by those who own an instance: one thread carries it out.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Instance {
    /// Has a library make a provider.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn start(library: Arc<Library>, services: Arc<dyn HostServices>) -> Result<Instance, Failure> {
        let host = host_vtable::open(services);
        let mut made = std::ptr::null_mut();
        // SAFETY: the table was checked; the interface is there until the function returns.
        let outcome = asked(|answer| made = unsafe { (library.interface.start)(&host, answer) });
        let refusal = match outcome {
            Ok(_) if !made.is_null() => return Ok(Instance { library, provider: made, host }),
            Ok(_) => Failure::new(FailureKind::Failed, "it made no provider, and does not say why"),
            Err(failure) => failure,
        };
        // SAFETY: nobody but the library holds the context any more, if it has retained it.
        unsafe { host_vtable::release(host.context) };
        Err(refusal)
    }

    /// Has the provider do something. It blocks for as long as the provider likes.
    pub(super) fn carry_out(&self, order: &Order) -> Outcome {
        let (table, provider): (&ProviderInterface, _) = (&self.library.interface, self.provider);
        // SAFETY: the table was checked, the provider is alive, and all that is passed outlives the call.
        unsafe {
            match order {
                Order::Bind(link) => with_link(link, |link| asked(|answer| (table.bind)(provider, link, answer))),
                Order::Drain { actor } => asked(|answer| (table.drain)(provider, bytes(actor), answer)),
                Order::Unbind { actor } => asked(|answer| (table.unbind)(provider, bytes(actor), answer)),
                Order::Call(call) => asked(|answer| (table.handle_call)(provider, &provider_call(call), answer)),
                Order::Check => asked(|answer| (table.health)(provider, answer)),
                Order::Stop => asked(|answer| (table.stop)(provider, answer)),
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the provider is alive, and nothing is called with it afterwards.
        unsafe { (self.library.interface.destroy)(self.provider) };
        // SAFETY: it is this instance's own hold, let go of once.
        unsafe { host_vtable::release(self.host.context) };
    }
}

/// Asks for something that is answered in place, takes the answer and gives its bytes back.
fn asked(ask: impl FnOnce(*mut Answer)) -> Outcome {
    let mut answer = Answer::unanswered();
    // An exception ends the process here: there is no telling what it left behind.
    if catch_unwind(AssertUnwindSafe(|| ask(&mut answer))).is_err() {
        std::process::abort();
    }
    let outcome = taken(&answer);
    if let Some(release) = answer.release {
        // SAFETY: the bytes have been copied, and this is the one time.
        unsafe { release(answer.owner, answer.bytes) };
    }
    outcome
}

fn taken(answer: &Answer) -> Outcome {
    let length = answer.bytes.length;
    if length > LARGEST_ANSWER {
        let text = format!("it answered with {length} bytes; at most {LARGEST_ANSWER} are taken");
        return Err(Failure::new(FailureKind::Failed, text));
    }
    // SAFETY: a provider that answers promises that its bytes are there until they are released.
    let bytes = unsafe { answer.bytes.as_slice() };
    let kind = match answer.status {
        status::DONE => return Ok(ByteBuf::from(bytes)),
        status::PANICKED => FailureKind::Panicked,
        status::UNANSWERED => return Err(Failure::new(FailureKind::Failed, "it did not answer")),
        _ => FailureKind::Failed,
    };
    Err(Failure::new(kind, String::from_utf8_lossy(bytes)))
}

fn bytes(text: &str) -> Bytes {
    Bytes::of(text.as_bytes())
}

fn provider_call(call: &CallOrder) -> ProviderCall {
    let CallOrder { id, time_left, actor, operation, message } = call;
    let (actor, operation, message) = (bytes(actor), bytes(operation), Bytes::of(message));
    ProviderCall { id: *id, time_left: *time_left, actor, operation, message }
}

/// Lends a link in the form of the interface.
fn with_link<T>(link: &LinkOrder, lend: impl FnOnce(&LinkDefinition) -> T) -> T {
    let texts = |texts: &[String]| texts.iter().map(|text| bytes(text)).collect::<Vec<_>>();
    let (capabilities, tags) = (texts(&link.capabilities), texts(&link.tags));
    let pair = |(key, value): &(String, String)| Pair { key: bytes(key), value: bytes(value) };
    let values: Vec<Pair> = link.values.iter().map(pair).collect();
    lend(&LinkDefinition {
        actor: bytes(&link.actor),
        actor_name: bytes(&link.actor_name),
        issuer: bytes(&link.issuer),
        capabilities: capabilities.as_ptr(),
        capability_count: capabilities.len(),
        tags: tags.as_ptr(),
        tag_count: tags.len(),
        values: values.as_ptr(),
        value_count: values.len(),
        expires: link.expires,
    })
}
