//! What an artifact depends on: whatever differs here is another artifact.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use wasmer::sys::NativeEngineExt;

use crate::driver;
use crate::meter::{self, Bounds};

/// How artifacts are laid out in a file; a change of `frame` changes it.
const FORMAT: u32 = 1;

/// How the names of artifacts end.
pub(super) const SUFFIX: &str = ".artifact";

/// A digest of everything that an artifact depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of a module, by the hash that was verified when it was read, as an engine compiles it within bounds.
    pub(crate) fn new(hash: &str, bounds: Bounds, engine: &wasmer::Engine) -> Key {
        let Bounds { quantum, memory_pages, table_elements, frames } = bounds;
        let target = engine.target();
        let memory = wasmer::MemoryType::new(0, u32::try_from(memory_pages).ok(), false);
        Key::of(&[
            ("format", &FORMAT.to_string()),
            ("module", hash),
            ("quantum", &quantum.to_string()),
            ("memory pages", &memory_pages.to_string()),
            ("table elements", &table_elements.to_string()),
            ("frames", &format!("{frames:?}")),
            ("meter", &meter::VERSION.to_string()),
            ("driver", &HEXLOWER.encode(driver::module())),
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
            // With their lengths, so that no value can pass for the part after it. Writing to a string cannot fail.
            let _ = write!(text, "{}:{name}={}:{value};", name.len(), value.len());
        }
        Key(*blake3::hash(text.as_bytes()).as_bytes())
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of the file that holds the artifact.
    pub(super) fn file_name(&self) -> String {
        format!("{}{SUFFIX}", HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_none_can_pass_for_another() {
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
