//! The spans that wait for the collector, and their counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;

/// What has become of the spans so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtlpCounts {
    /// Spans that the collector has taken.
    pub exported: u64,
    /// Spans that were sent, and that the collector has not taken.
    pub failed: u64,
    /// Spans that were not sent, because too many waited or the export had ended.
    pub dropped: u64,
    /// Spans that wait, or are being sent.
    pub waiting: u64,
}

/// The counts, as they are kept.
#[derive(Debug, Default)]
pub(super) struct Counts {
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicU64,
}

/// The spans that wait for the collector. It takes no more than its limit.
#[derive(Debug)]
pub(super) struct SpanQueue {
    processor: BatchSpanProcessor,
    counts: Arc<Counts>,
    limit: u64,
    has_ended: AtomicBool,
}

impl SpanQueue {
    pub(super) fn new(processor: BatchSpanProcessor, counts: Arc<Counts>, limit: usize) -> SpanQueue {
        SpanQueue { processor, counts, limit: limit as u64, has_ended: AtomicBool::new(false) }
    }

    /// Adds a span, or drops it. Never blocks.
    pub(super) fn push(&self, span: SpanData) {
        let counts = &self.counts;
        let is_full = counts.waiting.fetch_add(1, Ordering::Relaxed) >= self.limit;
        if is_full || self.has_ended.load(Ordering::Relaxed) {
            counts.waiting.fetch_sub(1, Ordering::Relaxed);
            if counts.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                log::warn!("spans are dropped: the collector takes them more slowly than they are made, or not at all");
            }
            return;
        }
        self.processor.on_end(span);
    }

    pub(super) fn counts(&self) -> OtlpCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { exported, failed, dropped, waiting } = &*self.counts;
        OtlpCounts { exported: read(exported), failed: read(failed), dropped: read(dropped), waiting: read(waiting) }
    }

    pub(super) fn shutdown(&self, limit: Duration) -> Result<()> {
        self.has_ended.store(true, Ordering::Relaxed);
        let failed_before = self.counts().failed;
        let ended = self.processor.shutdown_with_timeout(limit);
        let OtlpCounts { failed, waiting, .. } = self.counts();
        let lost = failed - failed_before + waiting;
        match ended {
            Ok(()) | Err(OTelSdkError::AlreadyShutdown) if lost == 0 => Ok(()),
            _ => {
                let message = format!("the OTLP collector has not taken {lost} spans within {limit:?}: is it running?");
                Err(Error::new(ErrorKind::Io, message))
            }
        }
    }
}

/// An exporter that counts what it exports, and says in the log when it fails.
#[derive(Debug)]
pub(super) struct Counting<E> {
    exporter: E,
    counts: Arc<Counts>,
    /// Whether the last batch was taken.
    is_failing: AtomicBool,
}

impl<E> Counting<E> {
    pub(super) fn new(exporter: E, counts: Arc<Counts>) -> Counting<E> {
        Counting { exporter, counts, is_failing: AtomicBool::new(false) }
    }

    /// Says in the log when exports begin to fail, and when they no longer do.
    fn report(&self, exported: &OTelSdkResult) {
        let was_failing = self.is_failing.swap(exported.is_err(), Ordering::Relaxed);
        match exported {
            Err(error) if !was_failing => {
                log::warn!("the OTLP collector takes no spans: {}", escaped(&error.to_string()));
            }
            Ok(()) if was_failing => log::info!("the OTLP collector takes spans again"),
            _ => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let exported = self.exporter.export(batch).await;
        let count = if exported.is_ok() { &self.counts.exported } else { &self.counts.failed };
        count.fetch_add(spans, Ordering::Relaxed);
        self.counts.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.report(&exported);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
