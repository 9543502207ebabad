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

/// Returns the token that a module carries.
///
/// # Errors
/// `InvalidModule`, `Unsigned` or `InvalidToken`.
pub fn embedded_token(module: &[u8]) -> Result<&str> {
    wasmcloud_claims::embedded_token(module)
}

/// Returns the hash of a module without its token.
///
/// # Errors
/// `InvalidModule`.
pub fn hash_without_token(module: &[u8]) -> Result<String> {
    wasmcloud_claims::hash_without_token(module)
}

/// Returns a module without its token, and the same module with another token.
///
/// # Errors
/// `InvalidModule`.
pub fn replace_token(module: &[u8], token: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let bare = wasmcloud_claims::without_token(module)?;
    Ok((bare.clone(), wasmcloud_claims::embed_token(bare, token)))
}

/// Returns a verified module as it would be compiled.
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

/// Reads a payload as its recipient would. Returns its contents as text to compare, or `None` if it is refused.
pub fn read_payload(contract: &str, operation: &str, payload: &[u8]) -> Option<String> {
    wasmcloud_providers::read_payload(contract, operation, payload)
}

/// Runs a module unchanged and with metering. Returns the longest processor time between two requests of the metered module for
/// fuel, or `None` for a module that is not run.
///
/// # Errors
/// The difference between the two runs.
pub fn compare_metered(module: &[u8]) -> std::result::Result<Option<std::time::Duration>, String> {
    wasmcloud_engine::compare_metered(module)
}

/// Reads frames between a plugin's process and the host, as either side would.
///
/// # Errors
/// The reader's error for the first frame that it refuses.
pub fn read_frames(bytes: &[u8]) -> Result<()> {
    wasmcloud_plugin::read_all_frames(bytes)
}

/// Returns the frame by which a host starts a plugin's process, with an invalid library.
pub fn frame_of_start() -> Vec<u8> {
    wasmcloud_plugin::fuzzed_frames().start
}

/// Returns the frame by which a host stops a plugin's process.
pub fn frame_of_stop() -> Vec<u8> {
    wasmcloud_plugin::fuzzed_frames().stop
}

/// Returns the frame by which a process reports that it runs a plugin.
pub fn frame_of_started() -> Vec<u8> {
    wasmcloud_plugin::fuzzed_frames().started
}
