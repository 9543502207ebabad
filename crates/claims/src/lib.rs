//! Signed tokens: what they claim, how modules and archives carry them, the one rule by which they are verified, and whom a
//! host trusts.
//!
//! The formats are those of wascap, before and since its version 0.9: a JSON web token signed with an account's nkey, in a
//! custom section of the module that is named `jwt` (before) or `wasmcloud_jwt` (since). The checks are made here, because
//! wascap never looks at the signature on extraction and skips the module's hash for older tokens. No check is skipped here.
//!
//! # Layout
//! - [`jwt`]: what tokens claim
//! - `token`: reads a token, and verifies it
//! - `embedding`: how a module carries its token, and the hash of its code
//! - `issue`: how tokens are made
//! - [`signing`]: keys, and signing modules
//! - [`Actor`]: a signed module, verified
//! - [`ProviderArchive`]: signed libraries of a provider, verified
//! - [`TrustPolicy`]: whose signature counts
//! - [`TrustState`]: whether an actor or provider that runs is still trusted

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
