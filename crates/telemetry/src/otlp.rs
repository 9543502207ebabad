//! The export of spans by OTLP over HTTP.
//!
//! [`OtlpExport`] sends the spans of hosts to a collector, from a thread of its own. Its layer belongs into the program's
//! subscriber of `tracing`. Spans of other crates are not exported, and calls never wait for the collector: when the queue is
//! full, spans are dropped and counted.
//!
//! # Layout
//! - this file: the export and its options
//! - `layer`: takes the spans of hosts from a subscriber
//! - `record`: a span in progress, as its fields are recorded
//! - `metrics`: their counts as metrics
//! - `queue`: the spans that wait for the collector, and their counts

mod layer;
mod metrics;
mod queue;
mod record;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanProcessor};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use layer::OtlpLayer;
pub use queue::OtlpCounts;
use queue::{Counting, SpanQueue};

/// The path of spans at a collector.
const PATH: &str = "/v1/traces";

/// The name of the service, unless another is given.
const SERVICE: &str = "wasmcloud";

/// The beginning of the targets of spans that are exported.
const TARGETS: &str = "wasmcloud::";

/// Where spans are sent to, and how.
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_telemetry::otlp::OtlpOptions;
///
/// let options = OtlpOptions::new("http://127.0.0.1:4318").with_service_name("orders").with_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone)]
pub struct OtlpOptions {
    endpoint: String,
    service_name: Option<String>,
    headers: Vec<(String, String)>,
    timeout: Duration,
    queue: usize,
    delay: Duration,
}

impl OtlpOptions {
    /// Returns the options for a collector at this URL, to which `/v1/traces` is added.
    pub fn new(endpoint: impl Into<String>) -> OtlpOptions {
        OtlpOptions {
            endpoint: endpoint.into(),
            service_name: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            queue: 2048,
            delay: Duration::from_secs(5),
        }
    }

    /// Sets the name of the service. Default: the variable `OTEL_SERVICE_NAME`, or else `wasmcloud`.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> OtlpOptions {
        self.service_name = Some(name.into());
        self
    }

    /// Adds a header to each request, such as a token. It is a secret. Default: those that the variables
    /// `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_EXPORTER_OTLP_TRACES_HEADERS` name.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> OtlpOptions {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the time that the collector has to take a batch. Default: 10 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> OtlpOptions {
        self.timeout = timeout;
        self
    }

    /// Sets the number of spans that may wait for the collector. Further ones are dropped. Minimum: 1. Default: 2,048.
    #[must_use]
    pub fn with_queue(mut self, spans: usize) -> OtlpOptions {
        self.queue = spans.max(1);
        self
    }

    /// Sets how long spans wait for others before they are sent. Minimum: 1 ms. Default: 5 s.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> OtlpOptions {
        self.delay = delay.max(Duration::from_millis(1));
        self
    }

    /// Returns the URL that spans are sent to.
    ///
    /// # Errors
    /// `InvalidArgument` unless the endpoint is a URL of HTTP without credentials and query.
    fn url(&self) -> Result<String> {
        let invalid = |reason: &str| {
            let message =
                format!("the endpoint of the OTLP collector {reason}: name one such as http://127.0.0.1:4318");
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let uri: Uri = self.endpoint.parse().map_err(|_| invalid("is not a URL"))?;
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        if authority.is_empty() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid("is not a URL of HTTP"));
        }
        if authority.contains('@') || uri.query().is_some() {
            let reason = "has credentials or a query, which belong into OTEL_EXPORTER_OTLP_HEADERS";
            return Err(invalid(reason));
        }
        // The path would become part of it.
        if self.endpoint.contains('#') {
            return Err(invalid("has a fragment, which no collector reads"));
        }
        Ok(format!("{}{PATH}", self.endpoint.trim_end_matches('/')))
    }

    fn resource(&self) -> Resource {
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let found = Resource::builder().with_attribute(version.clone()).build();
        let named = found.get(&"service.name".into()).map(|name| name.to_string());
        let is_named = named.is_some_and(|name| !name.starts_with("unknown_service"));
        let name = self.service_name.clone().or_else(|| (!is_named).then(|| SERVICE.to_owned()));
        let builder = Resource::builder().with_attribute(version);
        match name {
            Some(name) => builder.with_service_name(name).build(),
            None => builder.build(),
        }
    }
}

impl fmt::Debug for OtlpOptions {
    /// Writes no headers, because they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpOptions").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Sends spans to a collector, from a thread of its own. Cheap to clone. Its counts are metrics: a registry of `prometheus-client`
/// takes it as a collector.
///
/// ```no_run
/// use std::time::Duration;
/// use tracing_subscriber::layer::SubscriberExt as _;
/// use tracing_subscriber::util::SubscriberInitExt as _;
/// use wasmcloud_telemetry::otlp::{OtlpExport, OtlpOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let export = OtlpExport::start(OtlpOptions::new("http://127.0.0.1:4318"))?;
/// tracing_subscriber::registry().with(export.layer()).try_init()?;
/// // Hosts of this process are traced now. At the end:
/// export.shutdown(Duration::from_secs(2))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct OtlpExport {
    queue: Arc<SpanQueue>,
}

impl OtlpExport {
    /// Starts the thread that sends spans. The collector need not run yet.
    ///
    /// # Errors
    /// `InvalidArgument` for an endpoint that is not a URL of HTTP; `Io` if no client can be made.
    pub fn start(options: OtlpOptions) -> Result<OtlpExport> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(options.url()?)
            .with_timeout(options.timeout)
            .with_headers(options.headers.iter().cloned().collect())
            .build();
        let exporter = exporter.map_err(|error| {
            Error::new(ErrorKind::Io, "no client for the OTLP collector could be made").caused_by(error)
        })?;
        let counts = Arc::default();
        // The queue counts what waits, and takes no more than the processor does.
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(options.queue)
            .with_max_export_batch_size(options.queue.min(512))
            .with_scheduled_delay(options.delay)
            .build();
        let counting = Counting::new(exporter, Arc::clone(&counts));
        let mut processor = BatchSpanProcessor::builder(counting).with_batch_config(config).build();
        processor.set_resource(&options.resource());
        Ok(OtlpExport { queue: Arc::new(SpanQueue::new(processor, counts, options.queue)) })
    }

    /// Returns the layer that takes the spans of hosts from a subscriber.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let is_exported = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(TARGETS));
        OtlpLayer::new(Arc::clone(&self.queue)).with_filter(is_exported.with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Returns what has become of the spans.
    pub fn counts(&self) -> OtlpCounts {
        self.queue.counts()
    }

    /// Sends the spans that wait, and ends the thread. Blocks for `limit` at most: call it where blocking is allowed. Spans
    /// that end later are dropped.
    ///
    /// # Errors
    /// `Io` if the collector has not taken all spans in time.
    pub fn shutdown(&self, limit: Duration) -> Result<()> {
        self.queue.shutdown(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_without_secrets() {
        let url = |endpoint: &str| OtlpOptions::new(endpoint).url();
        assert_eq!(url("http://127.0.0.1:4318").unwrap(), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("https://collector.example/otlp/").unwrap(), "https://collector.example/otlp/v1/traces");
        for wrong in [
            "",
            "collector",
            "127.0.0.1:4318",
            "ftp://a",
            "http://",
            "/v1",
            "http://u:secret@a",
            "http://a?t=secret",
            "http://a#secret",
        ] {
            let error = url(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{wrong}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn headers_are_not_shown() {
        let options = OtlpOptions::new("http://a").with_header("authorization", "secret");
        assert!(!format!("{options:?}").contains("secret"));
    }
}
