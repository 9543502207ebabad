//! Turns a request into a call of the actor, and its answer into a response.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http};
use tokio_rustls::TlsAcceptor;

use crate::BoxedError;
use crate::activity::{RequestInFlight, ResponseInFlight};
use crate::actor_caller::{ActorCaller, RequestHead, ServedRequest};
use crate::config::{HttpServerConfig, TraceOfClient};
use crate::connection_table::MemoryKind;
use crate::connection_table::{ConnectionHandle, MemoryReservation};
use crate::cors::Cors;
use crate::figures::Counters;
use crate::normalise::{RequestFraming, normalise};
use crate::payloads::{HANDLE_REQUEST, JoinedHeaders, RequestPayload, ResponsePayload};
use crate::request_body::{self, RequestBody};
use crate::request_failure::{Asked, RequestError};
use crate::request_id::{REQUEST_ID, RequestIds};
use crate::response_body::ResponseBody;
use crate::response_framing::frame_response;

/// Headers of the connection, which actors cannot set. [`frame_response`] handles `content-length`.
const CONNECTION_HEADERS: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Size up to which the head of a request does not count as held memory. Most heads are smaller. Unit: bytes.
const FREE_HEAD_BYTES: usize = 4 * 1024;

/// Number of headers that the server adds to a response: the identity of the request, the date and the length.
const ADDED_HEADERS: usize = 3;

/// The headers by which a client names the trace of its request.
const TRACE_HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// Handles the requests of a port.
pub(crate) struct RequestHandler<C> {
    actor: String,
    caller: C,
    body_limit: usize,
    /// The approximate size of the larger recent answers. Unit: bytes.
    typical_response: AtomicUsize,
    cors: Option<Cors>,
    trace: TraceOfClient,
    ids: RequestIds,
    counters: Arc<Counters>,
    /// Encrypts connections, if set.
    pub(crate) tls: Option<TlsAcceptor>,
}

type HttpResponse = http::Response<Bytes>;

impl<C: ActorCaller> RequestHandler<C> {
    pub(crate) fn new(
        actor: &str,
        caller: C,
        config: &HttpServerConfig,
        tls: Option<TlsAcceptor>,
        counters: Arc<Counters>,
    ) -> RequestHandler<C> {
        RequestHandler {
            actor: actor.to_owned(),
            caller,
            body_limit: config.body_limit,
            typical_response: AtomicUsize::default(),
            cors: config.cors.clone(),
            trace: config.trace,
            ids: RequestIds::new(),
            counters,
            tls,
        }
    }

