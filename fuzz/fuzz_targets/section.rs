//! Fuzzes the custom section in which modules carry their token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmcloud_host::fuzzing::{embedded_token, hash_without_token, replace_token};

fuzz_target!(|data: &[u8]| {
    let token = embedded_token(data);
    let hash = hash_without_token(data);
    // Both read the same sections.
    assert!(token.is_err() || hash.is_ok());
    if let Ok((bare, signed)) = replace_token(data, "a.b.c") {
        assert!(hash.is_ok());
        assert!(embedded_token(&bare).is_err());
        assert_eq!(embedded_token(&signed).expect("a token that was embedded is found"), "a.b.c");
        let of_bare = hash_without_token(&bare).expect("what was cut out leaves a module");
        assert_eq!(hash_without_token(&signed).expect("what was added leaves a module"), of_bare);
    }
});
