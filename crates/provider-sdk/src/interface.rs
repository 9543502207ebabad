//! The C interface between host and plugin, as `include/wasmcloud_provider.h` describes it.
//!
//! Everything here is `#[repr(C)]`. What one side gives the other to look at, it owns and keeps until the function
//! returns; what is given to keep comes as an [`Answer`], and goes back to the side that made it to be freed. Neither
//! panics nor foreign exceptions may cross. Providers in Rust need none of this: see [`Provider`](crate::Provider).

use std::ffi::c_void;

/// The version of this interface. Host and plugin must have the same.
pub const VERSION: u32 = 1;

/// What the table of each plugin begins with.
pub const MAGIC: [u8; 8] = *b"wmcldprv";

/// The name of the symbol that a plugin's table is found by, with the zero at its end.
pub const SYMBOL: &[u8] = b"wasmcloud_provider\0";

/// The statuses of an [`Answer`].
pub mod status {
    /// It was done; the bytes are the result.
    pub const DONE: u32 = 0;
    /// It failed; the bytes say why, in UTF-8.
    pub const FAILED: u32 = 1;
    /// The provider panicked over it; the bytes say why, in UTF-8. The host makes the provider anew.
    pub const PANICKED: u32 = 2;
    /// From the host: the actor did not answer in time.
    pub const TIMED_OUT: u32 = 3;
    /// From the host: the actor does not run, is not linked or has too much to do.
    pub const UNAVAILABLE: u32 = 4;
    /// What an answer is before anybody has answered.
    pub const UNANSWERED: u32 = u32::MAX;
}

/// The levels of [`HostInterface::log`].
pub mod level {
    /// Something is lost.
    pub const ERROR: u32 = 1;
    /// Something is not as it should be.
    pub const WARN: u32 = 2;
    /// What an operator wants to know.
    pub const INFO: u32 = 3;
    /// What a developer wants to know.
    pub const DEBUG: u32 = 4;
    /// Everything.
    pub const TRACE: u32 = 5;
}

/// Bytes to look at: they belong to whoever passes them, and last until the function that they are passed to returns.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Bytes {
    /// Where they begin; may be null where there are none.
    pub start: *const u8,
    /// How many there are.
    pub length: usize,
}

/// One value of a link.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Pair {
    /// Its name, in UTF-8.
    pub key: Bytes,
    /// Its text, in UTF-8.
    pub value: Bytes,
}

/// What a function answers. Whoever asks sets the status to [`status::UNANSWERED`] and everything else to zero before;
/// whoever is asked fills it in; whoever asked calls `release` once it has read the bytes, if it is given.
#[derive(Debug)]
#[repr(C)]
pub struct Answer {
    /// One of [`status`].
    pub status: u32,
    /// The result, or why there is none.
    pub bytes: Bytes,
    /// What `release` is called with.
    pub owner: *mut c_void,
    /// Frees the bytes; null where that is not needed.
    pub release: Option<unsafe extern "C-unwind" fn(owner: *mut c_void, bytes: Bytes)>,
}

/// A link that a provider is to take.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct LinkDefinition {
    /// The public key of the actor.
    pub actor: Bytes,
    /// The name that its signer gave the actor.
    pub actor_name: Bytes,
    /// The account that signed the actor.
    pub issuer: Bytes,
    /// The contracts that the actor's claims include.
    pub capabilities: *const Bytes,
    /// How many they are.
    pub capability_count: usize,
    /// The actor's tags.
    pub tags: *const Bytes,
    /// How many they are.
    pub tag_count: usize,
    /// The link's values.
    pub values: *const Pair,
    /// How many they are.
    pub value_count: usize,
    /// When the actor's token ends, in seconds since 1970; 0 if it does not.
    pub expires: u64,
}

/// A call of an actor.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ProviderCall {
    /// What the provider names when it calls actors as part of this call; never 0.
    pub id: u64,
    /// How long the caller waits for the answer, in milliseconds.
    pub time_left: u64,
    /// The public key of the actor.
    pub actor: Bytes,
    /// The operation, in UTF-8.
    pub operation: Bytes,
    /// The payload.
    pub message: Bytes,
}

/// A call to an actor.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ActorCall {
    /// The call that it is part of, or 0 where the provider calls of its own accord. As part of a call it shares what is
    /// left of that call's time, and one that would wait for itself is refused.
    pub within: u64,
    /// The public key of the actor.
    pub actor: Bytes,
    /// The operation, in UTF-8.
    pub operation: Bytes,
    /// The payload.
    pub message: Bytes,
}

