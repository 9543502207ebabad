//! What a host tells of itself to those who watch it: metrics for Prometheus.
//!
//! # Layout
//! - `metrics`: the metrics of a host
//! - `metrics::table`: the table of all metrics

mod metrics;

pub(crate) use metrics::HostReading;
pub use metrics::table::{METRICS, Metric, MetricKind};
pub use metrics::{HostMetrics, OPEN_METRICS, PROMETHEUS_TEXT};
