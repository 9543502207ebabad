//! `wasmcloud:httpserver`: serves linked actors over HTTP. The crate `wasmcloud-http-server` is the server. This module makes it
//! a provider.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use wasmcloud_core::call::CallContext;
use wasmcloud_core::call_span;
use wasmcloud_core::durations::Durations;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
use wasmcloud_core::trace::{CallSpan, Shown, Trace};
use wasmcloud_http_server::{ActorCaller, CONTRACT, CallError, CallErrorKind, RequestHead, ServedRequest, Server};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{
    ActorDispatcher, AsyncCapabilityProvider, Binding, HttpFigures, ProviderCallContext, ProviderFigures,
};

use crate::http_tracing;

use super::link_values::link_values;

/// The provider's public key. It is the same in every host.
const PUBLIC_KEY: &str = "VBW2SATI6KGCM7PJFVP7FULS2UEFACLKGLJRJKF3ICHO7AEOLZRPDDRB";

/// The provider of `wasmcloud:httpserver`: serves each linked actor over HTTP on a port of its own.
///
/// Each link configures the provider for one actor, by the values that [`HttpServer::LINK_VALUES`] lists.
///
/// The provider refuses a link if a value is unknown or invalid, or if the port cannot be opened. The error names the value. When a
/// link's values change, the new port opens before the old one closes. When a link ends, its port closes at once, and requests in
/// flight have 25 seconds to finish. The host logs the address of each actor at the level `info`, or at `warn` if other machines can
/// reach it.
///
/// # Protocols and limits
/// The server speaks HTTP/1.1 and HTTP/2. With TLS the client chooses by ALPN, without TLS by how it begins.
///
/// | Limit | Value |
/// |---|---|
/// | Connection without a request | closed after 75 s |
/// | Head of a request | 32 KiB and 100 headers (431), within 10 s |
/// | Body of a request | `BODY_LIMIT` (413), within 30 s (408) |
/// | Response that the client does not read | connection closed if it reads less than 8 KiB in 30 s |
/// | Connections of a server | 20,000, or fewer if the limit of open files is lower, less a reserve of a quarter of it (32 to 1,024) |
/// | Memory for request bodies, and again for unsent responses | 256 MiB per server, 128 MiB per client, 64 MiB per connection |
///
/// A client is an IPv4 address or a /64 network of IPv6 addresses. Only bytes that have arrived count. If memory runs out, the client
/// that holds most gives way to those that hold less: the bodies it is sending are answered with 503, and connections whose responses
/// it does not read are closed. A request for which no memory can be freed is answered with 503. If all connections are in use, those
/// that have been idle longest are closed.
///
/// # Requests
/// The server validates requests by RFC 9110, RFC 9112 and RFC 9113 before it calls the actor:
///
/// | Request | Answer |
/// |---|---|
/// | no valid `host`, more than one, an invalid target or an invalid framing | 400 |
/// | an expectation other than `100-continue` | 417 |
/// | `CONNECT`, or a transfer coding other than `chunked` | 501 |
///
/// The actor receives the authority of the request as `host`: that of a target in absolute form, of HTTP/2's `:authority`, or of the
/// header. It receives the length of the body as `content-length`. Headers of the connection are removed: `connection`, `expect`,
/// `http2-settings`, `keep-alive`, `proxy-connection`, `te`, `trailer`, `transfer-encoding`, `upgrade`. Repeated headers are joined,
/// because the contract has one text per name. Header bytes that are not UTF-8 are replaced.
///
/// A request with a valid `traceparent` continues that trace, unless the link has `TRACE=restart`: see `docs/traces.md`.
///
/// Each request has an identity, the header `x-request-id`: the one that the client sent, if it has up to 128 letters, digits and
/// `-_.:/+=@`, or a generated one. The actor receives it, the response carries it, and each line on the log about the request names it.
///
/// # Responses
/// The length of the body frames the response. The actor's `content-length` counts only if there is no body: in answers to `HEAD`,
/// and with status 304. Header names that differ only in case become repeated headers.
///
/// | Outcome of the call | Answer |
/// |---|---|
/// | the actor failed, or its response is invalid | 500 |
/// | the actor is stopped or overloaded | 503 |
/// | the actor missed its deadline | 504 |
///
/// The log has the reason, the response does not. If `CORS_ALLOWED_ORIGINS` is set, the provider answers preflights, and replaces
/// what the actor declares about allowed origins and exposed headers.
///
/// # Example
/// ```
/// use wasmcloud_host::{HostBuilder, builtin::HttpServer};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// let http = HttpServer::new(None);
/// host.start_native_capability(http.capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpServer {
    link_name: Option<String>,
    server: Arc<Server<LinkedActor>>,
}

