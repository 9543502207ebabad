//! The C interface between host and plugin, the same as in `include/wasmcloud_provider.h`.
//!
//! All types are `#[repr(C)]`. The arguments of a function belong to the caller, and are valid until the function returns.
//! Results come as an [`Answer`]; the caller has the side that allocated them free them. Neither panics nor foreign exceptions
//! may cross the interface. Providers in Rust use [`Provider`](crate::Provider) instead.

use std::ffi::c_void;

/// The version of this interface. Host and plugin must have the same.
pub const VERSION: u32 = 1;

/// The first bytes of the table of each plugin.
pub const MAGIC: [u8; 8] = *b"wmcldprv";

/// The name of the symbol of a plugin's table, with a terminating zero.
pub const SYMBOL: &[u8] = b"wasmcloud_provider\0";

/// The statuses of an [`Answer`].
pub mod status {
    /// The request succeeded. The bytes are the result.
    pub const DONE: u32 = 0;
    /// The request failed. The bytes are the reason, in UTF-8.
    pub const FAILED: u32 = 1;
    /// The provider panicked. The bytes are the text of the panic, in UTF-8. The host restarts the provider.
    pub const PANICKED: u32 = 2;
    /// From the host: the actor did not answer before the deadline.
    pub const TIMED_OUT: u32 = 3;
    /// From the host: the actor does not run, is not linked, or is busy.
    pub const UNAVAILABLE: u32 = 4;
    /// The initial status, before the function fills in the answer.
    pub const UNANSWERED: u32 = u32::MAX;
}

/// The levels of [`HostInterface::log`].
pub mod level {
    /// Data or an operation was lost.
    pub const ERROR: u32 = 1;
    /// An unexpected condition that the provider could handle.
    pub const WARN: u32 = 2;
    /// Information for operators.
    pub const INFO: u32 = 3;
    /// Information for developers.
    pub const DEBUG: u32 = 4;
    /// Every detail.
    pub const TRACE: u32 = 5;
}

/// Borrowed bytes. They belong to the caller of a function, and are valid until the function returns.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Bytes {
    /// The address of the first byte. May be null if there are no bytes.
    pub start: *const u8,
    /// The number of bytes.
    pub length: usize,
}

/// One value of a link.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Pair {
    /// The name of the value, in UTF-8.
    pub key: Bytes,
    /// The value, in UTF-8.
    pub value: Bytes,
}

/// The answer of a function. The caller sets the status to [`status::UNANSWERED`] and all other fields to zero. The function
/// fills them in. The caller reads the bytes, and then calls `release` unless it is null.
#[derive(Debug)]
#[repr(C)]
pub struct Answer {
    /// One of [`status`].
    pub status: u32,
    /// The result, or the reason of a failure.
    pub bytes: Bytes,
    /// The first argument of `release`.
    pub owner: *mut c_void,
    /// Frees the bytes. Null if they need not be freed.
    pub release: Option<unsafe extern "C-unwind" fn(owner: *mut c_void, bytes: Bytes)>,
}

/// A link between an actor and the provider.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct LinkDefinition {
    /// The public key of the actor.
    pub actor: Bytes,
    /// The name that the signer gave the actor.
    pub actor_name: Bytes,
    /// The public key of the account that signed the actor.
    pub issuer: Bytes,
    /// The contracts that the actor's claims include.
    pub capabilities: *const Bytes,
    /// The number of contracts.
    pub capability_count: usize,
    /// The actor's tags.
    pub tags: *const Bytes,
    /// The number of tags.
    pub tag_count: usize,
    /// The link's values.
    pub values: *const Pair,
    /// The number of values.
    pub value_count: usize,
    /// When the actor's token expires, or 0 if it does not. Unit: seconds since 1970.
    pub expires: u64,
}

/// A call of an actor to the provider.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ProviderCall {
    /// The id for [`ActorCall::within`] of calls to actors that are part of this call. Never 0.
    pub id: u64,
    /// The time until the call's deadline. Unit: milliseconds.
    pub time_left: u64,
    /// The public key of the actor.
    pub actor: Bytes,
    /// The operation, in UTF-8.
    pub operation: Bytes,
    /// The payload.
    pub message: Bytes,
}

/// A call of the provider to an actor.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ActorCall {
    /// The [id](ProviderCall::id) of the call that this call is part of, or 0 if it is part of none. A call that is part of
    /// another shares its deadline, and is refused if the actor already waits for it.
    pub within: u64,
    /// The public key of the actor.
    pub actor: Bytes,
    /// The operation, in UTF-8.
    pub operation: Bytes,
    /// The payload.
    pub message: Bytes,
}

