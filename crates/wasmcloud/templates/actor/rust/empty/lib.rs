//! The actor {{name}}: greets those who call it.

use wapc_guest::prelude::*;
use wasmcloud_actor_core as actor;

/// Runs once, when an instance of the actor starts. Registers a function for each operation.
#[actor::init]
fn init() {
    register_function("Greet", greet);
}

/// The operation `Greet`: bytes in, bytes out. An error is the error of the caller's call.
fn greet(payload: &[u8]) -> CallResult {
    let name = std::str::from_utf8(payload)?;
    Ok(format!("Hello, {}!", name).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        assert_eq!(greet(b"world").unwrap(), b"Hello, world!");
    }

    #[test]
    fn refuses_what_is_no_text() {
        assert!(greet(&[0xff]).is_err());
    }
}