link_values! {
    HttpServer:
    "PORT"
        => "TCP port to listen on. `0` chooses a free port, see [`HttpServer::address`]. Range: 0 to 65535.",
        "`8080`";
    "BIND"
        => "IP address to listen on, or `localhost`. `0.0.0.0` and `::` listen on all addresses of the machine.",
        "`127.0.0.1`: only this machine";
    "BODY_LIMIT"
        => "Maximum size of a request body. Larger ones are answered with 413. Unit: bytes. Maximum: 66060288 (63 MiB).",
        "`8388608` (8 MiB)";
    "TLS_CERT", "TLS_KEY"
        => "Certificate chain and private key, each as PEM text or as the path of a PEM file. Read when the link is established. Each requires the other.",
        "none: no encryption";
    "CORS_ALLOWED_ORIGINS"
        => "Origins whose pages may use the actor, separated by commas, or `*` for any.",
        "none: CORS is left to the actor";
    "CORS_ALLOWED_METHODS"
        => "Methods that these pages may use, separated by commas. Requires `CORS_ALLOWED_ORIGINS`.",
        "`GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS`";
    "CORS_ALLOWED_HEADERS"
        => "Request headers that these pages may send, separated by commas, or `*` for any. Requires `CORS_ALLOWED_ORIGINS`.",
        "any";
    "CORS_EXPOSED_HEADERS"
        => "Response headers that these pages may read, in addition to the safelisted ones, separated by commas. Requires `CORS_ALLOWED_ORIGINS`.",
        "none";
    "CORS_MAX_AGE_SECS"
        => "Time that browsers may cache the answer to a preflight. Unit: seconds. Requires `CORS_ALLOWED_ORIGINS`.",
        "`3600` (1 hour)";
    "TRACE"
        => "Treatment of the trace that a client names by `traceparent`. `continue` makes the request part of it. `restart` removes the headers `traceparent` and `tracestate`, and the request begins a trace of its own.",
        "`continue`";
    "WORKERS"
        => "Number of workers, accepted for compatibility with providers of 2021. No effect. Range: 1 to 65535.",
        "";
}

impl HttpServer {
    /// Creates a provider that runs under this link name. Default: `default`.
    pub fn new(link_name: Option<String>) -> HttpServer {
        HttpServer { link_name, server: Arc::default() }
    }

    /// Returns the provider for `Host::start_native_capability`. Clones of this value observe the running provider.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("HTTP server", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    /// Returns the address that an actor is served on, or `None` if the actor is not linked.
    pub fn address(&self, actor: &str) -> Option<SocketAddr> {
        self.server.address(actor)
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for HttpServer {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let Binding { actor, values, dispatcher, .. } = binding;
        self.server.bind(&actor, &values, LinkedActor { key: actor.clone(), dispatcher }).await
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        self.unbind(actor).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.server.unbind(actor).await;
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Err(format!("{CONTRACT} has no operation {:?} for actors to call", call.operation).into())
    }

    fn figures(&self) -> ProviderFigures {
        let figures = self.server.figures();
        let mut durations = Durations { nanoseconds: figures.total.as_nanos() as u64, ..Durations::default() };
        durations.buckets.iter_mut().zip(figures.durations).for_each(|(bucket, requests)| *bucket = requests);
        ProviderFigures::of_http(HttpFigures::new(figures.requests, durations))
    }

    async fn stop(&self) {
        self.server.stop().await;
    }
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer").field("link_name", &self.link_name).finish_non_exhaustive()
    }
}

/// An actor that is served on a port.
#[derive(Debug)]
struct LinkedActor {
    key: String,
    dispatcher: ActorDispatcher,
}

impl ActorCaller for LinkedActor {
    type Request = TracedRequest;

    fn begin(&self, head: &RequestHead<'_>) -> TracedRequest {
        let trace = head.header("traceparent").and_then(|parent| {
            let state = head.header("tracestate");
            Trace::from_headers(&parent, state.as_deref())
        });
        let context = self.dispatcher.in_chain().begin();
        let context = match trace {
            Some(trace) => context.with_trace(trace),
            None => context,
        };
        let (context, span) = context.in_span(self.dispatcher.tracing(), |host| {
            let method = http_tracing::method(head.method());
            call_span!(
                "wasmcloud::http", "http", "server", host, method,
                http.request.method = method,
                url.path = %Shown(head.path()),
                network.protocol.name = "http",
                network.protocol.version = head.version(),
                wasmcloud.actor = %self.key,
                http.response.status_code = http_tracing::Empty,
            )
        });
        TracedRequest { context, span }
    }

    async fn call(&self, request: &TracedRequest, operation: &str, payload: Vec<u8>) -> Result<Vec<u8>, CallError> {
        // The deadline begins with the call, not with the request.
        let deadline = self.dispatcher.begin().deadline;
        let dispatcher = self.dispatcher.within(Some(request.context.clone().until(deadline)));
        let answer = dispatcher.dispatch(&self.key, operation, payload).await;
        answer.map_err(|error| to_call_error(&error))
    }
}

/// A request: the chain of calls that it begins, and its span if there is one.
#[derive(Debug)]
struct TracedRequest {
    context: CallContext,
    span: CallSpan,
}

impl ServedRequest for TracedRequest {
    fn call_id(&self) -> Option<String> {
        Some(self.context.call_id().to_string())
    }

    fn answered(self, status: u16) {
        http_tracing::answered(self.span, status, status >= 500);
    }
}

/// Converts the error of a call for the HTTP server.
fn to_call_error(error: &Error) -> CallError {
    let kind = match error.kind() {
        ErrorKind::DeadlineExceeded => CallErrorKind::TimedOut,
        ErrorKind::Busy
        | ErrorKind::ActorStopped
        | ErrorKind::ActorNotFound
        | ErrorKind::NotLinked
        | ErrorKind::HostNotRunning => CallErrorKind::Unavailable,
        _ => CallErrorKind::Failed,
    };
    CallError { kind, text: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_those_that_the_server_reads() {
        let listed: Vec<&str> = HttpServer::LINK_VALUES.iter().flat_map(|value| value.names).copied().collect();
        assert_eq!(listed, wasmcloud_http_server::LINK_VALUE_NAMES);
    }
}