/// What is called with the answer of an actor, once. The answer and its bytes belong to the host, and last until it
/// returns.
pub type ActorAnswered = unsafe extern "C" fn(asker: *mut c_void, answer: *const Answer);

/// What a provider can ask of its host. Its functions can be called from any thread, for as long as the provider has not
/// returned from `destroy` or holds the context (see `retain`).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct HostInterface {
    /// [`VERSION`].
    pub version: u32,
    /// The size of this struct in bytes. A host of the same version may offer more than is described here.
    pub size: u32,
    /// What the functions are called with.
    pub context: *mut c_void,
    /// Keeps the context beyond `destroy`, until it is released as often as it was retained.
    pub retain: unsafe extern "C" fn(context: *mut c_void),
    /// Lets go of the context.
    pub release: unsafe extern "C" fn(context: *mut c_void),
    /// Calls an actor and waits for its answer.
    pub call_actor: unsafe extern "C" fn(context: *mut c_void, call: *const ActorCall, answer: *mut Answer),
    /// Calls an actor and does not wait: the answer is brought later, from a thread of the host that must not be held up.
    pub call_actor_then:
        unsafe extern "C" fn(context: *mut c_void, call: *const ActorCall, answered: ActorAnswered, asker: *mut c_void),
    /// Writes a line on the host's log, at one of [`level`].
    pub log: unsafe extern "C" fn(context: *mut c_void, level: u32, text: Bytes),
}

/// The table of a plugin: a constant named `wasmcloud_provider`. Calls come from several threads at once; `start`, `bind`,
/// `drain`, `unbind`, `stop` and `destroy` come one after the other.
///
/// Nothing may unwind out of them. That they are `C-unwind` gives an exception that does a defined end: the host aborts.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ProviderInterface {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// The size of this struct in bytes. A plugin of the same version may offer more than is described here.
    pub size: u32,
    /// Makes a provider. What it returns is what the other functions are called with; null where the answer has failed.
    pub start: unsafe extern "C-unwind" fn(host: *const HostInterface, answer: *mut Answer) -> *mut c_void,
    /// Takes a link, or new values for one.
    pub bind: unsafe extern "C-unwind" fn(provider: *mut c_void, link: *const LinkDefinition, answer: *mut Answer),
    /// Begins no more calls to an actor, and waits for those under way.
    pub drain: unsafe extern "C-unwind" fn(provider: *mut c_void, actor: Bytes, answer: *mut Answer),
    /// Lets go of a link.
    pub unbind: unsafe extern "C-unwind" fn(provider: *mut c_void, actor: Bytes, answer: *mut Answer),
    /// Serves a call.
    pub handle_call: unsafe extern "C-unwind" fn(provider: *mut c_void, call: *const ProviderCall, answer: *mut Answer),
    /// Tells how the provider is: done where it is well.
    pub health: unsafe extern "C-unwind" fn(provider: *mut c_void, answer: *mut Answer),
    /// Releases everything, and ends what is under way. After it, only `destroy` is called.
    pub stop: unsafe extern "C-unwind" fn(provider: *mut c_void, answer: *mut Answer),
    /// Frees the provider. No thread of it may run in the library any more when this returns.
    pub destroy: unsafe extern "C-unwind" fn(provider: *mut c_void),
}

// SAFETY: a table of functions that may be called from any thread.
unsafe impl Sync for ProviderInterface {}

impl Bytes {
    /// These bytes, to be looked at.
    pub fn of(bytes: &[u8]) -> Bytes {
        Bytes { start: bytes.as_ptr(), length: bytes.len() }
    }

    /// No bytes.
    pub const fn none() -> Bytes {
        Bytes { start: std::ptr::null(), length: 0 }
    }

    /// The bytes themselves: none where the start is null.
    ///
    /// # Safety
    /// They must be there for as long as the slice lives.
    pub unsafe fn as_slice<'a>(self) -> &'a [u8] {
        if self.start.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: whoever passes bytes promises that so many are there.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl Answer {
    /// An answer that nobody has given yet.
    pub const fn unanswered() -> Answer {
        Answer { status: status::UNANSWERED, bytes: Bytes::none(), owner: std::ptr::null_mut(), release: None }
    }
}
