//! Spans of calls, for subscribers of `tracing`. Without a subscriber that wants them, a call costs two reads of memory more, and
//! no identifiers are made.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::field::display;
use tracing::instrument::{Instrument, Instrumented};
use tracing::level_filters::LevelFilter;
use tracing::{Span, dispatcher};

use super::{Trace, TraceContext, random_id};
use crate::error::{Error, ErrorKind, Result};
use crate::text::Escaping;

/// The greatest length of a text from outside in a span. Unit: characters.
const MAX_TEXT: usize = 256;

/// Makes a span of a call: with the fields that all of them have, and with empty ones for what is recorded later.
#[doc(hidden)]
#[macro_export]
macro_rules! call_span {
    ($target:literal, $name:literal, $kind:literal, $host:expr, $title:expr, $($fields:tt)*) => {
        $crate::trace::tracing::debug_span!(
            target: $target,
            $name,
            otel.name = %$title,
            otel.kind = $kind,
            wasmcloud.host = %$host,
            $($fields)*
            trace_id = $crate::trace::tracing::field::Empty,
            span_id = $crate::trace::tracing::field::Empty,
            parent_span_id = $crate::trace::tracing::field::Empty,
            trace_state = $crate::trace::tracing::field::Empty,
            outcome = $crate::trace::tracing::field::Empty,
            error.r#type = $crate::trace::tracing::field::Empty,
            otel.status_code = $crate::trace::tracing::field::Empty,
            otel.status_description = $crate::trace::tracing::field::Empty,
        )
    };
}

/// How a host traces its calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tracing {
    host: Arc<str>,
    /// Of 2^64 traces that begin here, the number that are sampled, less one. `None` for none.
    sampled: Option<u64>,
}

/// A position in a trace, and the span of this host that it belongs to, if there is one.
#[derive(Debug)]
pub(crate) struct Node {
    trace: Trace,
    /// Taken when the span ends, so that it does not last as long as contexts that refer to it.
    span: Mutex<Option<Span>>,
}

/// The span of a call in progress, if there is one. Dropping it before the call has been answered says that the call missed its
/// deadline, or before the deadline, that it was cancelled.
#[derive(Debug)]
#[must_use = "dropping the span says that the call was cancelled"]
pub struct CallSpan(Option<InProgress>);

/// A span that has not ended.
#[derive(Debug)]
struct InProgress {
    node: Arc<Node>,
    deadline: Instant,
}

/// How the work of a span failed.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// The kind of the failure, such as the name of an error's kind or the status of an answer.
    pub kind: &'a str,
    /// What happened.
    pub text: &'a str,
}

/// Where a call is in its trace after a span was asked for.
pub(crate) struct Begun {
    pub(crate) node: Arc<Node>,
    pub(crate) span: CallSpan,
}

/// Returns whether a subscriber may want spans of calls.
#[inline]
pub fn is_listening() -> bool {
    // Without a subscriber, `tracing` writes spans to the logger of `log`.
    LevelFilter::current() >= LevelFilter::DEBUG
        || (log::max_level() >= log::LevelFilter::Debug && !dispatcher::has_been_set())
}

impl Tracing {
    /// Returns how a host with this public key traces its calls. `share` is that of the traces beginning here that are
    /// sampled: 0 to 1.
    pub fn new(host: &str, share: f64) -> Tracing {
        // The conversion saturates.
        let sampled = (share > 0.0).then(|| (share * 2.0_f64.powi(64)) as u64);
        Tracing { host: host.into(), sampled }
    }

    /// Returns the host's public key.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn is_sampled(&self) -> bool {
        self.sampled.is_some_and(|sampled| u64::from_be_bytes(random_id()) <= sampled)
    }

    /// Begins a span of a call with this position in its trace and this deadline. `None` if the position remains as it is.
    #[cold]
    pub(crate) fn begin(
        &self,
        outer: Option<&Arc<Node>>,
        deadline: Instant,
        make: impl FnOnce(&str) -> Span,
    ) -> Option<Begun> {
        let is_sampled = outer.map_or_else(|| self.is_sampled(), |outer| outer.trace.context.is_sampled());
        if !is_sampled {
            // The further calls of the chain must not decide again.
            let unsampled = || Node::of(TraceContext::begin(false).into());
            return outer.is_none().then(|| Begun { node: unsampled(), span: CallSpan(None) });
        }
        let span = match outer.and_then(|outer| outer.span()) {
            Some(outer) => inside(&outer, || make(&self.host)),
            None => make(&self.host),
        };
        if span.is_disabled() {
            return None;
        }
        let context = outer.map_or_else(|| TraceContext::begin(true), |outer| outer.trace.context.child());
        record_ids(&span, &context, outer.map(|outer| outer.trace.context));
        let state = outer.and_then(|outer| outer.trace.state.clone());
        if let Some(state) = &state {
            span.record("trace_state", state.as_str());
        }
        let node = Arc::new(Node { trace: Trace { context, state }, span: Mutex::new(Some(span)) });
        Some(Begun { span: CallSpan(Some(InProgress { node: node.clone(), deadline })), node })
    }
}