    /// Handles a request. A failure is logged in full, but the client receives only a status.
    pub(crate) async fn handle<B>(
        &self,
        request: http::Request<B>,
        in_flight: RequestInFlight,
    ) -> http::Response<ResponseBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        let begun = Instant::now();
        let (mut head, body) = request.into_parts();
        let id = self.ids.of(&head.headers);
        head.headers.insert(REQUEST_ID, id.clone());
        if self.trace == TraceOfClient::Dropped {
            TRACE_HEADERS.iter().for_each(|name| drop(head.headers.remove(*name)));
        }
        let request = self.caller.begin(&RequestHead(&head));
        let answered = self.try_handle(&request, &mut head, body, in_flight.connection()).await;
        let (mut response, reservation) =
            answered.unwrap_or_else(|failure| (self.explain(&head, &request, &id, &failure), None));
        response.headers_mut().insert(REQUEST_ID, id);
        frame_response(&head.method, &mut response);
        self.counters.count(response.status(), begun.elapsed());
        if log::log_enabled!(log::Level::Debug) {
            let id = response.headers()[REQUEST_ID].to_str().unwrap_or_default();
            let (asked, status, call) = (Asked::of(&head), response.status(), request.call_id());
            let (actor, call) = (self.actor.as_str(), call.as_deref());
            log::debug!(actor, request = id, call; "request {id}: {asked} was answered with {status}");
        }
        request.answered(response.status().as_u16());
        response.map(|body| ResponseBody::new(body, ResponseInFlight::begin(in_flight, reservation)))
    }

    /// Validates a request and calls the actor. Returns the response with the memory that it holds.
    async fn try_handle<B>(
        &self,
        request: &C::Request,
        head: &mut http::request::Parts,
        body: B,
        connection: &Arc<ConnectionHandle>,
    ) -> Result<(HttpResponse, Option<MemoryReservation>), RequestError>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        let framing = normalise(head).map_err(RequestError::Rejected)?;
        let preflight = self.cors.as_ref().and_then(|cors| cors.preflight(&head.method, &head.headers));
        if let Some((status, headers)) = preflight {
            return Ok((without_body(status, headers), None));
        }
        let received =
            request_body::read(body, framing, self.body_limit, connection).await.map_err(RequestError::Body)?;
        set_content_length(&mut head.headers, framing, received.bytes.len());
        let (call, reservations) = encode_with_memory(head, received, connection)?;
        let call_in_flight = connection.start_call(self.typical_response.load(Ordering::Relaxed)).await;
        // The reservations are released with the call, which holds the bytes of the body.
        let answer = self.caller.call(request, HANDLE_REQUEST, call).await.map_err(RequestError::Call)?;
        drop((call_in_flight, reservations));
        self.record_response_size(answer.len());
        let reservation = connection
            .reserve_memory(MemoryKind::Response, answer.len())
            .map_err(|_| RequestError::NoRoomForResponse)?;
        let mut response = decode_response(answer.into()).map_err(RequestError::InvalidResponse)?;
        if let Some(cors) = &self.cors {
            cors.set_headers(head.headers.get(header::ORIGIN), response.headers_mut());
        }
        Ok((response, Some(reservation)))
    }

    fn record_response_size(&self, length: usize) {
        let before = self.typical_response.load(Ordering::Relaxed);
        self.typical_response.store(length.max(before - before / 16), Ordering::Relaxed);
    }

    /// Returns the response to a failed request, and logs the failure.
    fn explain(
        &self,
        head: &http::request::Parts,
        request: &C::Request,
        id: &HeaderValue,
        failure: &RequestError,
    ) -> HttpResponse {
        let status = failure.status();
        let (actor, id) = (self.actor.as_str(), id.to_str().unwrap_or_default());
        if status.is_server_error() && !matches!(failure, RequestError::Rejected(_)) {
            let (asked, call) = (Asked::of(head), request.call_id());
            let call = call.as_deref();
            log::error!(
                actor, request = id, call;
                "request {id}: actor {actor} failed to answer {asked} ({status}): {failure}"
            );
        } else {
            log::debug!(actor, request = id; "request {id} was refused with {status}: {failure}");
        }
        let mut response = status_response(status);
        if let RequestError::Rejected(_) = failure {
            // The bytes that follow an invalid request cannot be trusted as a request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Adds the length of a body that arrived without one, in chunks or over HTTP/2.
fn set_content_length(headers: &mut HeaderMap, framing: RequestFraming, length: usize) {
    if framing.length.is_none() && (framing.chunked || length > 0) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Returns the payload of the call, and the memory that it and the body hold.
fn encode_with_memory(
    head: &http::request::Parts,
    received: RequestBody,
    connection: &Arc<ConnectionHandle>,
) -> Result<(Vec<u8>, Vec<MemoryReservation>), RequestError> {
    let RequestBody { bytes, mut reservations } = received;
    let call = encode(head, &bytes).map_err(RequestError::Encode)?;
    if call.len() > bytes.len() + FREE_HEAD_BYTES {
        let reserved = connection.reserve_memory(MemoryKind::RequestBody, call.len() - bytes.len());
        reservations.push(reserved.map_err(|full| RequestError::Body(full.into()))?);
    }
    Ok((call, reservations))
}

fn encode(head: &http::request::Parts, body: &[u8]) -> Result<Vec<u8>, BoxedError> {
    let request = RequestPayload {
        method: head.method.as_str(),
        path: head.uri.path(),
        query_string: head.uri.query().unwrap_or_default(),
        header: JoinedHeaders(&head.headers),
        body,
    };
    Ok(request.encode()?)
}

fn decode_response(answer: Bytes) -> Result<HttpResponse, BoxedError> {
    let response = ResponsePayload::decode(&answer)?;
    let status = u16::try_from(response.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status
        .filter(|status| !status.is_informational())
        .ok_or_else(|| format!("the actor answered with the status {}", response.status_code))?;
    let mut headers = HeaderMap::with_capacity(response.header.0.len() + ADDED_HEADERS);
    for (name, value) in response.header.0 {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        let value = HeaderValue::from_bytes(value.as_bytes())?;
        if !CONNECTION_HEADERS.contains(&name) {
            headers.append(name, value);
        }
    }
    let body = match response.body {
        // Not copied.
        Cow::Borrowed(body) => answer.slice_ref(body),
        Cow::Owned(body) => Bytes::from(body),
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn without_body(status: StatusCode, headers: HeaderMap) -> HttpResponse {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Returns a response with the reason phrase of its status as body.
fn status_response(status: StatusCode) -> HttpResponse {
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = http::Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_cannot_frame_the_response_itself() {
        let answer = b"\x83\xaastatusCode\xcc\xc8\xa6header\x83\xaecontent-length\xa299\xaaconnection\xa1y\xa1x\xa1y\xa4body\xc4\x01a";
        let mut response = decode_response(Bytes::from_static(answer)).unwrap();
        frame_response(&http::Method::GET, &mut response);
        assert_eq!(response.headers().len(), 1);
        assert_eq!(response.headers()["x"], "y");
    }

    #[test]
    fn an_invalid_response_is_an_error() {
        let split = b"\x82\xaastatusCode\xcc\xc8\xa6header\x81\xa1x\xa3a\r\n";
        let informational = b"\x81\xaastatusCode\x65";
        for answer in [&b""[..], b"hello", split, informational, b"\x81\xaastatusCode\xcd\xff\xff"] {
            assert!(decode_response(Bytes::from_static(answer)).is_err(), "{answer:?}");
        }
    }
}
