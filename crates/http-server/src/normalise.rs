//! Validates and normalises the head of a request, before anything else uses it.
//!
//! The rules are those of RFC 9110 (semantics), RFC 9112 (HTTP/1.1) and RFC 9113 (HTTP/2). Afterwards, requests of both versions
//! look alike: a path in origin form, one `host`, and no header of the connection.

mod authority;
#[cfg(test)]
mod tests;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};

use authority::{Authority, is_authority};

/// Headers of the connection, or that the server has handled. Actors do not receive them.
const CONNECTION_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The framing of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestFraming {
    /// The declared length, if any. Unit: bytes.
    pub(crate) length: Option<usize>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether the body is chunked.
    pub(crate) chunked: bool,
}

impl RequestFraming {
    /// The framing of a request without a body.
    const NONE: RequestFraming = RequestFraming { length: None, expects_continue: false, chunked: false };
}

/// The kinds of headers that a request has. One pass over the names costs less than a lookup of each.
#[derive(Debug, Default)]
struct HeaderSummary {
    framing: bool,
    connection: bool,
}

impl HeaderSummary {
    fn of(headers: &HeaderMap) -> HeaderSummary {
        let mut summary = HeaderSummary::default();
        for name in headers.keys() {
            match name.as_str() {
                "content-length" => summary.framing = true,
                "expect" | "transfer-encoding" => summary = HeaderSummary { framing: true, connection: true },
                "connection" | "te" | "trailer" | "upgrade" | "http2-settings" | "keep-alive" | "proxy-connection" => {
                    summary.connection = true;
                }
                _ => {}
            }
        }
        summary
    }
}

/// An invalid request, which is refused before the actor is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RejectedRequest {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
}

const fn bad_request(reason: &'static str) -> RejectedRequest {
    RejectedRequest { status: StatusCode::BAD_REQUEST, reason }
}

/// Validates a request and normalises it: sets `host` to the authority of the request, and removes headers of the connection.
///
/// # Errors
/// Returns the status of the response and its reason. The request must be answered with it.
pub(crate) fn normalise(head: &mut Parts) -> Result<RequestFraming, RejectedRequest> {
    if head.method == Method::CONNECT {
        return Err(RejectedRequest { status: StatusCode::NOT_IMPLEMENTED, reason: "tunnels are not supported" });
    }
    check_target(head)?;
    let host = host(head)?;
    let summary = HeaderSummary::of(&head.headers);
    let framing = if summary.framing { framing(&head.headers)? } else { RequestFraming::NONE };
    if let Some(host) = host {
        head.headers.insert(header::HOST, host);
    }
    if summary.connection {
        CONNECTION_HEADERS.iter().for_each(|name| drop(head.headers.remove(name)));
    }
    Ok(framing)
}

/// Checks the form of the target (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
fn check_target(head: &Parts) -> Result<(), RejectedRequest> {
    let uri = &head.uri;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err(bad_request("the scheme of the target is neither http nor https")),
        None if uri.authority().is_some() => {
            return Err(bad_request("the target is an authority, which is for CONNECT only"));
        }
        None => {}
    }
    match uri.path() {
        "*" if head.method != Method::OPTIONS => Err(bad_request("the target * is for OPTIONS only")),
        "*" => Ok(()),
        path if path.starts_with('/') => Ok(()),
        _ => Err(bad_request("the target is not a path")),
    }
}

/// Returns the authority of the request if it has to replace the header `host`.
fn host(head: &Parts) -> Result<Option<HeaderValue>, RejectedRequest> {
    let mut given = head.headers.get_all(header::HOST).iter();
    let (host, another) = (given.next(), given.next());
    if another.is_some() {
        return Err(bad_request("there is more than one host"));
    }
    if host.is_some_and(|host| !is_authority(host.as_bytes())) {
        return Err(bad_request("the host is not valid"));
    }
    let Some(target) = head.uri.authority() else {
        return match host {
            None if head.version > Version::HTTP_10 => Err(bad_request("there is no host")),
            _ => Ok(None),
        };
    };
    if !is_authority(target.as_str().as_bytes()) {
        return Err(bad_request("the authority of the target is not valid"));
    }
    match host {
        // HTTP/1.1 requires the header although the target takes precedence. In HTTP/2 they must agree.
        None if head.version == Version::HTTP_11 => Err(bad_request("there is no host")),
        Some(host) if head.version == Version::HTTP_2 && !is_same(host, target.as_str(), head.uri.scheme_str()) => {
            Err(bad_request("the host contradicts the authority"))
        }
        _ => HeaderValue::from_str(target.as_str()).map(Some).map_err(|_| bad_request("the authority is not valid")),
    }
}

fn is_same(host: &HeaderValue, target: &str, scheme: Option<&str>) -> bool {
    let [host, target] = [host.as_bytes(), target.as_bytes()].map(|text| Authority::of(text, scheme));
    host == target
}

/// Returns the framing of the body (RFC 9112, section 6). The parsers have already refused lengths that differ, chunks in
/// HTTP/1.0, and transfer codings in HTTP/2.
fn framing(headers: &HeaderMap) -> Result<RequestFraming, RejectedRequest> {
    let chunked = match is_chunked(headers) {
        Some(chunked) => chunked?,
        None => false,
    };
    let expects_continue = match headers.get(header::EXPECT) {
        None => false,
        Some(expected) if expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => true,
        Some(_) => {
            return Err(RejectedRequest {
                status: StatusCode::EXPECTATION_FAILED,
                reason: "the expectation is not supported",
            });
        }
    };
    Ok(RequestFraming { length: length(headers)?, expects_continue, chunked })
}

/// Returns whether the body is chunked, if there is a transfer coding.
fn is_chunked(headers: &HeaderMap) -> Option<Result<bool, RejectedRequest>> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter().peekable();
    codings.peek()?;
    let mut codings = codings.flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let (first, more) = (codings.next().unwrap_or_default(), codings.next().is_some());
    let is_known = first.eq_ignore_ascii_case(b"chunked");
    Some(match (is_known, more) {
        (true, false) => Ok(true),
        (true, true) => Err(bad_request("chunked is applied more than once, or is not the last coding")),
        (false, _) => {
            Err(RejectedRequest { status: StatusCode::NOT_IMPLEMENTED, reason: "the transfer coding is not supported" })
        }
    })
}

/// Returns the declared length. Equal repetitions count as one.
fn length(headers: &HeaderMap) -> Result<Option<usize>, RejectedRequest> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter().map(|line| {
        let digits = line.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<usize>().ok()).ok_or(bad_request("the length is not a number"))
    });
    let Some(first) = lengths.next().transpose()? else { return Ok(None) };
    match lengths.all(|length| length == Ok(first)) {
        true => Ok(Some(first)),
        false => Err(bad_request("there are several lengths")),
    }
}
