//! Why a request fails, and how the log names the request.

use std::fmt;

use hyper::{StatusCode, http};

use crate::BoxedError;
use crate::actor_caller::{CallError, CallErrorKind};
use crate::normalise::RejectedRequest;
use crate::request_body::BodyError;

/// The most characters of a method or a path in a line of the log. Clients choose them, and must not displace the rest.
const LONGEST: usize = 80;

/// The failure of a request.
pub(crate) enum RequestError {
    /// The request is invalid.
    Rejected(RejectedRequest),
    Body(BodyError),
    /// The payload of the call could not be encoded.
    Encode(BoxedError),
    /// The call failed.
    Call(CallError),
    /// The answer of the actor is not a valid response.
    InvalidResponse(BoxedError),
    /// There is no memory for the response.
    NoRoomForResponse,
}

impl RequestError {
    /// Returns the status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
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

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Rejected(rejected) => f.write_str(rejected.reason),
            RequestError::Call(error) => error.fmt(f),
            RequestError::InvalidResponse(error) => write!(f, "its answer is not a valid response: {error}"),
            RequestError::Encode(error) => write!(f, "the request cannot be encoded: {error}"),
            RequestError::Body(BodyError::NoRoom) => f.write_str("there is no memory for the body"),
            RequestError::Body(BodyError::TooLarge) => f.write_str("the body is too large"),
            RequestError::Body(BodyError::Incomplete) => f.write_str("the body is incomplete"),
            RequestError::Body(BodyError::TimedOut) => f.write_str("the body did not arrive in time"),
            RequestError::NoRoomForResponse => f.write_str("there is no memory for the response"),
        }
    }
}

/// The method and the path of a request, as the log shows them. Long ones are cut.
pub(crate) struct Asked<'a> {
    method: &'a str,
    path: &'a str,
}

impl Asked<'_> {
    pub(crate) fn of(head: &http::request::Parts) -> Asked<'_> {
        Asked { method: head.method.as_str(), path: head.uri.path() }
    }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { method, path } = self;
        let kept = beginning(path);
        write!(f, "{} {kept:?}", beginning(method))?;
        match path.len() - kept.len() {
            0 => Ok(()),
            left_out => write!(f, "... ({left_out} more bytes)"),
        }
    }
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_asks_for_is_short_in_the_log() {
        let (method, path) = ("M".repeat(5000), format!("/{}", "p".repeat(20_000)));
        let (head, ()) = http::Request::builder().method(method.as_str()).uri(&path).body(()).unwrap().into_parts();
        let asked = Asked::of(&head).to_string();
        assert_eq!(asked, format!("{} \"/{}\"... (19921 more bytes)", "M".repeat(80), "p".repeat(79)));
        let (head, ()) = http::Request::builder().uri("/a\"b?c=d").body(()).unwrap().into_parts();
        assert_eq!(Asked::of(&head).to_string(), "GET \"/a\\\"b\"");
    }
}
