//! What the spans of HTTP requests have in common, incoming and outgoing.

pub(crate) use wasmcloud_core::trace::tracing::field::Empty;
use wasmcloud_core::trace::{CallSpan, Failure};

/// Returns the name that a span gives a method. Unknown ones have one name, because a span's names should be few.
pub(crate) fn method(method: &str) -> &'static str {
    const KNOWN: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}

/// Ends the span of a request that was answered with a status.
pub(crate) fn answered(span: CallSpan, status: u16, is_failure: bool) {
    if span.is_none() {
        return;
    }
    span.record("http.response.status_code", status);
    let status = status.to_string();
    span.conclude(is_failure.then_some(Failure { kind: &status, text: "" }));
}
