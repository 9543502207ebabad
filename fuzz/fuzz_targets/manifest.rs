//! Fuzzes host manifests: arbitrary text as YAML and JSON, with arbitrary variables.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmcloud_host::HostManifest;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for read in [HostManifest::from_yaml(text), HostManifest::from_json(text)] {
        let Ok(manifest) = read else { continue };
        let labels = manifest.labels.clone();
        if let Ok(expanded) = manifest.expand(|_| Some(text.to_owned())) {
            assert!(labels.keys().eq(expanded.labels.keys()), "variables changed more than texts");
        }
    }
});
