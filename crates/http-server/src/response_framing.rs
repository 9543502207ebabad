//! Frames a response by the method of its request, its status and its body, regardless of what the actor declares.

use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};

/// Frames a response (RFC 9110, section 8.6; RFC 9112, section 6.3).
///
/// If method or status exclude a body, `content-length` is the length that the response to a `GET` would have: that of the
/// actor's body, or the one that the actor declares.
pub(crate) fn frame_response(method: &Method, response: &mut Response<Bytes>) {
    let declared = declared_length(response.headers());
    response.headers_mut().remove(header::CONTENT_LENGTH);
    let length = response.body().len() as u64;
    match (response.status(), method) {
        (StatusCode::NO_CONTENT, _) => *response.body_mut() = Bytes::new(),
        (StatusCode::RESET_CONTENT, _) => without_body(response, Some(0)),
        (StatusCode::NOT_MODIFIED, _) | (_, &Method::HEAD) => {
            without_body(response, declared.filter(|_| length == 0).or((length > 0).then_some(length)));
        }
        // The HTTP library adds the length of the body.
        _ => {}
    }
}

fn without_body(response: &mut Response<Bytes>, length: Option<u64>) {
    *response.body_mut() = Bytes::new();
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Returns the length that the actor declares, if it is valid.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    let declared = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    declared.bytes().all(|byte| byte.is_ascii_digit()).then(|| declared.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the body and the declared length of a framed response.
    fn framed(
        method: Method,
        status: u16,
        declared: Option<&'static str>,
        body: &'static str,
    ) -> (String, Option<String>) {
        let mut response = Response::builder().status(status);
        if let Some(declared) = declared {
            response = response.header("content-length", declared);
        }
        let mut response = response.body(Bytes::from(body)).unwrap();
        frame_response(&method, &mut response);
        let length = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
        (String::from_utf8(response.into_body().to_vec()).unwrap(), length)
    }

    #[test]
    fn method_status_and_body_frame_a_response() {
        let cases = [
            (Method::GET, 200, None, "abc", "abc", None),
            (Method::GET, 200, Some("99"), "abc", "abc", None),
            (Method::GET, 200, Some("99"), "", "", None),
            (Method::HEAD, 200, None, "", "", None),
            (Method::HEAD, 200, None, "abc", "", Some("3")),
            (Method::HEAD, 200, Some("99"), "", "", Some("99")),
            (Method::HEAD, 200, Some("99"), "abc", "", Some("3")),
            (Method::HEAD, 200, Some("+9"), "", "", None),
            (Method::HEAD, 200, Some("a, b"), "", "", None),
            (Method::GET, 304, Some("99"), "", "", Some("99")),
            (Method::GET, 304, None, "abc", "", Some("3")),
            (Method::GET, 204, Some("99"), "abc", "", None),
            (Method::HEAD, 204, Some("99"), "", "", None),
            (Method::POST, 205, Some("99"), "abc", "", Some("0")),
        ];
        for (method, status, declared, body, left, length) in cases {
            let expected = (left.to_owned(), length.map(str::to_owned));
            assert_eq!(
                framed(method.clone(), status, declared, body),
                expected,
                "{method} {status} {declared:?} {body:?}"
            );
        }
    }
}
