//! From a request to a call and back.

use std::borrow::Cow;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::TlsAcceptor;

use crate::BoxedError;
use crate::caller::{CallError, CallErrorKind, Caller};
use crate::cors::Cors;
use crate::messages::{HANDLE_REQUEST, Headers, Request, Response};
use crate::request_id::{REQUEST_ID, RequestIds};
use crate::settings::Settings;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

const KIB: usize = 1024;

/// How much of bodies the requests of one link may hold in memory at once.
const BODIES: usize = 256 * 1024 * KIB;

/// How much of a body that is too large is read and thrown away. A client that is still sending when the connection
/// closes may never see the answer.
const DISCARDED: usize = 64 * 1024 * 1024;

/// Headers that belong to a connection, or that the server computes itself: an actor has no say in them.
const NOT_THE_ACTORS: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// How many headers a response gets beside the actor's: the request's identity, the date and the length.
const ADDED_HEADERS: usize = 3;

/// Who answers the requests of a port, and within which bounds.
pub(crate) struct Site<C> {
    actor: String,
    caller: C,
    body_limit: usize,
    /// The room for bodies, in KiB.
    room: Semaphore,
    cors: Option<Cors>,
    ids: RequestIds,
    /// What connections are encrypted with, if they are.
    pub(crate) tls: Option<TlsAcceptor>,
}

type Reply = http::Response<Full<Bytes>>;

impl<C: Caller> Site<C> {
    pub(crate) fn new(actor: &str, caller: C, settings: &Settings, tls: Option<TlsAcceptor>) -> Site<C> {
        Site {
            actor: actor.to_owned(),
            caller,
            body_limit: settings.body_limit,
            room: Semaphore::new(BODIES / KIB),
            cors: settings.cors.clone(),
            ids: RequestIds::new(),
            tls,
        }
    }

    /// Answers one request. What goes wrong is told to the log in full and to the client as a status.
    pub(crate) async fn answer<B>(&self, request: http::Request<B>) -> Reply
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        let (mut head, body) = request.into_parts();
        let id = self.ids.of(&head.headers);
        head.headers.insert(REQUEST_ID, id.clone());
        let preflight = self.cors.as_ref().and_then(|cors| cors.preflight(&head.method, &head.headers));
        let mut reply = match preflight {
            Some((status, headers)) => without_body(status, headers),
            None => self.ask(&head, body).await.unwrap_or_else(|failure| self.explain(&head, &id, &failure)),
        };
        reply.headers_mut().insert(REQUEST_ID, id);
        if log::log_enabled!(log::Level::Debug) {
            let (id, path) = (reply.headers()[REQUEST_ID].to_str().unwrap_or_default(), head.uri.path());
            log::debug!("request {id}: {} {path:?} was answered with {}", head.method, reply.status());
        }
        reply
    }

    /// Has the actor answer a request.
    async fn ask<B>(&self, head: &http::request::Parts, body: B) -> Result<Reply, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        // Held until the request is answered: as long as its body is in memory.
        let _room = self.make_room(&head.headers, &body)?;
        let body = if body.is_end_stream() { Bytes::new() } else { self.read(&head.headers, body).await? };
        let call = encode(head, &body).map_err(Failure::Host)?;
        drop(body);
        let answer = self.caller.call(HANDLE_REQUEST, call).await.map_err(Failure::Call)?;
        let mut reply = reply(answer.into()).map_err(Failure::Actor)?;
        if let Some(cors) = &self.cors {
            cors.release(head.headers.get(header::ORIGIN), reply.headers_mut());
        }
        Ok(reply)
    }

    /// The reply to a request that failed, and the line on the log where the failure is not the client's.
    fn explain(&self, head: &http::request::Parts, id: &HeaderValue, failure: &Failure) -> Reply {
        let status = failure.status();
        if status.is_server_error() {
            let (id, actor, path) = (id.to_str().unwrap_or_default(), &self.actor, head.uri.path());
            log::error!("request {id}: actor {actor} could not answer {} {path:?} ({status}): {failure}", head.method);
        }
        plain(status)
    }

    /// Sets memory aside for a body, as much as it is announced to have or may have.
    fn make_room<B: Body>(&self, headers: &HeaderMap, body: &B) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        if body.is_end_stream() {
            return Ok(None);
        }
        let bytes = announced_length(headers).unwrap_or(self.body_limit).min(self.body_limit);
        let room = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        self.room.try_acquire_many(room).map(Some).map_err(|_| Failure::NoRoom)
    }

    async fn read<B>(&self, headers: &HeaderMap, mut body: B) -> Result<Bytes, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        if announced_length(headers).is_some_and(|length| length > self.body_limit) {
            // A client that asks first is told before it sends anything.
            if !headers.contains_key(header::EXPECT) {
                discard(&mut body).await;
            }
            return Err(Failure::BodyTooLarge);
        }
        let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(&mut body, self.body_limit).collect());
        match read.await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                discard(&mut body).await;
                Err(Failure::BodyTooLarge)
            }
            Ok(Err(_)) => Err(Failure::BodyCutShort),
            Err(_) => Err(Failure::BodyTooSlow),
        }
    }
}

