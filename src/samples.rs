//! A sample module, so that a program needs no file for its first actor.

/// The echo actor, unsigned: 146 KB of WebAssembly. The linker drops it from programs that do not use it.
///
/// It answers `HandleRequest` of `wasmcloud:httpserver` with a description of the request in JSON, and `Echo` with its
/// payload. Its source is `fixtures/guests/echo`.
///
/// ```
/// use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
/// use wasmcloud_host::{Actor, samples};
///
/// # fn main() -> wasmcloud_host::Result<()> {
/// let claims = ActorClaims::new("Echo").capability("wasmcloud:httpserver");
/// let signed = sign_module(samples::ECHO, &claims, &KeyPair::new_account(), &KeyPair::new_module())?;
/// assert_eq!(Actor::from_slice(&signed)?.name(), "Echo");
/// # Ok(())
/// # }
/// ```
pub const ECHO: &[u8] = include_bytes!("../fixtures/guests/echo.wasm");
