//! `wasmcloud:httpserver`: a listener of its own for each linked actor, whose requests become calls. The server itself is
//! the crate `wasmcloud-http-server`; this makes it a provider of the host.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
use wasmcloud_http_server::{ActorCaller, CONTRACT, CallError, CallErrorKind, Server};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{ActorDispatcher, AsyncCapabilityProvider, Binding, ProviderCallContext};

/// The provider's public key, the same in every host.
const PUBLIC_KEY: &str = "VBW2SATI6KGCM7PJFVP7FULS2UEFACLKGLJRJKF3ICHO7AEOLZRPDDRB";

/// An HTTP server as a capability provider: each actor that is linked to it is served on a port of its own.
///
/// | link value | meaning | default |
/// |---|---|---|
/// | `PORT` | the TCP port to listen on; `0` takes any free one (see [`HttpServer::address`]) | 8080 |
/// | `BIND` | the IP address to listen on, or `localhost`; `0.0.0.0` or `::` are all of the machine's | `127.0.0.1`, this machine alone |
/// | `BODY_LIMIT` | the largest request body in bytes, 63 MiB at most; larger ones are answered with 413 | 8388608 (8 MiB) |
/// | `TLS_CERT`, `TLS_KEY` | the certificate chain and its private key: each in PEM, or the path of a file in PEM, read when the link is made | none: no encryption |
/// | `CORS_ALLOWED_ORIGINS` | the origins whose pages may use the actor, separated by commas, or `*` | none: CORS is left to the actor |
/// | `CORS_ALLOWED_METHODS` | the methods that they may use | the usual ones |
/// | `CORS_ALLOWED_HEADERS` | the headers that they may send | any |
/// | `CORS_EXPOSED_HEADERS` | the headers of an answer that they may read, beside those that any page may | none |
/// | `CORS_MAX_AGE_SECS` | for how many seconds a browser may remember that | 3600 |
/// | `WORKERS` | accepted as a number above 0, as it always was, without effect | |
///
/// A link is refused, naming the value, where one is unknown or cannot be read, or the port cannot be opened. New values for a
/// link open the new port before the old one is closed. When a link ends, its port is closed at once, and requests in flight
/// have 25 s to end. Where an actor is served is on the log, at the level `info`, or `warn` where other machines reach it.
///
/// HTTP/1.1 and HTTP/2 are spoken, with TLS as the client prefers, without it as the client begins. A connection is closed
/// after 75 s without a request and when the head of one takes longer than 10 s to arrive or its body longer than 30 s. It is
/// cut when its client takes less than 8 KiB of an answer in 30 s, whatever else it does. A head has at most 32 KiB and 100
/// headers (431).
///
/// A request is judged by RFC 9110, 9112 and 9113 before the actor is asked, and refused with 400 where it has no valid host,
/// or two, or a target or a framing that is not valid, with 501 where it asks for a tunnel (`CONNECT`) or has a transfer coding
/// other than `chunked`, and with 417 where it expects something other than `100-continue`. The header `host` that the actor
/// sees is what the request is addressed to: the authority of a target in absolute form, or of HTTP/2. `content-length` is the
/// length of the body, in whichever way it came. Headers that speak of the connection do not reach the actor: `connection`,
/// `expect`, `http2-settings`, `keep-alive`, `proxy-connection`, `te`, `trailer`, `transfer-encoding`, `upgrade`.
///
/// A response is framed by its body. What an actor says of its length counts where there is no body by the method or the
/// status: in answers to `HEAD`, and with 304.
///
/// An actor that fails is answered for with 500, one that is not in time with 504, one that is stopped or has too much to
/// do with 503; why is on the log and never in the response.
///
/// All links of a server together hold at most 256 MiB of requests' bodies and as much of answers that have not been sent: 64 MiB
/// for one connection, 128 MiB for one client (an IPv4 address, or 64 bits of an IPv6 one). What counts is what has arrived. When
/// there is no room left, the client that holds most makes room for those that hold less: bodies that it is sending are answered
/// with 503, connections whose answers it does not take are cut. A request whose body or answer finds no room otherwise is
/// answered with 503.
///
/// A server has at most 20,000 connections, or as many as the limit of open files leaves after a reserve of a quarter (32 to
/// 1,024). Beyond that, those that have been idle longest are closed for new ones.
///
/// Each request has an identity: the header `x-request-id` that it came with, if that is sane (up to 128 letters, digits and
/// `-_.:/+=@`), or a new one. It reaches the actor in that header, and is in the response and on each line of the log that
/// speaks of the request.
///
/// Where the values speak of CORS, the provider answers preflights itself, and what an actor says of allowed origins and
/// exposed headers is replaced.
///
/// Repeated headers of a request reach the actor joined, as the contract has one text for each name; bytes of a header
/// that are no UTF-8 are replaced. Names in an actor's response that differ in case alone make repeated headers.
///
/// ```
/// use std::collections::HashMap;
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

impl HttpServer {
    /// A server to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> HttpServer {
        HttpServer { link_name, server: Arc::default() }
    }

    /// The server as a provider to start. Clones of this server keep watching it.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("HTTP server", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    /// Where the requests for an actor are listened for, if it is linked.
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

    async fn stop(&self) {
        self.server.stop().await;
    }
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer").field("link_name", &self.link_name).finish_non_exhaustive()
    }
}

/// An actor behind a port.
#[derive(Debug)]
struct LinkedActor {
    key: String,
    dispatcher: ActorDispatcher,
}

impl ActorCaller for LinkedActor {
    async fn call(&self, operation: &str, payload: Vec<u8>) -> Result<Vec<u8>, CallError> {
        self.dispatcher.dispatch(&self.key, operation, payload).await.map_err(|error| to_call_error(&error))
    }
}

/// A failed call, as the HTTP server knows it.
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
