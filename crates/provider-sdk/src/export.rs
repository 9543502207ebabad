//! Exports a [`Provider`] as the table of functions that the host calls.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::answer::answer_with;
use crate::interface::{
    Answer, Bytes, HostInterface, LinkDefinition, MAGIC, ProviderCall, ProviderInterface, VERSION, status,
};
use crate::{Call, Error, Host, Link, Provider};

/// Exports a [`Provider`] as the plugin of a library: defines the table of functions that the host looks up. A library exports
/// one provider.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        /// The table of functions of this plugin.
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals, reason = "the symbol is the same in every language")]
        pub static wasmcloud_provider: $crate::interface::ProviderInterface = $crate::interface_of::<$provider>();
    };
}

/// Returns the table of functions of a provider.
#[doc(hidden)]
pub const fn interface_of<P: Provider>() -> ProviderInterface {
    ProviderInterface {
        magic: MAGIC,
        version: VERSION,
        size: size_of::<ProviderInterface>() as u32,
        start: start::<P>,
        bind: bind::<P>,
        drain: drain::<P>,
        unbind: unbind::<P>,
        handle_call: handle_call::<P>,
        health: health::<P>,
        stop: stop::<P>,
        destroy: destroy::<P>,
    }
}

/// A started provider and its host.
struct Started<P> {
    provider: P,
    host: Host,
}

/// Runs a function and writes its result to an answer. A panic becomes an answer with status `PANICKED`.
///
/// # Safety
/// The answer must be valid for writes.
unsafe fn answering(answer: *mut Answer, function: impl FnOnce() -> Result<Vec<u8>, Error>) {
    let result = match catch_unwind(AssertUnwindSafe(function)) {
        Ok(Ok(result)) => answer_with(status::DONE, result),
        Ok(Err(error)) => answer_with(status::FAILED, error.into_bytes()),
        Err(panic) => answer_with(status::PANICKED, panic_text(&*panic)),
    };
    // SAFETY: the caller guarantees that the answer is valid for writes.
    unsafe { answer.write(result) };
}

fn panic_text(panic: &(dyn Any + Send)) -> Vec<u8> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").as_bytes().to_vec()
}

unsafe extern "C-unwind" fn start<P: Provider>(host: *const HostInterface, answer: *mut Answer) -> *mut c_void {
    let mut started = std::ptr::null_mut();
    // SAFETY: the host passes its interface, and an answer to write to.
    unsafe {
        answering(answer, || {
            let host = Host::new(&*host);
            let provider = P::start(host.clone())?;
            started = Box::into_raw(Box::new(Started { provider, host })).cast();
            Ok(Vec::new())
        });
    }
    started
}

/// # Safety
/// `provider` must come from [`start`] for the same type, and must not have been destroyed.
unsafe fn started<'a, P>(provider: *mut c_void) -> &'a Started<P> {
    // SAFETY: the caller guarantees that the pointer is valid.
    unsafe { &*provider.cast::<Started<P>>() }
}

unsafe extern "C-unwind" fn bind<P: Provider>(provider: *mut c_void, link: *const LinkDefinition, answer: *mut Answer) {
    // SAFETY: the host passes what `start` returned, a link that it keeps, and an answer to write to.
    unsafe {
        answering(answer, || {
            started::<P>(provider).provider.bind(read_link(&*link)?)?;
            Ok(Vec::new())
        });
    }
}

unsafe extern "C-unwind" fn drain<P: Provider>(provider: *mut c_void, actor: Bytes, answer: *mut Answer) {
    // SAFETY: the host passes what `start` returned, a name that it keeps, and an answer to write to.
    unsafe {
        answering(answer, || {
            started::<P>(provider).provider.drain(text(actor)?)?;
            Ok(Vec::new())
        });
    }
}

unsafe extern "C-unwind" fn unbind<P: Provider>(provider: *mut c_void, actor: Bytes, answer: *mut Answer) {
    // SAFETY: the host passes what `start` returned, a name that it keeps, and an answer to write to.
    unsafe {
        answering(answer, || {
            started::<P>(provider).provider.unbind(text(actor)?)?;
            Ok(Vec::new())
        });
    }
}

unsafe extern "C-unwind" fn handle_call<P: Provider>(
    provider: *mut c_void,
    call: *const ProviderCall,
    answer: *mut Answer,
) {
    // SAFETY: the host passes what `start` returned, a call that it keeps, and an answer to write to.
    unsafe {
        answering(answer, || {
            let Started { provider, host } = started::<P>(provider);
            let call = &*call;
            provider.handle_call(Call {
                actor: text(call.actor)?,
                operation: text(call.operation)?,
                message: call.message.as_slice(),
                host: host.within(call.id),
                deadline: Instant::now() + Duration::from_millis(call.time_left).min(Duration::from_secs(1 << 32)),
            })
        });
    }
}

unsafe extern "C-unwind" fn health<P: Provider>(provider: *mut c_void, answer: *mut Answer) {
    // SAFETY: the host passes what `start` returned, and an answer to write to.
    unsafe {
        answering(answer, || {
            started::<P>(provider).provider.health()?;
            Ok(Vec::new())
        });
    }
}

unsafe extern "C-unwind" fn stop<P: Provider>(provider: *mut c_void, answer: *mut Answer) {
    // SAFETY: the host passes what `start` returned, and an answer to write to.
    unsafe {
        answering(answer, || {
            started::<P>(provider).provider.stop();
            Ok(Vec::new())
        });
    }
}

unsafe extern "C-unwind" fn destroy<P: Provider>(provider: *mut c_void) {
    // SAFETY: the host passes what `start` returned, once, and nothing afterwards.
    let started = unsafe { Box::from_raw(provider.cast::<Started<P>>()) };
    // A panic must not unwind into the host, and cannot be reported here.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(started)));
}

/// # Safety
/// The bytes must be valid for `'a`.
unsafe fn text<'a>(bytes: Bytes) -> Result<&'a str, Error> {
    // SAFETY: the caller guarantees that the bytes are valid.
    Ok(std::str::from_utf8(unsafe { bytes.as_slice() })?)
}

/// # Safety
/// `start` must be null, or point to `count` elements that are valid for `'a`.
unsafe fn list<'a, T>(start: *const T, count: usize) -> &'a [T] {
    if start.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller guarantees that the elements are valid.
    unsafe { std::slice::from_raw_parts(start, count) }
}

/// # Safety
/// The link must be filled in as the interface requires, and its bytes must be valid for `'a`.
unsafe fn read_link<'a>(link: &'a LinkDefinition) -> Result<Link<'a>, Error> {
    // SAFETY: the caller guarantees that all bytes are valid.
    unsafe {
        let texts = |start, count| -> Result<Vec<&'a str>, Error> {
            list::<Bytes>(start, count).iter().map(|bytes| text(*bytes)).collect()
        };
        let values = list(link.values, link.value_count).iter();
        Ok(Link {
            actor: text(link.actor)?,
            actor_name: text(link.actor_name)?,
            issuer: text(link.issuer)?,
            capabilities: texts(link.capabilities, link.capability_count)?,
            tags: texts(link.tags, link.tag_count)?,
            expires: Some(link.expires).filter(|&expires| expires != 0),
            values: values.map(|pair| Ok((text(pair.key)?, text(pair.value)?))).collect::<Result<_, Error>>()?,
        })
    }
}
