//! From a request to a call and back.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http};
use tokio_rustls::TlsAcceptor;

use crate::BoxedError;
use crate::activity::{Sending, Serving};
use crate::actor_caller::{CallError, CallErrorKind, Caller};
use crate::config::Settings;
use crate::connection_table::Kind;
use crate::connection_table::{Holding, Peer};
use crate::cors::Cors;
use crate::normalise::{Framing, Refused, normalise};
use crate::payloads::{HANDLE_REQUEST, Headers, Request, Response};
use crate::request_body::{self, BodyError, Received};
use crate::request_id::{REQUEST_ID, RequestIds};
use crate::response_body::Answer;
use crate::response_framing::frame;

/// Headers that belong to a connection: an actor has no say in them. Of the length it tells, [`frame`] decides.
const NOT_THE_ACTORS: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What the head of a request may have without counting as bytes that are held, as most have.
const SMALL_HEAD: usize = 4 * 1024;

/// How many headers a response gets beside the actor's: the request's identity, the date and the length.
const ADDED_HEADERS: usize = 3;

/// Who answers the requests of a port, and within which bounds.
pub(crate) struct Site<C> {
    actor: String,
    caller: C,
    body_limit: usize,
    /// About as many bytes as the larger ones of the last answers had.
    usual_answer: AtomicUsize,
    cors: Option<Cors>,
    ids: RequestIds,
    /// What connections are encrypted with, if they are.
    pub(crate) tls: Option<TlsAcceptor>,
}

type Reply = http::Response<Bytes>;

impl<C: Caller> Site<C> {
    pub(crate) fn new(actor: &str, caller: C, settings: &Settings, tls: Option<TlsAcceptor>) -> Site<C> {
        Site {
            actor: actor.to_owned(),
            caller,
            body_limit: settings.body_limit,
            usual_answer: AtomicUsize::default(),
            cors: settings.cors.clone(),
            ids: RequestIds::new(),
            tls,
        }
    }

    /// Answers one request of a connection. What goes wrong is told to the log in full and to the client as a status.
    pub(crate) async fn answer<B>(&self, request: http::Request<B>, serving: Serving) -> http::Response<Answer>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        let (mut head, body) = request.into_parts();
        let id = self.ids.of(&head.headers);
        head.headers.insert(REQUEST_ID, id.clone());
        let answered = self.try_answer(&mut head, body, serving.peer()).await;
        let (mut reply, holding) = answered.unwrap_or_else(|failure| (self.explain(&head, &id, &failure), None));
        reply.headers_mut().insert(REQUEST_ID, id);
        frame(&head.method, &mut reply);
        if log::log_enabled!(log::Level::Debug) {
            let (id, path) = (reply.headers()[REQUEST_ID].to_str().unwrap_or_default(), head.uri.path());
            log::debug!("request {id}: {} {path:?} was answered with {}", head.method, reply.status());
        }
        reply.map(|body| Answer::new(body, Sending::begin(serving, holding)))
    }

    /// Judges a request and has it answered. With the reply comes what it holds, if it holds much.
    async fn try_answer<B>(
        &self,
        head: &mut http::request::Parts,
        body: B,
        peer: &Arc<Peer>,
    ) -> Result<(Reply, Option<Holding>), Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
    {
        let framing = normalise(head).map_err(Failure::Refused)?;
        let preflight = self.cors.as_ref().and_then(|cors| cors.preflight(&head.method, &head.headers));
        if let Some((status, headers)) = preflight {
            return Ok((without_body(status, headers), None));
        }
        let received = request_body::read(body, framing, self.body_limit, peer).await.map_err(Failure::Body)?;
        // Held until the request is answered: as long as its body is in memory.
        let Received { bytes, mut holdings } = received;
        tell_length(&mut head.headers, framing, bytes.len());
        let call = encode(head, &bytes).map_err(Failure::Host)?;
        if call.len() > bytes.len() + SMALL_HEAD {
            holdings.push(peer.hold(Kind::Body, call.len() - bytes.len()).map_err(|full| Failure::Body(full.into()))?);
        }
        drop(bytes);
        let call_under_way = peer.begin_call(self.usual_answer.load(Ordering::Relaxed)).await;
        let answer = self.caller.call(HANDLE_REQUEST, call).await.map_err(Failure::Call)?;
        drop((call_under_way, holdings));
        self.note_answer(answer.len());
        let holding = peer.hold(Kind::Answer, answer.len()).map_err(|_| Failure::Unsent)?;
        let mut reply = reply(answer.into()).map_err(Failure::Actor)?;
        if let Some(cors) = &self.cors {
            cors.release(head.headers.get(header::ORIGIN), reply.headers_mut());
        }
        Ok((reply, Some(holding)))
    }

    fn note_answer(&self, length: usize) {
        let before = self.usual_answer.load(Ordering::Relaxed);
        self.usual_answer.store(length.max(before - before / 16), Ordering::Relaxed);
    }

    /// The reply to a request that failed, and the line on the log where the failure is not the client's.
    fn explain(&self, head: &http::request::Parts, id: &HeaderValue, failure: &Failure) -> Reply {
        let status = failure.status();
        let id = id.to_str().unwrap_or_default();
        if status.is_server_error() && !matches!(failure, Failure::Refused(_)) {
            let (actor, path) = (&self.actor, head.uri.path());
            log::error!("request {id}: actor {actor} could not answer {} {path:?} ({status}): {failure}", head.method);
        } else {
            log::debug!("request {id}: it is refused with {status}: {failure}");
        }
        let mut reply = plain(status);
        if let Failure::Refused(_) = failure {
            // What follows it may not be what it seems.
            reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }
}

