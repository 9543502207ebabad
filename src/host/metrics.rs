//! The metrics of a host.

use super::Host;
#[cfg(feature = "lattice")]
use crate::telemetry::LatticeReading;
use crate::telemetry::{HostMetrics, HostReading, MetricsFacts};

impl Host {
    /// Returns the metrics of the host. They are complete if it was built with
    /// [`with_metrics`](crate::HostBuilder::with_metrics): otherwise the host counts neither calls nor compilations.
    ///
    /// The value does not keep the host alive, and writes nothing once the host is gone.
    pub fn metrics(&self) -> HostMetrics {
        let host = std::sync::Arc::downgrade(&self.0);
        let read = move || {
            let host = host.upgrade()?;
            let running = host.running.get();
            Some(HostReading {
                uptime: running.map(|running| running.since.elapsed()).unwrap_or_default(),
                #[cfg(feature = "lattice")]
                lattice: running
                    .and_then(|running| running.lattice.as_ref())
                    .map(|lattice| LatticeReading { view: lattice.view(), hosts: lattice.hosts() }),
            })
        };
        let metrics = HostMetrics::new(MetricsFacts {
            id: self.id(),
            dispatch: self.0.dispatch.clone(),
            elsewhere: self.elsewhere(),
            read: Box::new(read),
        });
        #[cfg(feature = "otlp")]
        let metrics = metrics.with_spans(self.0.configuration.span_export.clone());
        metrics
    }
}
