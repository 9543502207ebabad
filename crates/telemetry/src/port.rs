//! The HTTP port of a host: the dashboard, metrics, health, and the state of the host as a stream.
//!
//! | Path | Answer |
//! |---|---|
//! | `/`, `/dashboard/*` | the page |
//! | `/api/v1/state` | the state in JSON |
//! | `/api/v1/stream` | the state, and then what changes, as server-sent events |
//! | `/metrics` | metrics as Prometheus reads them |
//! | `/livez`, `/readyz`, `/healthz` | whether the host is alive and ready, with reasons |
//!
//! Clients are not trusted: heads, connections and viewers are bounded, and slow ones are dropped. If there is a token, a client
//! without it gets the page and the bare health alone.
//!
//! # Layout
//! - `listener`: opens the port
//! - `connections`: accepts connections and bounds what each may do
//! - `places`: how many connections there may be, and which makes room for another
//! - `patience`: ends connections whose peers do not read
//! - `router`: answers requests
//! - `stream`: the messages of a viewer
//! - `access`: what a request may learn
//! - `attempts`: how often strangers may try tokens
//! - `answers`: the forms of answers

mod access;
mod answers;
mod attempts;
mod connections;
mod listener;
mod patience;
mod places;
mod router;
mod stream;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use wasmcloud_core::error::Result;

use crate::feed::Feed;
use crate::options::TelemetryOptions;
use crate::report::Report;
use crate::state::{EventRecord, HostState};
use router::Router;

/// A report that is being made.
pub type Work<'a> = Pin<Box<dyn Future<Output = Report> + Send + 'a>>;

/// The text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// The text format 0.0.4 of Prometheus.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// What a port tells. All of it is called on the thread of the port.
pub trait Source: Send + Sync + 'static {
    /// Returns the metrics of the host.
    ///
    /// # Errors
    /// Why there are none.
    fn metrics(&self, format: MetricsFormat) -> Result<String>;

    /// Returns whether the threads of the host answer.
    fn liveness(&self) -> Work<'_>;

    /// Returns whether the host does what it was started for.
    fn readiness(&self) -> Report;

    /// Returns the state of the host. Its events may be left out.
    ///
    /// # Errors
    /// Why there is none, such as `HostNotRunning`.
    fn state(&self) -> Result<Arc<HostState>>;

    /// Returns the last events of the host, the oldest first.
    fn events(&self) -> Vec<EventRecord>;
}

/// A port that is open.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Opens the port, on the current tokio runtime.
    ///
    /// # Errors
    /// `InvalidArgument` for an address that needs a token, without one; `Io` if the address cannot be used.
    pub fn open(options: &TelemetryOptions) -> Result<Port> {
        options.validate()?;
        let listener = listener::open(options)?;
        let address = listener::address(&listener)?;
        Ok(Port { listener, address })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `closing` is true or its sender is gone. Requests in progress are finished then, but streams are ended.
    pub async fn serve(
        self,
        options: &TelemetryOptions,
        source: Arc<dyn Source>,
        feed: Feed,
        mut closing: watch::Receiver<bool>,
    ) {
        let router = Arc::new(Router::new(options, source, feed.clone()));
        let end = async {
            // An error means that the sender is gone.
            let _ = closing.wait_for(|is_closing| *is_closing).await;
        };
        connections::serve(self.listener, router, end).await;
        feed.close();
    }
}
