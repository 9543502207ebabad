//! Reads, verifies and issues signed tokens, the modules and archives that carry them, and the trust policy of a host.
//!
//! The formats are those of the crate [wascap](https://docs.rs/wascap): a JSON web token signed with an account's nkey, in a
//! custom section of the module. The section is named `jwt` before wascap 0.9, and `wasmcloud_jwt` since. This crate makes
//! the checks itself: wascap does not verify the signature on extraction, and skips the module's hash for older tokens.
//! No check is skipped here.
//!
//! # Layout
//! - [`jwt`]: the claims of tokens
//! - `token`: reads and verifies a token
//! - `embedding`: finds and embeds the token of a module, and hashes its code
//! - `issue`: issues tokens
//! - [`signing`]: keys and the signing of modules
//! - [`Actor`]: a verified, signed module
//! - [`ProviderArchive`]: the verified, signed libraries of a provider
//! - [`TrustPolicy`]: which signers, actors and providers a host accepts
//! - [`TrustState`]: whether a running actor or provider is still trusted

#![forbid(unsafe_code)]

mod actor;
mod archive;
mod embedding;
mod issue;
pub mod jwt;
mod policy;
pub mod signing;
mod token;
mod trust_state;

pub use actor::Actor;
pub use archive::{ArchiveBuilder, ArchiveLimits, ProviderArchive};
pub use embedding::{embed_token, embedded_token, hash_without_token, without_token};
pub use policy::{TrustPolicy, TrustPolicyBuilder};
pub use token::{check_validity, read_token};
pub use trust_state::{Distrust, TrustState};
