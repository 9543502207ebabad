//! The metrics of a host, read when they are asked for.
//!
//! # Layout
//! - `table`: the table of all metrics
//! - `writer`: writes families by the names of the table
//! - `bounded`, `call_series`: bound the number of series
//! - `label`: the labels of actors and providers
//! - `targets`: the figures of all actors and providers
//! - `calls`, `children`, `http`, `host`, `lattice`: the families by what they are about

mod bounded;
mod call_series;
mod calls;
mod children;
mod host;
mod http;
mod label;
#[cfg(feature = "lattice")]
mod lattice;
pub(crate) mod table;
mod targets;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::links::Elsewhere;
use crate::dispatch::Dispatch;
#[cfg(feature = "lattice")]
use crate::lattice::{LatticeHosts, LatticeView};
use calls::BoundedCalls;
use children::BoundedChildren;
use http::HttpRequests;
use targets::Targets;
#[cfg(feature = "otlp")]
use wasmcloud_telemetry::otlp::OtlpExport;
use writer::Writer;

/// The type of what [`HostMetrics::encode`] returns, for the header `content-type`.
pub const PROMETHEUS_TEXT: &str = prometheus_text::CONTENT_TYPE;

/// The type of what [`HostMetrics::encode_open_metrics`] returns, for the header `content-type`.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a host. Cheap to clone.
///
/// Each reading takes about a microsecond for each actor, on the thread that asks. The series are those of [`METRICS`]. At most
/// 1,000 series of a family are about actors, providers and their operations, of which a histogram has 30 for each; the figures
/// of all others are summed in one series, whose label is `other`.
///
/// An embedder can register them in a registry of its own:
///
/// ```
/// use wasmcloud_host::HostBuilder;
/// use wasmcloud_host::prometheus_client::encoding::prometheus_text;
/// use wasmcloud_host::prometheus_client::registry::Registry;
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().with_metrics().build();
/// host.start().await?;
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(host.metrics()));
///
/// let mut text = String::new();
/// prometheus_text::encode(&mut text, &registry).expect("a string takes any text");
/// assert!(text.contains("wasmcloud_events_total{kind=\"host_started\"} 1"));
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// [`METRICS`]: super::METRICS
#[derive(Clone)]
pub struct HostMetrics {
    inner: Arc<Inner>,
    /// The export of spans whose counts the text has too.
    #[cfg(feature = "otlp")]
    spans: Option<OtlpExport>,
}

struct Inner {
    facts: MetricsFacts,
    /// What is remembered from one reading to the next.
    memory: Mutex<Memory>,
}

/// What metrics are read from.
pub(crate) struct MetricsFacts {
    pub(crate) id: String,
    pub(crate) dispatch: Dispatch,
    pub(crate) elsewhere: Elsewhere,
    /// Reads what the layers below do not know. `None` once the host is gone.
    pub(crate) read: Box<dyn Fn() -> Option<HostReading> + Send + Sync>,
}

#[derive(Debug, Default)]
struct Memory {
    calls: BoundedCalls,
    children: BoundedChildren,
    http: HttpRequests,
    #[cfg(feature = "lattice")]
    messages: lattice::OtherMessages,
}

/// What the layers below do not know of a host.
#[derive(Debug)]
pub(crate) struct HostReading {
    /// The time since its start. Zero before it.
    pub(crate) uptime: Duration,
    #[cfg(feature = "lattice")]
    pub(crate) lattice: Option<LatticeReading>,
}

/// What is read of a lattice.
#[cfg(feature = "lattice")]
#[derive(Debug)]
pub(crate) struct LatticeReading {
    pub(crate) view: LatticeView,
    pub(crate) hosts: LatticeHosts,
}

impl HostMetrics {
    pub(crate) fn new(facts: MetricsFacts) -> HostMetrics {
        HostMetrics {
            inner: Arc::new(Inner { facts, memory: Mutex::default() }),
            #[cfg(feature = "otlp")]
            spans: None,
        }
    }

    /// Returns the same metrics with the counts of an export of spans.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_spans(self, spans: Option<OtlpExport>) -> HostMetrics {
        HostMetrics { spans, ..self }
    }

    /// Returns all metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn encode(&self) -> Result<String> {
        self.encode_with(prometheus_text::encode)
    }

    /// Returns all metrics in the text format of OpenMetrics.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn encode_open_metrics(&self) -> Result<String> {
        self.encode_with(text::encode)
    }

    fn encode_with(&self, encode: impl FnOnce(&mut String, &Registry) -> fmt::Result) -> Result<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        #[cfg(feature = "otlp")]
        if let Some(spans) = &self.spans {
            registry.register_collector(Box::new(spans.clone()));
        }
        let mut text = String::new();
        encode(&mut text, &registry)
            .map_err(|error| Error::new(ErrorKind::Internal, "the metrics could not be written").caused_by(error))?;
        Ok(text)
    }

    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Inner { facts, memory } = &*self.inner;
        let Some(reading) = (facts.read)() else { return Ok(()) };
        // Locked before anything is read: of two readings at a time, the later one has the later figures.
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        let targets = Targets::read(&facts.dispatch);
        host::write(writer, facts, &reading)?;
        memory.http.write(writer, &targets)?;
        memory.calls.write(writer, &targets, facts.dispatch.instruments().absent())?;
        memory.children.write(writer, &targets)?;
        #[cfg(feature = "lattice")]
        lattice::write(writer, reading.lattice.as_ref(), &mut memory.messages)?;
        Ok(())
    }
}

impl Collector for HostMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.write(&mut Writer::new(encoder))
    }
}

impl fmt::Debug for HostMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMetrics").field("id", &self.inner.facts.id).finish_non_exhaustive()
    }
}
