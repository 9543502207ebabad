//! What every layer of the runtime speaks of: errors, entities, limits, and the context of a call.
//!
//! Nothing here runs anything. Each other crate of the workspace builds on this one, and this one builds on none of them.
//!
//! # Layout
//! - [`error`]: what goes wrong, as one type
//! - [`text`]: text from outside, fit for terminals and logs
//! - [`entity`]: who calls and is called; keys, contracts and link names
//! - [`health`]: how actors and providers answer when they are asked
//! - [`identity`]: instances and providers of one host
//! - [`limits`]: what guests and hosts may use
//! - [`call`]: what travels with a call
//! - [`deadline`], [`shutdown`]: waiting with a limit, and until work is to end

#![forbid(unsafe_code)]

pub mod call;
pub mod deadline;
pub mod entity;
pub mod error;
pub mod health;
pub mod identity;
pub mod limits;
pub mod shutdown;
pub mod text;
