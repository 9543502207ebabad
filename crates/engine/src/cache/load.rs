//! Converts artifacts between bytes and wasmer modules. This is the only place where code from outside of the process
//! becomes executable.

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::frame::{ALIGNMENT, SerializedArtifacts};

/// A compiled module, and the compiled call loop that enters it.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    pub(crate) module: wasmer::Module,
    pub(crate) call_loop: wasmer::Module,
}

/// Loads verified artifacts into an engine.
pub(super) fn load(engine: &wasmer::Engine, artifacts: SerializedArtifacts) -> Result<Artifacts> {
    Ok(Artifacts {
        module: deserialize(engine, artifacts.module)?,
        call_loop: deserialize(engine, artifacts.call_loop)?,
    })
}

/// Serializes artifacts for [`load`].
pub(super) fn save(artifacts: &Artifacts) -> Result<SerializedArtifacts> {
    let serialize = |module: &wasmer::Module| {
        let serialized = module.serialize();
        serialized.map_err(|error| Error::new(ErrorKind::Io, "it cannot be serialized").caused_by(error))
    };
    Ok(SerializedArtifacts { module: serialize(&artifacts.module)?, call_loop: serialize(&artifacts.call_loop)? })
}

#[allow(unsafe_code, reason = "wasmer has no safe function to load compiled code; the seal vouches for it")]
fn deserialize(engine: &wasmer::Engine, artifact: Bytes) -> Result<wasmer::Module> {
    if !artifact.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        return Err(Error::new(ErrorKind::Io, "it cannot be loaded where it lies in memory"));
    }
    // SAFETY: wasmer requires aligned bytes from `Module::serialize`, for this engine and this processor. These bytes
    // come from `frame::open` alone: they were sealed with a secret that only this user's processes can read, under a
    // key that contains the versions of this crate and of wasmer, the compiler with its options, the style of memories
    // and the processor, all of them this engine's. They are in memory of this process and have not changed since the
    // seal was verified.
    let module = unsafe { wasmer::Module::deserialize(engine, artifact) };
    module.map_err(|error| Error::new(ErrorKind::Io, "it cannot be loaded").caused_by(error))
}
