//! Pulls and pushes actors and provider archives from and to OCI registries.
//!
//! A [`RegistryClient`] resolves a tag to a digest, fetches what the digest names, verifies it and keeps it in a cache that
//! several processes share. It trusts a registry for nothing but the meaning of a tag: sizes are counted, digests are
//! computed, and redirects lead to public addresses only.
//!
//! The grammar of references and the form of manifests are those of `oci-client`. The requests are made here, because the
//! client of that crate neither bounds manifests and tokens nor lets its redirects be checked.
//!
//! # Layout
//! - `client`: the client: resolve, pull, push
//! - `reference`, `digest`, `media`, `manifest`: what is named and exchanged (pure)
//! - `session`, `auth`: requests to one repository, with authentication
//! - `http`: requests, redirects and bounded bodies
//! - `credentials`: who the client is: options, Docker's configuration, helpers, environment
//! - `cache`: verified files by digest, and the digests of tags
//! - `options`, `progress`, `failure`: settings, reports and errors

#![forbid(unsafe_code)]

mod auth;
mod cache;
mod client;
mod credentials;
mod digest;
mod failure;
mod http;
mod manifest;
mod media;
mod options;
mod progress;
mod reference;
mod session;
#[cfg(test)]
mod tests;

pub use client::{Pulled, Pushed, RegistryClient, Resolved};
pub use credentials::{CredentialSources, Credentials};
pub use digest::Digest;
pub use media::{Kind, Layout};
pub use options::RegistryOptions;
pub use progress::{NoProgress, Progress};
pub use reference::Reference;
