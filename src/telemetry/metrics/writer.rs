//! Writes the series of one metric after another.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use wasmcloud_core::durations::{BOUNDS, Durations};

use super::table::{Metric, MetricKind};

/// The values of a metric's labels, in the order of its table.
pub(super) type Values<'a> = &'a [&'a str];

pub(super) struct Writer<'a> {
    encoder: DescriptorEncoder<'a>,
}

/// Writes the series of one metric.
pub(super) struct Family<'a> {
    labels: &'static [&'static str],
    encoder: MetricEncoder<'a>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Writer<'a> {
        Writer { encoder }
    }

    /// Begins a metric. Its series follow.
    pub(super) fn family(&mut self, metric: &Metric) -> Result<Family<'_>, fmt::Error> {
        let Metric { name, kind, help, labels, .. } = *metric;
        let kind = match kind {
            MetricKind::Counter => MetricType::Counter,
            MetricKind::Gauge => MetricType::Gauge,
            MetricKind::Histogram => MetricType::Histogram,
        };
        // The encoder adds the suffix of counters.
        let name = name.strip_suffix("_total").unwrap_or(name);
        Ok(Family { labels, encoder: self.encoder.encode_descriptor(name, help, None, kind)? })
    }
}

impl Family<'_> {
    pub(super) fn counter(&mut self, values: Values<'_>, count: u64) -> fmt::Result {
        self.series(values, |mut series| series.encode_counter::<NoLabelSet, u64, f64>(&count, None))
    }

    pub(super) fn seconds(&mut self, values: Values<'_>, seconds: f64) -> fmt::Result {
        self.series(values, |mut series| series.encode_counter::<NoLabelSet, f64, f64>(&seconds, None))
    }

    pub(super) fn gauge(&mut self, values: Values<'_>, value: u64) -> fmt::Result {
        self.series(values, |mut series| series.encode_gauge(&value))
    }

    pub(super) fn histogram(&mut self, values: Values<'_>, durations: &Durations) -> fmt::Result {
        let bounds = BOUNDS.map(|bound| bound as f64 / 1e9);
        let mut buckets = [(f64::INFINITY, 0); BOUNDS.len() + 1];
        let upper = bounds.into_iter().chain([f64::INFINITY]);
        for (bucket, filled) in buckets.iter_mut().zip(upper.zip(durations.buckets)) {
            *bucket = filled;
        }
        let (sum, count) = (durations.nanoseconds as f64 / 1e9, durations.count());
        self.series(values, |mut series| series.encode_histogram::<NoLabelSet>(sum, count, &buckets, None))
    }

    fn series(&mut self, values: Values<'_>, write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result) -> fmt::Result {
        let Family { labels, encoder } = self;
        debug_assert_eq!(labels.len(), values.len());
        if values.is_empty() {
            return write(encoder.encode_family(&NO_LABELS)?);
        }
        let mut named = [("", ""); MOST_LABELS];
        let named = &mut named[..values.len().min(MOST_LABELS)];
        named.iter_mut().zip(labels.iter().zip(values)).for_each(|(label, (name, value))| *label = (*name, *value));
        write(encoder.encode_family(&&*named)?)
    }
}

/// The most labels of a metric.
const MOST_LABELS: usize = 3;

const NO_LABELS: [(&str, &str); 0] = [];
