//! The key of an artifact: a digest of everything that the artifact depends on.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use wasmer::sys::NativeEngineExt;

use crate::call_loop;
use crate::meter::{self, MeterConfig};

/// The version of the file format in `frame`. It changes with the format.
const FORMAT: u32 = 1;

/// The suffix of the names of artifacts.
pub(super) const SUFFIX: &str = ".artifact";

/// A digest of everything that an artifact depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// Returns the key of a module as an engine compiles it. `hash` is the hash that was verified when the module was
    /// read.
    pub(crate) fn new(hash: &str, config: MeterConfig, engine: &wasmer::Engine) -> Key {
        let MeterConfig { quantum, memory_pages, table_elements, frame_model } = config;
        let target = engine.target();
        let memory = wasmer::MemoryType::new(0, u32::try_from(memory_pages).ok(), false);
        Key::of(&[
            ("format", &FORMAT.to_string()),
            ("module", hash),
            ("quantum", &quantum.to_string()),
            ("memory pages", &memory_pages.to_string()),
            ("table elements", &table_elements.to_string()),
            ("frames", &format!("{frame_model:?}")),
            ("meter", &meter::VERSION.to_string()),
            ("driver", &HEXLOWER.encode(call_loop::module())),
            ("host", env!("CARGO_PKG_VERSION")),
            ("wasmer", wasmer::sys::vm::VERSION),
            ("compiler", &engine.deterministic_id()),
            ("memory style", &format!("{:?}", engine.tunables().memory_style(&memory))),
            ("target", &target.triple().to_string()),
            ("processor", &format!("{:?}", target.cpu_features())),
        ])
    }

    pub(super) fn of(parts: &[(&str, &str)]) -> Key {
        let mut text = String::new();
        for (name, value) in parts {
            // The lengths make the encoding unambiguous. Writing to a string cannot fail.
            let _ = write!(text, "{}:{name}={}:{value};", name.len(), value.len());
        }
        Key(*blake3::hash(text.as_bytes()).as_bytes())
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the name of the file that holds the artifact.
    pub(super) fn file_name(&self) -> String {
        format!("{}{SUFFIX}", HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_parts_have_different_keys() {
        let keys = [
            Key::of(&[("a", "1"), ("b", "2")]),
            Key::of(&[("a", "1"), ("b", "3")]),
            Key::of(&[("a", "1"), ("c", "2")]),
            Key::of(&[("b", "2"), ("a", "1")]),
            Key::of(&[("a", "1;1:b=1:2")]),
            Key::of(&[("a", "1")]),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key));
        }
        assert_eq!(Key::of(&[("a", "1"), ("b", "2")]), keys[0]);
    }
}
