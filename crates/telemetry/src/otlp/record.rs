//! A span in progress, as its fields are recorded.

use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::field::{Field, Visit};

/// The greatest number of attributes of a span. Spans of hosts have fewer.
const MAX_ATTRIBUTES: usize = 32;

/// A span in progress.
#[derive(Debug)]
pub(super) struct SpanRecord {
    name: String,
    kind: SpanKind,
    trace_id: TraceId,
    span_id: SpanId,
    parent: SpanId,
    trace_state: TraceState,
    begun: SystemTime,
    attributes: Vec<KeyValue>,
    is_failed: bool,
    description: String,
    has_ended: bool,
}

impl SpanRecord {
    /// Begins a span now.
    pub(super) fn begin(name: &'static str) -> SpanRecord {
        SpanRecord {
            name: name.to_owned(),
            kind: SpanKind::Internal,
            trace_id: TraceId::INVALID,
            span_id: SpanId::INVALID,
            parent: SpanId::INVALID,
            trace_state: TraceState::NONE,
            begun: SystemTime::now(),
            attributes: Vec::new(),
            is_failed: false,
            description: String::new(),
            has_ended: false,
        }
    }

    /// Returns whether the outcome has been recorded.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the span for the collector, which ends now. `None` for one without identifiers.
    pub(super) fn finish(self, scope: &InstrumentationScope) -> Option<SpanData> {
        let SpanRecord { name, kind, trace_id, span_id, parent, trace_state, .. } = self;
        let SpanRecord { begun, attributes, is_failed, description, .. } = self;
        let span_context = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, trace_state);
        let has_parent = parent != SpanId::INVALID;
        span_context.is_valid().then(|| SpanData {
            span_context,
            parent_span_id: parent,
            parent_span_is_remote: has_parent && kind == SpanKind::Server,
            span_kind: kind,
            name: name.into(),
            start_time: begun,
            // A clock that was set back must not make it end before it begins.
            end_time: SystemTime::now().max(begun),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if is_failed { Status::error(description) } else { Status::Unset },
            instrumentation_scope: scope.clone(),
        })
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        if self.attributes.len() < MAX_ATTRIBUTES {
            self.attributes.push(KeyValue::new(field.name(), value));
        }
    }

    fn record_text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "otel.name" => self.name = text.to_owned(),
            "otel.kind" => self.kind = kind(text),
            "otel.status_code" => self.is_failed = text == "ERROR",
            "otel.status_description" => self.description = text.to_owned(),
            "trace_id" => self.trace_id = TraceId::from_hex(text).unwrap_or(TraceId::INVALID),
            "span_id" => self.span_id = SpanId::from_hex(text).unwrap_or(SpanId::INVALID),
            "parent_span_id" => self.parent = SpanId::from_hex(text).unwrap_or(SpanId::INVALID),
            "trace_state" => self.trace_state = text.parse().unwrap_or_default(),
            "outcome" => {
                self.has_ended = true;
                self.attributes.push(KeyValue::new("wasmcloud.outcome", text.to_owned()));
            }
            _ => self.add(field, text.to_owned()),
        }
    }
}

impl Visit for SpanRecord {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, value),
            Err(_) => self.add(field, value.to_string()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_text(field, &format!("{value:?}"));
    }
}

fn kind(text: &str) -> SpanKind {
    match text {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        _ => SpanKind::Internal,
    }
}
