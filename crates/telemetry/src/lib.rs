//! What a host tells of itself: metrics, health, the dashboard and the export of traces. Knows nothing of actors and mailboxes.
//!
//! # Layout
//! - [`state`]: the state of a host, as the dashboard and `wasmcloud top` show it
//! - [`assets`]: the files of the dashboard's page
//! - [`Report`], [`Check`], [`Condition`]: health and readiness, with reasons
//! - [`TelemetryOptions`]: where the port listens, and who may ask
//! - [`Port`], [`Source`]: the HTTP port, and the host that it tells of
//! - [`Feed`]: what changes, for all who watch
//! - `delta`: the difference of two states
//! - `otlp`: the export of spans by OTLP
//!
//! # Features
//! - `port`: the HTTP port
//! - `otlp`: spans sent to a collector by OTLP

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod assets;
#[cfg(feature = "port")]
mod delta;
#[cfg(feature = "port")]
mod feed;
#[cfg(feature = "port")]
mod options;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "port")]
mod port;
mod report;
pub mod state;

#[cfg(feature = "port")]
pub use feed::Feed;
#[cfg(feature = "port")]
pub use options::TelemetryOptions;
#[cfg(feature = "port")]
pub use port::{MetricsFormat, Port, Source, Work};
pub use report::{Check, Condition, Report};
