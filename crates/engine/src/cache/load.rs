//! From the bytes of artifacts to modules, and back: the one place where code from outside of the process becomes code
//! that runs in it.

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::frame::{ALIGNMENT, Sealed};

/// A module and the driver that enters it, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    pub(crate) module: wasmer::Module,
    pub(crate) driver: wasmer::Module,
}

/// Loads artifacts whose seal has been verified into an engine.
pub(super) fn load(engine: &wasmer::Engine, sealed: Sealed) -> Result<Artifacts> {
    Ok(Artifacts { module: deserialize(engine, sealed.module)?, driver: deserialize(engine, sealed.driver)? })
}

/// The bytes that [`load`] makes the same artifacts of.
pub(super) fn save(artifacts: &Artifacts) -> Result<Sealed> {
    let serialize = |module: &wasmer::Module| {
        let serialized = module.serialize();
        serialized.map_err(|error| Error::new(ErrorKind::Io, "it cannot be serialized").caused_by(error))
    };
    Ok(Sealed { module: serialize(&artifacts.module)?, driver: serialize(&artifacts.driver)? })
}

#[allow(unsafe_code, reason = "wasmer loads compiled code only so; the seal answers for it")]
fn deserialize(engine: &wasmer::Engine, artifact: Bytes) -> Result<wasmer::Module> {
    if !artifact.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        return Err(Error::new(ErrorKind::Io, "it cannot be loaded where it lies in memory"));
    }
    // SAFETY: wasmer wants bytes that `Module::serialize` made, for this engine and this processor, aligned. These come
    // from `frame::open` alone: they were sealed with a secret that only this user's processes can read, under a key that
    // names the versions of this crate and of wasmer, the compiler with its options, the style of memories and the
    // processor; all of them are this engine's. They are in memory that belongs to this process, and nothing has changed
    // them since the seal was verified.
    let module = unsafe { wasmer::Module::deserialize(engine, artifact) };
    module.map_err(|error| Error::new(ErrorKind::Io, "it cannot be loaded").caused_by(error))
}
