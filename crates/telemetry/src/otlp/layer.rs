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
    scope: Arc<InstrumentationScope>,
}

/// A span in progress, once for each such layer of the subscriber. A layer is known by the address of its scope.
#[derive(Debug)]
struct Records(Vec<(usize, SpanRecord)>);

impl OtlpLayer {
    pub(super) fn new(queue: Arc<SpanQueue>) -> OtlpLayer {
        let scope = InstrumentationScope::builder("wasmcloud").with_version(env!("CARGO_PKG_VERSION")).build();
        OtlpLayer { queue, scope: Arc::new(scope) }
    }

    /// Returns what tells this layer from others of the subscriber.
    fn id(&self) -> usize {
        Arc::as_ptr(&self.scope) as usize
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for OtlpLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut record = SpanRecord::begin(attributes.metadata().name());
        attributes.record(&mut record);
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Records>() {
            Some(Records(records)) => records.push((self.id(), record)),
            None => extensions.insert(Records(vec![(self.id(), record)])),
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let ended = {
            let mut extensions = span.extensions_mut();
            let Some(Records(records)) = extensions.get_mut::<Records>() else { return };
            let own = records.iter().position(|(layer, _)| *layer == self.id());
            let Some(at) = own else { return };
            values.record(&mut records[at].1);
            records[at].1.has_ended().then(|| records.swap_remove(at).1)
        };
        if let Some(data) = ended.and_then(|record| record.finish(&self.scope)) {
            self.queue.push(data);
        }
    }
}
