//! The version goes with what modules are rewritten to.

use super::*;

/// What the rewriting of this version made of the guests below. Where this test fails because the rewriting has changed,
/// `VERSION` goes up and this follows it: whoever has an artifact cache has modules of the old rewriting in it.
const REWRITTEN: (u32, &str) = (7, "a1b94fdd469ea5e5a0bfc27be64854d15a80cca699a227f1193ccf5dec707330");

#[test]
fn another_rewriting_has_another_version() {
    let mut hash = blake3::Hasher::new();
    for guest in ["echo_large", "compute", "hostile", "grow", "spin"] {
        let path = format!("{}/../../fixtures/guests/{guest}.wasm", env!("CARGO_MANIFEST_DIR"));
        let module = std::fs::read(path).unwrap();
        for frames in [Frames::Arguments, Frames::Locals] {
            let bounds = Bounds { quantum: QUANTUM, memory_pages: 4096, table_elements: 100_000, frames };
            hash.update(&rewrite(&module, bounds).unwrap());
        }
    }
    assert_eq!((VERSION, hash.finalize().to_hex().as_str()), REWRITTEN);
}
