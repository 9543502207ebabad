//! Fuzzes metering with generated modules: a metered module behaves like the original, and asks for fuel in time.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use wasm_smith::{Config, Module};
use wasmcloud_host::fuzzing;

/// The longest time between two requests for fuel. First accesses to memory take most of it.
const LONGEST: Duration = Duration::from_millis(20);

/// The largest number of function entries and loop iterations.
const STEPS: u32 = 20_000;

/// The imports that generated modules choose from, as a module in the binary format.
const IMPORTS: &[u8] = b"\0asm\x01\0\0\0\x01\x1a\x04\x60\x02\x7f\x7f\0\x60\x01\x7f\0\x60\0\x01\x7f\
    \x60\x08\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x01\x7f\
    \x02\x6f\x05\x04wapc\x0f__guest_request\0\0\x04wapc\x0d__console_log\0\0\
    \x04wapc\x0f__host_response\0\x01\x04wapc\x10__host_error_len\0\x02\x04wapc\x0b__host_call\0\x03";

fn config() -> Config {
    Config {
        available_imports: Some(IMPORTS.to_vec()),
        canonicalize_nans: true,
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        max_data_segments: 200,
        max_imports: 6,
        max_instructions: 500,
        max_memories: 1,
        max_memory32_bytes: 16 << 20,
        max_table_elements: 10_000,
        memory64_enabled: false,
        // Without maxima, only the rewriting limits growth, which is an intended difference.
        memory_max_size_required: true,
        table_max_size_required: true,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut module) = Module::new(config(), &mut Unstructured::new(bytes)) else { return };
    if module.ensure_termination(STEPS).is_err() {
        return;
    }
    let longest = fuzzing::compare_metered(&module.to_bytes()).unwrap_or_else(|difference| panic!("{difference}"));
    assert!(longest.is_none_or(|longest| longest < LONGEST), "it went on for {longest:?} without asking for fuel");
});