/// Why a request was not answered by the actor.
enum Failure {
    /// It is no request that an actor could be asked.
    Refused(Refused),
    Body(BodyError),
    /// The request could not be put into the words of the contract.
    Host(BoxedError),
    /// The call failed.
    Call(CallError),
    /// The call was answered with something that is no response.
    Actor(BoxedError),
    /// There is no room for the answer beside those that clients have not taken.
    Unsent,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Failure::Refused(refused) => refused.status,
            Failure::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Body(BodyError::CutShort) => StatusCode::BAD_REQUEST,
            Failure::Body(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Failure::Body(BodyError::NoRoom) | Failure::Unsent => StatusCode::SERVICE_UNAVAILABLE,
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
            Failure::Refused(refused) => f.write_str(refused.why),
            Failure::Call(error) => error.fmt(f),
            Failure::Actor(error) => write!(f, "its answer is no response: {error}"),
            Failure::Host(error) => write!(f, "the request cannot be encoded: {error}"),
            Failure::Body(BodyError::NoRoom) => f.write_str("there is no room for its body beside those of others"),
            Failure::Body(BodyError::TooLarge) => f.write_str("the body is too large"),
            Failure::Body(BodyError::CutShort) => f.write_str("the body was cut short"),
            Failure::Body(BodyError::TooSlow) => f.write_str("the body did not arrive in time"),
            Failure::Unsent => f.write_str("there is no room for its answer beside those that have not been sent"),
        }
    }
}

/// Tells the actor the length of a body that came without it: in chunks, or in HTTP/2.
fn tell_length(headers: &mut HeaderMap, framing: Framing, length: usize) {
    if framing.length.is_none() && (framing.chunked || length > 0) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
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
    let mut reply = http::Response::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    Ok(reply)
}

fn without_body(status: StatusCode, headers: HeaderMap) -> Reply {
    let mut reply = http::Response::new(Bytes::new());
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

/// A reply that says nothing but its status.
fn plain(status: StatusCode) -> Reply {
    let text = status.canonical_reason().unwrap_or_default();
    let mut reply = http::Response::new(Bytes::from_static(text.as_bytes()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_cannot_frame_the_response_itself() {
        let answer = b"\x83\xaastatusCode\xcc\xc8\xa6header\x83\xaecontent-length\xa299\xaaconnection\xa1y\xa1x\xa1y\xa4body\xc4\x01a";
        let mut reply = reply(Bytes::from_static(answer)).unwrap();
        frame(&http::Method::GET, &mut reply);
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
