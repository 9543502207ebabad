//! The trace that an outgoing request belongs to: its span, and the headers by which the server continues it.

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Request, StatusCode};
use wasmcloud_core::call_span;
use wasmcloud_core::trace::{CallSpan, Failure, Shown, Trace, TraceContext, is_listening};
use wasmcloud_provider::ActorDispatcher;

use crate::http_tracing;

const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";

/// Begins the span of a request, and sets the headers of its trace. Of the URL, the span has scheme, host and port, because the
/// rest may be secret.
pub(super) fn begin(dispatcher: &ActorDispatcher, request: &mut Request) -> CallSpan {
    if dispatcher.trace().is_none() && !is_listening() {
        return CallSpan::none();
    }
    let (context, span) = dispatcher.begin().in_span(dispatcher.tracing(), |host| {
        let url = request.url();
        let method = http_tracing::method(request.method().as_str());
        call_span!(
            "wasmcloud::http", "http", "client", host, method,
            http.request.method = method,
            url.scheme = url.scheme(),
            server.address = %Shown(url.host_str().unwrap_or_default()),
            server.port = url.port_or_known_default().unwrap_or_default(),
            http.response.status_code = http_tracing::Empty,
        )
    });
    if let Some(trace) = context.trace() {
        propagate(trace, request.headers_mut());
    }
    span
}

/// Ends the span of a request that was answered with a status, or failed.
pub(super) fn end(span: CallSpan, answer: Result<StatusCode, &String>) {
    match answer {
        Ok(status) => {
            http_tracing::answered(span, status.as_u16(), status.is_client_error() || status.is_server_error());
        }
        Err(text) => span.conclude(Some(Failure { kind: "RequestFailed", text })),
    }
}

/// Sets the headers of a trace, unless the actor has set those of another trace. An actor that passes on the headers of its own
/// request names the same trace, but a span further back.
fn propagate(trace: &Trace, headers: &mut HeaderMap) {
    let mut given = headers.get_all(TRACE_PARENT).iter();
    let given = given.next().and_then(|parent| TraceContext::parse(parent.to_str().ok()?));
    if given.is_some_and(|given| given.trace_id() != trace.context.trace_id()) {
        return;
    }
    let value = |text: &str| HeaderValue::from_str(text).ok();
    if let Some(parent) = value(&trace.context.to_string()) {
        headers.insert(TRACE_PARENT, parent);
    }
    match trace.state.as_ref().and_then(|state| value(state.as_str())) {
        Some(state) => headers.insert(TRACE_STATE, state),
        None => headers.remove(TRACE_STATE),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// Returns the headers of a request for which the actor gave these.
    fn propagated(given: &[(&'static str, &str)]) -> [Option<String>; 2] {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().unwrap());
        }
        propagate(&Trace::from_headers(OURS, Some("a=1")).unwrap(), &mut headers);
        [TRACE_PARENT, TRACE_STATE].map(|name| {
            let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            (!values.is_empty()).then(|| values.join(","))
        })
    }

    #[test]
    fn a_trace_is_passed_on_unless_the_actor_names_another() {
        let ours = [Some(OURS.to_owned()), Some("a=1".to_owned())];
        let earlier = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
        let other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert_eq!(propagated(&[]), ours);
        assert_eq!(propagated(&[("traceparent", earlier), ("tracestate", "b=2")]), ours);
        assert_eq!(propagated(&[("traceparent", "nonsense")]), ours);
        assert_eq!(propagated(&[("traceparent", other)]), [Some(other.to_owned()), None]);
    }
}
