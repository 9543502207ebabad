//! From a request to a call and back.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http};
use tokio_rustls::TlsAcceptor;

use crate::BoxedError;
use crate::activity::{RequestInFlight, ResponseInFlight};
use crate::actor_caller::{ActorCaller, CallError, CallErrorKind};
use crate::config::HttpServerConfig;
use crate::connection_table::MemoryKind;
use crate::connection_table::{ConnectionHandle, MemoryReservation};
use crate::cors::Cors;
use crate::normalise::{RejectedRequest, RequestFraming, normalise};
use crate::payloads::{HANDLE_REQUEST, JoinedHeaders, RequestPayload, ResponsePayload};
use crate::request_body::{self, BodyError, RequestBody};
use crate::request_id::{REQUEST_ID, RequestIds};
use crate::response_body::ResponseBody;
use crate::response_framing::frame_response;

/// Headers that belong to a connection: an actor has no say in them. Of the length it tells, [`frame`] decides.
const CONNECTION_HEADERS: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What the head of a request may have without counting as bytes that are held, as most have.
const FREE_HEAD_BYTES: usize = 4 * 1024;

/// How many headers a response gets beside the actor's: the request's identity, the date and the length.
const ADDED_HEADERS: usize = 3;

/// Who answers the requests of a port, and within which bounds.
pub(crate) struct RequestHandler<C> {
    actor: String,
    caller: C,
    body_limit: usize,
    /// About as many bytes as the larger ones of the last answers had.
    typical_response: AtomicUsize,
    cors: Option<Cors>,
    ids: RequestIds,
    /// What connections are encrypted with, if they are.
    pub(crate) tls: Option<TlsAcceptor>,
}

type HttpResponse = http::Response<Bytes>;

impl<C: ActorCaller> RequestHandler<C> {
    pub(crate) fn new(
        actor: &str,
        caller: C,
        config: &HttpServerConfig,
        tls: Option<TlsAcceptor>,
    ) -> RequestHandler<C> {
        RequestHandler {
            actor: actor.to_owned(),
            caller,
            body_limit: config.body_limit,
            typical_response: AtomicUsize::default(),
            cors: config.cors.clone(),
            ids: RequestIds::new(),
            tls,
        }
    }

    /// Answers one request of a connection. What goes wrong is told to the log in full and to the client as a status.
    pub(crate) async fn handle<B>(
        &self,
        request: http::Request<B>,
        in_flight: RequestInFlight,
    ) -> http::Response<ResponseBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        let (mut head, body) = request.into_parts();
        let id = self.ids.of(&head.headers);
        head.headers.insert(REQUEST_ID, id.clone());
        let answered = self.try_handle(&mut head, body, in_flight.connection()).await;
        let (mut response, reservation) = answered.unwrap_or_else(|failure| (self.explain(&head, &id, &failure), None));
        response.headers_mut().insert(REQUEST_ID, id);
        frame_response(&head.method, &mut response);
        if log::log_enabled!(log::Level::Debug) {
            let (id, path) = (response.headers()[REQUEST_ID].to_str().unwrap_or_default(), head.uri.path());
            log::debug!("request {id}: {} {path:?} was answered with {}", head.method, response.status());
        }
        response.map(|body| ResponseBody::new(body, ResponseInFlight::begin(in_flight, reservation)))
    }

    /// Judges a request and has it answered. With the reply comes what it holds, if it holds much.
    async fn try_handle<B>(
        &self,
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
        // Held until the request is answered: as long as its body is in memory.
        let RequestBody { bytes, mut reservations } = received;
        set_content_length(&mut head.headers, framing, bytes.len());
        let call = encode(head, &bytes).map_err(RequestError::Encode)?;
        if call.len() > bytes.len() + FREE_HEAD_BYTES {
            reservations.push(
                connection
                    .reserve_memory(MemoryKind::RequestBody, call.len() - bytes.len())
                    .map_err(|full| RequestError::Body(full.into()))?,
            );
        }
        drop(bytes);
        let call_in_flight = connection.start_call(self.typical_response.load(Ordering::Relaxed)).await;
        let answer = self.caller.call(HANDLE_REQUEST, call).await.map_err(RequestError::Call)?;
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

    /// The reply to a request that failed, and the line on the log where the failure is not the client's.
    fn explain(&self, head: &http::request::Parts, id: &HeaderValue, failure: &RequestError) -> HttpResponse {
        let status = failure.status();
        let id = id.to_str().unwrap_or_default();
        if status.is_server_error() && !matches!(failure, RequestError::Rejected(_)) {
            let (actor, path) = (&self.actor, head.uri.path());
            log::error!("request {id}: actor {actor} could not answer {} {path:?} ({status}): {failure}", head.method);
        } else {
            log::debug!("request {id}: it is refused with {status}: {failure}");
        }
        let mut response = status_response(status);
        if let RequestError::Rejected(_) = failure {
            // What follows it may not be what it seems.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Why a request was not answered by the actor.
enum RequestError {
    /// It is no request that an actor could be asked.
    Rejected(RejectedRequest),
    Body(BodyError),
    /// The request could not be put into the words of the contract.
    Encode(BoxedError),
    /// The call failed.
    Call(CallError),
    /// The call was answered with something that is no response.
    InvalidResponse(BoxedError),
    /// There is no room for the answer beside those that clients have not taken.
    NoRoomForResponse,
}

impl RequestError {
    fn status(&self) -> StatusCode {
        match self {
            RequestError::Rejected(rejected) => rejected.status,
            RequestError::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            RequestError::Body(BodyError::Incomplete) => StatusCode::BAD_REQUEST,
            RequestError::Body(BodyError::TimedOut) => StatusCode::REQUEST_TIMEOUT,
            RequestError::Body(BodyError::NoRoom) | RequestError::NoRoomForResponse => StatusCode::SERVICE_UNAVAILABLE,
            RequestError::Call(error) => match error.kind {
                CallErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                CallErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                CallErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            },
            RequestError::InvalidResponse(_) | RequestError::Encode(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RequestError::Rejected(rejected) => f.write_str(rejected.reason),
            RequestError::Call(error) => error.fmt(f),
            RequestError::InvalidResponse(error) => write!(f, "its answer is no response: {error}"),
            RequestError::Encode(error) => write!(f, "the request cannot be encoded: {error}"),
            RequestError::Body(BodyError::NoRoom) => {
                f.write_str("there is no room for its body beside those of others")
            }
            RequestError::Body(BodyError::TooLarge) => f.write_str("the body is too large"),
            RequestError::Body(BodyError::Incomplete) => f.write_str("the body was cut short"),
            RequestError::Body(BodyError::TimedOut) => f.write_str("the body did not arrive in time"),
            RequestError::NoRoomForResponse => {
                f.write_str("there is no room for its answer beside those that have not been sent")
            }
        }
    }
}

/// Tells the actor the length of a body that came without it: in chunks, or in HTTP/2.
fn set_content_length(headers: &mut HeaderMap, framing: RequestFraming, length: usize) {
    if framing.length.is_none() && (framing.chunked || length > 0) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
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
        // It stays where it lies.
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

/// A reply that says nothing but its status.
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
    fn what_is_no_response_is_an_error() {
        let split = b"\x82\xaastatusCode\xcc\xc8\xa6header\x81\xa1x\xa3a\r\n";
        let informational = b"\x81\xaastatusCode\x65";
        for answer in [&b""[..], b"hello", split, informational, b"\x81\xaastatusCode\xcd\xff\xff"] {
            assert!(decode_response(Bytes::from_static(answer)).is_err(), "{answer:?}");
        }
    }
}
