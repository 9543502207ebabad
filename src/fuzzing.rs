//! Internals for the fuzz targets in `fuzz/` (feature `fuzzing`). They are not part of the public API.

use wasmcloud_claims::jwt::{Actor, CapabilityProvider, Claims};
use wasmcloud_core::error::Result;
use wasmcloud_core::limits::Limits;

/// Reads text as the token of an actor.
///
/// # Errors
/// `InvalidToken`.
pub fn read_actor_token(token: &str) -> Result<Claims<Actor>> {
    wasmcloud_claims::read_token(token)
}

/// Reads text as the token of a provider.
///
/// # Errors
/// `InvalidToken`.
pub fn read_provider_token(token: &str) -> Result<Claims<CapabilityProvider>> {
    wasmcloud_claims::read_token(token)
}

/// The token that a module carries.
///
/// # Errors
/// `InvalidModule`, `Unsigned` or `InvalidToken`.
pub fn embedded_token(module: &[u8]) -> Result<&str> {
    wasmcloud_claims::embedded_token(module)
}

/// The hash of a module without its token.
///
/// # Errors
/// `InvalidModule`.
pub fn hash_without_token(module: &[u8]) -> Result<String> {
    wasmcloud_claims::hash_without_token(module)
}

/// A module without its token, and the same with another one.
///
/// # Errors
/// `InvalidModule`.
pub fn replace_token(module: &[u8], token: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let bare = wasmcloud_claims::without_token(module)?;
    Ok((bare.clone(), wasmcloud_claims::embed_token(bare, token)))
}

/// A verified module as it would be compiled.
///
/// # Errors
/// `InvalidModule`.
pub fn admit(actor: &crate::Actor) -> Result<Vec<u8>> {
    wasmcloud_engine::metered(&actor.module(), &Limits::new(), crate::Compiler::default())
}

/// The operations whose payloads [`read_payload`] reads, each with its contract; the last is the answer to a health check.
pub const OPERATIONS: [(&str, &str); 31] = [
    ("wasmcloud:httpserver", "HandleRequest"),
    ("wasmcloud:httpclient", "Request"),
    ("wasmcloud:keyvalue", "Get"),
    ("wasmcloud:keyvalue", "KeyExists"),
    ("wasmcloud:keyvalue", "Add"),
    ("wasmcloud:keyvalue", "Set"),
    ("wasmcloud:keyvalue", "Del"),
    ("wasmcloud:keyvalue", "Clear"),
    ("wasmcloud:keyvalue", "Range"),
    ("wasmcloud:keyvalue", "Push"),
    ("wasmcloud:keyvalue", "ListItemDelete"),
    ("wasmcloud:keyvalue", "SetAdd"),
    ("wasmcloud:keyvalue", "SetRemove"),
    ("wasmcloud:keyvalue", "SetUnion"),
    ("wasmcloud:keyvalue", "SetIntersection"),
    ("wasmcloud:keyvalue", "SetQuery"),
    ("wasmcloud:messaging", "Publish"),
    ("wasmcloud:messaging", "Request"),
    ("wasmcloud:blobstore", "CreateContainer"),
    ("wasmcloud:blobstore", "RemoveContainer"),
    ("wasmcloud:blobstore", "RemoveObject"),
    ("wasmcloud:blobstore", "ListObjects"),
    ("wasmcloud:blobstore", "GetObjectInfo"),
    ("wasmcloud:blobstore", "StartUpload"),
    ("wasmcloud:blobstore", "UploadChunk"),
    ("wasmcloud:blobstore", "StartDownload"),
    ("wasmcloud:logging", "WriteLog"),
    ("wasmcloud:extras", "RequestGuid"),
    ("wasmcloud:extras", "RequestRandom"),
    ("wasmcloud:extras", "RequestSequence"),
    ("health", "HealthRequest"),
];

/// What a payload says to whoever it is for, as text for comparing. Nothing where it is refused.
pub fn read_payload(contract: &str, operation: &str, payload: &[u8]) -> Option<String> {
    wasmcloud_providers::read_payload(contract, operation, payload)
}

/// Runs a module as it is and as it is run as an actor. Answers with the longest time of the processor that passed without the
/// metered module asking for fuel, or with nothing for a module that is not run.
///
/// # Errors
/// What the two runs show that is different.
pub fn compare_metered(module: &[u8]) -> std::result::Result<Option<std::time::Duration>, String> {
    wasmcloud_engine::compare_metered(module)
}

/// Reads what a plugin's process and the host send each other, as either side would.
///
/// # Errors
/// What the reader says to the first frame that it does not take.
pub fn read_frames(bytes: &[u8]) -> Result<()> {
    wasmcloud_plugin::read_all_frames(bytes)
}

/// The frame by which a host has a plugin's process begin with a library that is none.
pub fn frame_of_start() -> Vec<u8> {
    wasmcloud_plugin::fuzzed_frames().start
}

/// The frame by which a host has a plugin's process end.
pub fn frame_of_stop() -> Vec<u8> {
    wasmcloud_plugin::fuzzed_frames().stop
}

/// The frame by which a process says that it runs a plugin.
pub fn frame_of_started() -> Vec<u8> {
    wasmcloud_plugin::fuzzed_frames().started
}
