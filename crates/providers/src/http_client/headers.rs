//! The headers that a request is sent with.
//!
//! The body determines how a request is framed, and the URL how it is addressed. A header of the actor that contradicts them is
//! refused, because the actor would expect a different request. The exception is `host`, which is replaced by the host of the
//! URL (RFC 9112, section 3.2): actors that forward requests pass on the host that these arrived with.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers of the connection or a proxy, which the client controls.
const CONNECTION_HEADERS: [HeaderName; 9] = [
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
];

/// Returns the headers that a request is sent with.
///
/// # Errors
/// Names the header that cannot be sent, and what to do.
pub(super) fn prepare(method: &Method, given: &BTreeMap<String, String>, body: usize) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(given.len() + 1);
    for (name, value) in given {
        let (name, value) = parse_header(name, value)?;
        if check_header(&name, &value, body)? {
            headers.append(name, value);
        }
    }
    let has_length = headers.contains_key(header::CONTENT_LENGTH);
    // Methods that usually have a body declare a missing one with length 0 (RFC 9110, section 8.6).
    if has_length || body > 0 || [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body));
    }
    Ok(headers)
}

/// Returns whether a header is sent.
fn check_header(name: &HeaderName, value: &HeaderValue, body: usize) -> Result<bool, String> {
    match *name {
        header::HOST => Ok(false),
        header::CONTENT_LENGTH => {
            let length = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            match length.and_then(|length| length.parse::<usize>().ok()) {
                Some(length) if length == body => Ok(true),
                _ => Err(format!(
                    "the header \"content-length\" is not the length of the body, which is {body}: remove it"
                )),
            }
        }
        header::CONNECTION => match value.as_bytes().to_ascii_lowercase().as_slice() {
            b"close" => Ok(true),
            // It is the default.
            b"keep-alive" => Ok(false),
            _ => Err("the header \"connection\" may only be \"close\" or \"keep-alive\"".to_owned()),
        },
        ref name if CONNECTION_HEADERS.contains(name) => Err(format!(
            "the header {:?} cannot be sent, because the client controls the connection: remove it",
            name.as_str()
        )),
        _ => Ok(true),
    }
}

fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let shown_name: String = name.chars().take(60).collect();
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{shown_name:?} is not a valid header name"))?;
    // The value is not shown: it may be secret.
    let value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| format!("the value of the header {shown_name:?} is invalid"))?;
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(method: Method, given: &[(&str, &str)], body: usize) -> Result<HeaderMap, String> {
        let given = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        prepare(&method, &given, body)
    }

    #[test]
    fn the_length_is_sent_if_there_is_or_may_be_a_body() {
        let length = |method: Method, given: &[(&str, &str)], body| {
            let headers = prepared(method, given, body).unwrap();
            headers.get("content-length").map(|length| length.to_str().unwrap().to_owned())
        };
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            assert_eq!(length(method.clone(), &[], 0).as_deref(), Some("0"), "{method}");
            assert_eq!(length(method.clone(), &[], 7).as_deref(), Some("7"), "{method}");
            assert_eq!(length(method.clone(), &[("Content-Length", "7")], 7).as_deref(), Some("7"), "{method}");
        }
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            assert_eq!(length(method.clone(), &[], 0), None, "{method}");
            assert_eq!(length(method.clone(), &[("content-length", "0")], 0).as_deref(), Some("0"), "{method}");
            assert_eq!(length(method.clone(), &[], 7).as_deref(), Some("7"), "{method}");
        }
    }

    #[test]
    fn what_is_not_true_is_refused_and_names_the_header() {
        for (name, value) in [
            ("content-length", "0"),
            ("Content-Length", "8"),
            ("content-length", "+7"),
            ("content-length", "7, 7"),
            ("content-length", ""),
            ("transfer-encoding", "chunked"),
            ("Transfer-Encoding", "identity"),
            ("connection", "upgrade"),
            ("connection", "close, x"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic c2VjcmV0"),
            ("http2-settings", "AAMAAABk"),
        ] {
            let refusal = prepared(Method::POST, &[(name, value)], 7).unwrap_err();
            assert!(refusal.contains(&name.to_lowercase()) && !refusal.contains("c2VjcmV0"), "{refusal}");
        }
    }

    #[test]
    fn two_spellings_of_a_length_are_one() {
        let both = [("Content-Length", "7"), ("content-length", "7")];
        assert_eq!(prepared(Method::POST, &both, 7).unwrap().get_all("content-length").iter().count(), 1);
        assert!(prepared(Method::POST, &[("Content-Length", "7"), ("content-length", "8")], 7).is_err());
    }

    #[test]
    fn the_host_is_that_of_the_url_and_other_headers_are_sent() {
        let given = [("host", "evil.example"), ("connection", "Keep-Alive"), ("expect", "100-continue"), ("X", "y")];
        let headers = prepared(Method::GET, &given, 0).unwrap();
        assert!(!headers.contains_key("host") && !headers.contains_key("connection"));
        assert_eq!((&headers["expect"], &headers["x"]), (&"100-continue".parse().unwrap(), &"y".parse().unwrap()));
        assert_eq!(prepared(Method::GET, &[("connection", "close")], 0).unwrap()["connection"], "close");
    }
}
