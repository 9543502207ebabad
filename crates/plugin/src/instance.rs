//! A provider in a library, wrapped for safe calls from any thread.

#![allow(unsafe_code, reason = "calls the functions of a library")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_bytes::ByteBuf;
use wasmcloud_provider_sdk::interface::{
    Answer, Bytes, HostInterface, LinkDefinition, Pair, ProviderCall, ProviderInterface, status,
};

use super::host_vtable::{self, HostServices};
use super::library::Library;
use super::request::{CallRequest, FailureKind, LinkRequest, Outcome, ProviderRequest, RequestFailure};

/// The size of the largest answer that is accepted from a provider, in bytes.
pub(super) const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A provider in a library. Dropping this destroys the provider, which may block.
pub(super) struct PluginInstance {
    library: Arc<Library>,
    provider: *mut c_void,
    host: HostInterface,
}

// SAFETY: the interface requires providers to accept calls and health checks on several threads. The owners of an instance
// make all other requests on one thread.
unsafe impl Send for PluginInstance {}
// SAFETY: as above.
unsafe impl Sync for PluginInstance {}

impl PluginInstance {
    /// Starts a provider of a library. This blocks the calling thread.
    ///
    /// # Errors
    /// The failure that the library reports.
    pub(super) fn start(
        library: Arc<Library>,
        services: Arc<dyn HostServices>,
    ) -> Result<PluginInstance, RequestFailure> {
        let host = host_vtable::interface_to(services);
        let mut provider = std::ptr::null_mut();
        // SAFETY: the table was checked, and the interface outlives the function.
        let outcome = with_answer(|answer| provider = unsafe { (library.interface.start)(&host, answer) });
        let failure = match outcome {
            Ok(_) if !provider.is_null() => return Ok(PluginInstance { library, provider, host }),
            Ok(_) => RequestFailure::new(FailureKind::Failed, "it returned no provider and no reason"),
            Err(failure) => failure,
        };
        // SAFETY: this releases the reference of the host. The library may have retained others.
        unsafe { host_vtable::release(host.context) };
        Err(failure)
    }

    /// Makes a request to the provider. This blocks until the provider returns.
    pub(super) fn request(&self, request: &ProviderRequest) -> Outcome {
        let table: &ProviderInterface = &self.library.interface;
        let provider = self.provider;
        // SAFETY: the table was checked, the provider is alive, and all arguments outlive the call.
        unsafe {
            match request {
                ProviderRequest::Bind(link) => {
                    with_link(link, |link| with_answer(|answer| (table.bind)(provider, link, answer)))
                }
                ProviderRequest::Drain { actor } => with_answer(|answer| (table.drain)(provider, bytes(actor), answer)),
                ProviderRequest::Unbind { actor } => {
                    with_answer(|answer| (table.unbind)(provider, bytes(actor), answer))
                }
                ProviderRequest::Call(call) => {
                    with_answer(|answer| (table.handle_call)(provider, &provider_call(call), answer))
                }
                ProviderRequest::Check => with_answer(|answer| (table.health)(provider, answer)),
                ProviderRequest::Stop => with_answer(|answer| (table.stop)(provider, answer)),
            }
        }
    }
}

impl Drop for PluginInstance {
    fn drop(&mut self) {
        // SAFETY: the provider is alive, and is not used afterwards.
        unsafe { (self.library.interface.destroy)(self.provider) };
        // SAFETY: this releases the instance's own reference, once.
        unsafe { host_vtable::release(self.host.context) };
    }
}

/// Calls a function that fills in an answer. Copies the answer and releases its bytes.
fn with_answer(function: impl FnOnce(*mut Answer)) -> Outcome {
    let mut answer = Answer::unanswered();
    // A foreign exception leaves the plugin in an unknown state, so it ends the process.
    if catch_unwind(AssertUnwindSafe(|| function(&mut answer))).is_err() {
        std::process::abort();
    }
    let outcome = read_answer(&answer);
    if let Some(release) = answer.release {
        // SAFETY: the bytes have been copied, and are released once.
        unsafe { release(answer.owner, answer.bytes) };
    }
    outcome
}

fn read_answer(answer: &Answer) -> Outcome {
    let length = answer.bytes.length;
    if length > LARGEST_ANSWER {
        let text = format!("it answered with {length} bytes, more than the limit of {LARGEST_ANSWER}");
        return Err(RequestFailure::new(FailureKind::Failed, text));
    }
    // SAFETY: the bytes of an answer are valid until they are released.
    let bytes = unsafe { answer.bytes.as_slice() };
    let kind = match answer.status {
        status::DONE => return Ok(ByteBuf::from(bytes)),
        status::PANICKED => FailureKind::Panicked,
        status::UNANSWERED => return Err(RequestFailure::new(FailureKind::Failed, "it did not answer")),
        _ => FailureKind::Failed,
    };
    Err(RequestFailure::new(kind, String::from_utf8_lossy(bytes)))
}

fn bytes(text: &str) -> Bytes {
    Bytes::of(text.as_bytes())
}

fn provider_call(call: &CallRequest) -> ProviderCall {
    ProviderCall {
        id: call.id,
        time_left: call.time_left,
        actor: bytes(&call.actor),
        operation: bytes(&call.operation),
        message: Bytes::of(&call.payload),
    }
}

/// Calls a function with a link in the form of the C interface.
fn with_link<T>(link: &LinkRequest, function: impl FnOnce(&LinkDefinition) -> T) -> T {
    let texts = |texts: &[String]| texts.iter().map(|text| bytes(text)).collect::<Vec<_>>();
    let capabilities = texts(&link.capabilities);
    let tags = texts(&link.tags);
    let pair = |(key, value): &(String, String)| Pair { key: bytes(key), value: bytes(value) };
    let values: Vec<Pair> = link.values.iter().map(pair).collect();
    function(&LinkDefinition {
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
