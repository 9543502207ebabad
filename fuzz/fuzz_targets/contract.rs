//! Fuzzes the msgpack payloads of each contract: requests of actors to providers, and answers of actors to the host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmcloud_host::fuzzing::{OPERATIONS, read_payload};

fuzz_target!(|data: &[u8]| {
    // The first byte selects the operation, so that each has its own inputs.
    let Some((choice, payload)) = data.split_first() else { return };
    let (contract, operation) = OPERATIONS[usize::from(*choice) % OPERATIONS.len()];
    let read = read_payload(contract, operation, payload);
    assert_eq!(read_payload(contract, operation, payload), read, "the same is read each time");
    // As text, a byte has at most six letters, plus the names of fields.
    let length = read.map_or(0, |read| read.len());
    assert!(length < 512 + 16 * payload.len(), "{length} letters were made of {} bytes", payload.len());
});