/// The function that is called once with the answer of an actor. The answer and its bytes belong to the host, and are valid
/// until the function returns.
pub type ActorAnswered = unsafe extern "C" fn(asker: *mut c_void, answer: *const Answer);

/// The functions of the host. They can be called from any thread until `destroy` returns, and afterwards while the provider
/// retains the context.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct HostInterface {
    /// [`VERSION`].
    pub version: u32,
    /// The size of this struct. A host of the same version may append further fields. Unit: bytes.
    pub size: u32,
    /// The first argument of the functions.
    pub context: *mut c_void,
    /// Keeps the context valid beyond `destroy`, until it is released as often as it was retained.
    pub retain: unsafe extern "C" fn(context: *mut c_void),
    /// Releases the context.
    pub release: unsafe extern "C" fn(context: *mut c_void),
    /// Calls an actor and blocks until it answers. Fails if it is called in an [`ActorAnswered`] function.
    pub call_actor: unsafe extern "C" fn(context: *mut c_void, call: *const ActorCall, answer: *mut Answer),
    /// Calls an actor without waiting. `answered` is called with `asker` and the answer, after this function has returned, on
    /// a thread of the host. It must not block.
    pub call_actor_then:
        unsafe extern "C" fn(context: *mut c_void, call: *const ActorCall, answered: ActorAnswered, asker: *mut c_void),
    /// Writes a line to the host's log, at one of [`level`].
    pub log: unsafe extern "C" fn(context: *mut c_void, level: u32, text: Bytes),
}

/// The table of a plugin: a constant named `wasmcloud_provider`. The host calls `handle_call` and `health` on several threads
/// concurrently. It calls `start`, `bind`, `drain`, `unbind`, `stop` and `destroy` in order.
///
/// Exceptions must not unwind out of the functions. The functions are `C-unwind` so that an exception that does has a defined
/// effect: the process aborts.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ProviderInterface {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// The size of this struct. A plugin of the same version may append further fields. Unit: bytes.
    pub size: u32,
    /// Starts a provider. Returns the first argument of the other functions, or null if the start fails.
    pub start: unsafe extern "C-unwind" fn(host: *const HostInterface, answer: *mut Answer) -> *mut c_void,
    /// Establishes a link, or replaces its values.
    pub bind: unsafe extern "C-unwind" fn(provider: *mut c_void, link: *const LinkDefinition, answer: *mut Answer),
    /// Starts no more calls to an actor, and waits for those in flight.
    pub drain: unsafe extern "C-unwind" fn(provider: *mut c_void, actor: Bytes, answer: *mut Answer),
    /// Removes a link.
    pub unbind: unsafe extern "C-unwind" fn(provider: *mut c_void, actor: Bytes, answer: *mut Answer),
    /// Serves a call.
    pub handle_call: unsafe extern "C-unwind" fn(provider: *mut c_void, call: *const ProviderCall, answer: *mut Answer),
    /// Checks the health of the provider. `DONE` means healthy.
    pub health: unsafe extern "C-unwind" fn(provider: *mut c_void, answer: *mut Answer),
    /// Releases all resources and ends all work. Only `destroy` is called afterwards.
    pub stop: unsafe extern "C-unwind" fn(provider: *mut c_void, answer: *mut Answer),
    /// Frees the provider. When this returns, none of its threads may run in the library.
    pub destroy: unsafe extern "C-unwind" fn(provider: *mut c_void),
}

// SAFETY: the table is constant, and its functions may be called from any thread.
unsafe impl Sync for ProviderInterface {}

impl Bytes {
    /// Returns borrowed bytes. They must not be used after the slice's lifetime.
    pub fn of(bytes: &[u8]) -> Bytes {
        Bytes { start: bytes.as_ptr(), length: bytes.len() }
    }

    /// Returns no bytes.
    pub const fn none() -> Bytes {
        Bytes { start: std::ptr::null(), length: 0 }
    }

    /// Returns the bytes as a slice, which is empty if the start is null.
    ///
    /// # Safety
    /// The bytes must be valid for `'a`.
    pub unsafe fn as_slice<'a>(self) -> &'a [u8] {
        if self.start.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: the caller guarantees that the bytes are valid.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl Answer {
    /// Returns an answer in its initial state, for a function to fill in.
    pub const fn unanswered() -> Answer {
        Answer { status: status::UNANSWERED, bytes: Bytes::none(), owner: std::ptr::null_mut(), release: None }
    }
}
