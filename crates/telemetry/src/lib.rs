//! What a host tells of itself: metrics, health, the dashboard and the export of traces. Knows nothing of actors and mailboxes.
//!
//! # Layout
//! - `otlp`: the export of spans by OTLP, in a feature of that name
//! - `state`: the state of a host, as the dashboard and `wasmcloud top` show it

#[cfg(feature = "otlp")]
pub mod otlp;
pub mod state;
