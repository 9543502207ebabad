//! Who vouches for what: the tokens that modules carry, and the one rule by which they are checked.
//!
//! The formats are those of wascap, of both eras: a JSON web token signed with an account's nkey, in a custom
//! section of the module that is named `jwt` (before 0.9) or `wasmcloud_jwt` (since). The checks are our own,
//! because wascap's never look at the signature on extraction and skip the module's hash for older tokens.
//! Here nothing is skipped, for any era.

mod embedding;
mod issue;
mod token;

pub(crate) use embedding::{embed_token, embedded_token, hash_without_token, without_token};
pub(crate) use issue::{Validity, issue_token};
pub(crate) use token::{check_validity, read_token};
