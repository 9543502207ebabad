//! Fuzzes the frames between the host and a plugin's process.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmcloud_host::fuzzing::read_frames;

fuzz_target!(|data: &[u8]| {
    let _ = read_frames(data);
    // The same bytes as one well-formed frame.
    let length = u32::try_from(data.len()).expect("the fuzzer's inputs are small").to_le_bytes();
    let _ = read_frames(&[length.as_slice(), data].concat());
});