impl Node {
    pub(crate) fn of(trace: Trace) -> Arc<Node> {
        Arc::new(Node { trace, span: Mutex::default() })
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Returns the span, unless it has ended.
    fn span(&self) -> Option<Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&self) -> Option<Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl CallSpan {
    /// Returns the span of a call that is not traced.
    pub fn none() -> CallSpan {
        CallSpan(None)
    }

    /// Returns whether the call is not traced.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Records a field of the span, if there is one.
    pub fn record(&self, field: &str, value: impl tracing::Value) {
        if let Some(span) = self.span() {
            span.record(field, value);
        }
    }

    /// Runs part of the call inside of its span.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.span() {
            Some(span) => span.in_scope(work),
            None => work(),
        }
    }

    /// Returns work that runs inside of the span.
    pub fn instrument<F: Future>(&self, work: F) -> Instrumented<F> {
        work.instrument(self.span().unwrap_or_else(Span::none))
    }

    /// Ends the span with the outcome of the call.
    #[inline]
    pub fn end<T>(self, answer: &Result<T>) {
        if !self.is_none() {
            self.end_with(answer.as_ref().err());
        }
    }

    /// Ends the span of a call that succeeded, or failed with an error.
    #[cold]
    pub fn end_with(self, error: Option<&Error>) {
        let text = error.map(Error::to_string).unwrap_or_default();
        self.conclude(error.map(|error| Failure { kind: error.kind().name(), text: &text }));
    }

    /// Ends the span of work that succeeded, or failed in some way.
    #[cold]
    pub fn conclude(mut self, failure: Option<Failure<'_>>) {
        self.finish(if failure.is_some() { "error" } else { "ok" }, failure);
    }

    /// Ends the span of a call that the next instance serves instead.
    pub fn moved(mut self) {
        self.finish("moved", None);
    }

    fn finish(&mut self, outcome: &str, failure: Option<Failure<'_>>) {
        let Some(span) = self.0.take().and_then(|in_progress| in_progress.node.end()) else { return };
        if let Some(Failure { kind, text }) = failure {
            span.record("error.type", kind);
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", display(Shown(text)));
        }
        // Recorded last: it ends the span for those who export it.
        span.record("outcome", outcome);
    }

    fn span(&self) -> Option<Span> {
        self.0.as_ref().and_then(|in_progress| in_progress.node.span())
    }
}

impl Drop for CallSpan {
    #[inline]
    fn drop(&mut self) {
        let Some(in_progress) = &self.0 else { return };
        if Instant::now() < in_progress.deadline {
            self.finish("cancelled", None);
        } else {
            let kind = ErrorKind::DeadlineExceeded.name();
            self.finish("error", Some(Failure { kind, text: "not answered before the deadline" }));
        }
    }
}

/// Makes a span inside of another one, for the same subscriber.
fn inside(outer: &Span, make: impl FnOnce() -> Span) -> Span {
    let mut make = Some(make);
    let made = outer.with_subscriber(|(_, subscriber)| {
        dispatcher::with_default(subscriber, || outer.in_scope(|| make.take().map(|make| make())))
    });
    made.flatten().unwrap_or_else(|| make.take().map_or_else(Span::none, |make| make()))
}

fn record_ids(span: &Span, context: &TraceContext, parent: Option<TraceContext>) {
    let id = |context: TraceContext| u64::from_be_bytes(context.span_id());
    span.record("trace_id", display(format_args!("{:032x}", u128::from_be_bytes(context.trace_id()))));
    span.record("span_id", display(format_args!("{:016x}", id(*context))));
    if let Some(parent) = parent {
        span.record("parent_span_id", display(format_args!("{:016x}", id(parent))));
    }
}

/// A text from outside as a span shows it: at most 256 characters, without control characters.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(MAX_TEXT).map_or(self.0.len(), |(end, _)| end);
        Escaping::new(f).write_str(&self.0[..end])
    }
}

#[cfg(test)]
mod tests;
