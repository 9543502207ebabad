//! What a host tells of itself: metrics, health, the dashboard and the export of traces. Knows nothing of actors and mailboxes.
//!
//! # Layout
//! - [`state`]: the state of a host, as the dashboard and `wasmcloud top` show it
//! - [`assets`]: the files of the dashboard's page

pub mod assets;
pub mod state;
