//! Tests that the version changes with the rewriting.

use super::*;

/// The version, and the hash of the guests below as it rewrites them. If this test fails because the rewriting has
/// changed, increase `VERSION` and update the hash: artifact caches hold modules of the old rewriting.
const REWRITTEN: (u32, &str) = (7, "a1b94fdd469ea5e5a0bfc27be64854d15a80cca699a227f1193ccf5dec707330");

#[test]
fn another_rewriting_has_another_version() {
    let mut hash = blake3::Hasher::new();
    for guest in ["echo_large", "compute", "hostile", "grow", "spin"] {
        let path = format!("{}/../../fixtures/guests/{guest}.wasm", env!("CARGO_MANIFEST_DIR"));
        let module = std::fs::read(path).unwrap();
        for frame_model in [FrameModel::Arguments, FrameModel::Locals] {
            let config = MeterConfig { quantum: QUANTUM, memory_pages: 4096, table_elements: 100_000, frame_model };
            hash.update(&rewrite(&module, config).unwrap());
        }
    }
    assert_eq!((VERSION, hash.finalize().to_hex().as_str()), REWRITTEN);
}
