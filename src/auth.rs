//! Who vouches for what: the tokens that modules carry, the one rule by which they are checked, and whom a host trusts.
//!
//! The formats are those of wascap, of both eras: a JSON web token signed with an account's nkey, in a custom
//! section of the module that is named `jwt` (before 0.9) or `wasmcloud_jwt` (since). The checks are our own,
//! because wascap's never look at the signature on extraction and skip the module's hash for older tokens.
//! Here nothing is skipped, for any era.
//!
//! # Layout
//! - `jwt`: what tokens claim
//! - `embedding`: where a module carries its token, and its hash
//! - `token`: what a token says, and whether that is valid
//! - `issue`: how tokens are made
//! - `policy`: whose signature counts
//! - `standing`: whether who runs is still trusted
//! - `authorizer`: what the embedder decides besides

mod authorizer;
mod embedding;
mod issue;
pub mod jwt;
mod policy;
mod standing;
mod token;

pub use authorizer::{Authorizer, Decision, Origin};
pub use policy::{TrustPolicy, TrustPolicyBuilder};

pub(crate) use authorizer::Later;
pub(crate) use embedding::{embed_token, embedded_token, hash_without_token, without_token};
pub(crate) use issue::{Validity, issue_token};
pub(crate) use standing::{Distrust, Standing};
pub(crate) use token::{check_validity, read_token};
