//! The layer that takes the spans of hosts from a subscriber.

use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use tracing::Subscriber;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::queue::SpanQueue;
use super::record::SpanRecord;

/// Takes the spans of hosts from a subscriber, and queues each when its outcome is recorded.
#[derive(Debug)]
pub(super) struct OtlpLayer {
    queue: Arc<SpanQueue>,
    scope: InstrumentationScope,
}

impl OtlpLayer {
    pub(super) fn new(queue: Arc<SpanQueue>) -> OtlpLayer {
        let scope = InstrumentationScope::builder("wasmcloud").with_version(env!("CARGO_PKG_VERSION")).build();
        OtlpLayer { queue, scope }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for OtlpLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut record = SpanRecord::begin(attributes.metadata().name());
        attributes.record(&mut record);
        span.extensions_mut().replace(record);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let ended = {
            let mut extensions = span.extensions_mut();
            let Some(record) = extensions.get_mut::<SpanRecord>() else { return };
            values.record(record);
            if record.has_ended() { extensions.remove::<SpanRecord>() } else { None }
        };
        if let Some(data) = ended.and_then(|record| record.finish(&self.scope)) {
            self.queue.push(data);
        }
    }
}