/// Why a request was not answered by the actor.
enum Failure {
    BodyTooLarge,
    BodyCutShort,
    BodyTooSlow,
    NoRoom,
    /// The request could not be put into the words of the contract.
    Host(BoxedError),
    /// The call failed.
    Call(CallError),
    /// The call was answered with something that is no response.
    Actor(BoxedError),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Failure::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::BodyCutShort => StatusCode::BAD_REQUEST,
            Failure::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Failure::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Call(error) => match error.kind {
                CallErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                CallErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                CallErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Failure::Actor(_) | Failure::Host(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Call(error) => error.fmt(f),
            Failure::Actor(error) => write!(f, "its answer is no response: {error}"),
            Failure::Host(error) => write!(f, "the request cannot be encoded: {error}"),
            Failure::NoRoom => write!(f, "the requests under way hold more than {BODIES} bytes of bodies"),
            Failure::BodyTooLarge => f.write_str("the body is too large"),
            Failure::BodyCutShort => f.write_str("the body was cut short"),
            Failure::BodyTooSlow => f.write_str("the body did not arrive in time"),
        }
    }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn discard<B: Body<Data = Bytes> + Unpin>(body: &mut B) {
    let discard = async {
        let mut left = DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Where the client is too slow for that, it may not see its answer.
    let _ = tokio::time::timeout(BODY_TIMEOUT, discard).await;
}

fn encode(head: &http::request::Parts, body: &[u8]) -> Result<Vec<u8>, BoxedError> {
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query_string: head.uri.query().unwrap_or_default(),
        header: Headers(&head.headers),
        body,
    };
    Ok(request.encode()?)
}

fn reply(answer: Bytes) -> Result<Reply, BoxedError> {
    let response = Response::decode(&answer)?;
    let status = u16::try_from(response.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status
        .filter(|status| !status.is_informational())
        .ok_or_else(|| format!("the actor answered with the status {}", response.status_code))?;
    let mut headers = HeaderMap::with_capacity(response.header.0.len() + ADDED_HEADERS);
    for (name, value) in response.header.0 {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        let value = HeaderValue::from_bytes(value.as_bytes())?;
        if !NOT_THE_ACTORS.contains(&name) {
            headers.append(name, value);
        }
    }
    let body = match response.body {
        // It stays where it lies.
        Cow::Borrowed(body) => answer.slice_ref(body),
        Cow::Owned(body) => Bytes::from(body),
    };
    let mut reply = http::Response::new(Full::new(body));
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    Ok(reply)
}

fn without_body(status: StatusCode, headers: HeaderMap) -> Reply {
    let mut reply = http::Response::new(Full::default());
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

/// A reply that says nothing but its status.
fn plain(status: StatusCode) -> Reply {
    let text = status.canonical_reason().unwrap_or_default();
    let mut reply = http::Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_cannot_frame_the_response_itself() {
        let answer = b"\x83\xaastatusCode\xcc\xc8\xa6header\x82\xaecontent-length\xa299\xa1x\xa1y\xa4body\xc4\x01a";
        let reply = reply(Bytes::from_static(answer)).unwrap();
        assert_eq!(reply.headers().len(), 1);
        assert_eq!(reply.headers()["x"], "y");
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        let split = b"\x82\xaastatusCode\xcc\xc8\xa6header\x81\xa1x\xa3a\r\n";
        let informational = b"\x81\xaastatusCode\x65";
        for answer in [&b""[..], b"hello", split, informational, b"\x81\xaastatusCode\xcd\xff\xff"] {
            assert!(reply(Bytes::from_static(answer)).is_err(), "{answer:?}");
        }
    }
}
