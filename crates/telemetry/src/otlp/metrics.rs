//! What has become of the spans, as metrics for a registry of `prometheus-client`.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{OtlpCounts, OtlpExport};

impl Collector for OtlpExport {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let OtlpCounts { exported, failed, dropped, waiting } = self.counts();
        // The table of the host's metrics has the same texts.
        let help = "Spans by what became of them: exported to the collector, failed, which it refused or did not answer for, or \
                    dropped unsent. There is no series without an export of spans.";
        let mut spans = encoder.encode_descriptor("wasmcloud_otlp_spans", help, None, MetricType::Counter)?;
        for (result, count) in [("exported", exported), ("failed", failed), ("dropped", dropped)] {
            ConstCounter::new(count).encode(spans.encode_family(&[("result", result)])?)?;
        }
        let help = "Spans that wait for the collector.";
        let spans = encoder.encode_descriptor("wasmcloud_otlp_waiting_spans", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(waiting).unwrap_or(i64::MAX)).encode(spans)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::super::OtlpOptions;
    use super::*;

    #[test]
    fn the_counts_are_metrics_of_any_registry() {
        let export = OtlpExport::start(OtlpOptions::new("http://127.0.0.1:1")).unwrap();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(export));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("wasmcloud_otlp_spans_total{result=\"dropped\"} 0\n"), "{text}");
        assert!(text.contains("wasmcloud_otlp_waiting_spans 0\n"), "{text}");
    }
}
