//! Cross-origin resource sharing (<https://fetch.spec.whatwg.org/#http-cors-protocol>): which other origins may use an actor.

use std::collections::HashMap;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

const DEFAULT_METHODS: &str = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS";
const DEFAULT_MAX_AGE: u32 = 3600;

/// The link values that require `CORS_ALLOWED_ORIGINS`.
const OTHER_VALUES: [&str; 4] =
    ["CORS_ALLOWED_METHODS", "CORS_ALLOWED_HEADERS", "CORS_EXPOSED_HEADERS", "CORS_MAX_AGE_SECS"];

/// The permissions of pages of other origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cors {
    /// `None` allows any origin.
    origins: Option<Vec<String>>,
    methods: HeaderValue,
    /// `None` allows any header.
    headers: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
    max_age: u32,
}

impl Cors {
    /// Parses the values of a link. Returns `None` if `CORS_ALLOWED_ORIGINS` is missing.
    ///
    /// # Errors
    /// Names the invalid value.
    pub(crate) fn from_link_values(values: &HashMap<String, String>) -> Result<Option<Cors>, String> {
        let list = |key: &str| parse_list(values, key);
        let Some(origins) = list("CORS_ALLOWED_ORIGINS") else {
            return match OTHER_VALUES.into_iter().find(|key| list(key).is_some()) {
                Some(key) => Err(format!("the value {key} requires CORS_ALLOWED_ORIGINS")),
                None => Ok(None),
            };
        };
        if let Some(bad) = origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "the value CORS_ALLOWED_ORIGINS contains {bad:?}, which is not an origin: write https://host"
            ));
        }
        let methods =
            list("CORS_ALLOWED_METHODS").unwrap_or_else(|| DEFAULT_METHODS.split(',').map(str::to_owned).collect());
        let headers = list("CORS_ALLOWED_HEADERS").filter(|headers| *headers != ["*"]);
        let exposed = list("CORS_EXPOSED_HEADERS");
        let max_age = values.get("CORS_MAX_AGE_SECS").map(|text| text.trim()).filter(|text| !text.is_empty());
        let max_age = max_age.map_or(Ok(DEFAULT_MAX_AGE), |text| {
            let bad = |error| format!("the value CORS_MAX_AGE_SECS={text:?} is not a number of seconds: {error}");
            text.parse::<u32>().map_err(bad)
        })?;
        Ok(Some(Cors {
            origins: Some(origins).filter(|origins| *origins != ["*"]),
            methods: join_names("CORS_ALLOWED_METHODS", &methods, |name| Method::from_bytes(name).is_ok())?,
            headers: join_header_names("CORS_ALLOWED_HEADERS", headers)?,
            exposed: join_header_names("CORS_EXPOSED_HEADERS", exposed)?,
            max_age,
        }))
    }

    /// Returns the response to a preflight request. Returns `None` if the request is not one.
    pub(crate) fn preflight(&self, method: &Method, request: &HeaderMap) -> Option<(StatusCode, HeaderMap)> {
        if method != Method::OPTIONS || !request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let origin = request.get(header::ORIGIN)?;
        let mut answer = HeaderMap::new();
        if !self.set_allowed_origin(origin, &mut answer) {
            return Some((StatusCode::FORBIDDEN, answer));
        }
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        let requested = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(headers) = self.headers.as_ref().or(requested) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.into());
        Some((StatusCode::NO_CONTENT, answer))
    }

    /// Sets the CORS headers of a response, in place of those of the actor.
    pub(crate) fn set_headers(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        for name in [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_EXPOSE_HEADERS] {
            answer.remove(name);
        }
        if let Some(origin) = origin
            && self.set_allowed_origin(origin, answer)
            && let Some(exposed) = &self.exposed
        {
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    /// Sets the allowed origin of a response. Returns whether the origin is allowed.
    fn set_allowed_origin(&self, origin: &HeaderValue, answer: &mut HeaderMap) -> bool {
        let Some(origins) = &self.origins else {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        };
        // Tells caches that the response depends on the origin.
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        let allowed = origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
        if allowed {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        allowed
    }
}

/// Parses a list whose entries are separated by commas. Returns `None` if it is missing or empty.
fn parse_list(values: &HashMap<String, String>, key: &str) -> Option<Vec<String>> {
    let entries = values.get(key)?.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    Some(entries.map(str::to_owned).collect()).filter(|entries: &Vec<_>| !entries.is_empty())
}

fn join_header_names(key: &str, names: Option<Vec<String>>) -> Result<Option<HeaderValue>, String> {
    names.map(|names| join_names(key, &names, |name| HeaderName::from_bytes(name).is_ok())).transpose()
}

fn join_names(key: &str, names: &[String], is_good: impl Fn(&[u8]) -> bool) -> Result<HeaderValue, String> {
    match names.iter().find(|name| !is_good(name.as_bytes())) {
        Some(bad) => Err(format!("the value {key} contains {bad:?}, which is not a valid name")),
        None => HeaderValue::try_from(names.join(", "))
            .map_err(|error| format!("the value {key} is not a valid header: {error}")),
    }
}

/// Returns whether this is `*`, or an origin in the form `scheme://host[:port]`.
fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map(|(_, host)| host);
    text == "*"
        || host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Option<Cors>, String> {
        Cors::from_link_values(&values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    fn requested(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (header::ORIGIN, HeaderValue::from_static(origin)),
            (header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT")),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-one")),
        ])
    }

    #[test]
    fn without_values_cors_is_off() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("CORS_ALLOWED_ORIGINS", " ")]).unwrap(), None);
    }

    #[test]
    fn only_named_origins_are_allowed() {
        let values = [("CORS_ALLOWED_ORIGINS", "https://a.example, http://b.example:81"), ("CORS_MAX_AGE_SECS", "60")];
        let cors = read(&values).unwrap().unwrap();
        let (status, answer) = cors.preflight(&Method::OPTIONS, &requested("http://b.example:81")).unwrap();
        assert_eq!(status, 204);
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], "http://b.example:81");
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_HEADERS], "x-one");
        assert_eq!(answer[header::ACCESS_CONTROL_MAX_AGE], "60");
        for other in ["https://c.example", "https://a.example.evil", "null", "http://b.example"] {
            let (status, answer) = cors.preflight(&Method::OPTIONS, &requested(other)).unwrap();
            assert_eq!(status, 403);
            assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) && answer[header::VARY] == "origin");
        }
        assert!(cors.preflight(&Method::GET, &requested("https://a.example")).is_none());
        assert!(cors.preflight(&Method::OPTIONS, &HeaderMap::new()).is_none());
    }

    #[test]
    fn an_actor_cannot_allow_more() {
        let cors = read(&[("CORS_ALLOWED_ORIGINS", "https://a.example")]).unwrap().unwrap();
        let mut answer = HeaderMap::from_iter([(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))]);
        cors.set_headers(Some(&HeaderValue::from_static("https://evil.example")), &mut answer);
        assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn an_invalid_value_is_named() {
        for (key, text) in [
            ("CORS_ALLOWED_ORIGINS", "a.example"),
            ("CORS_ALLOWED_ORIGINS", "https://a.example/path"),
            ("CORS_ALLOWED_METHODS", "GE T"),
            ("CORS_ALLOWED_HEADERS", "x y"),
            ("CORS_EXPOSED_HEADERS", "x\ny"),
            ("CORS_MAX_AGE_SECS", "-1"),
        ] {
            let refusal = read(&[("CORS_ALLOWED_ORIGINS", "*"), (key, text)]).unwrap_err();
            assert!(refusal.contains(key), "{refusal}");
        }
        let alone = read(&[("CORS_MAX_AGE_SECS", "1")]).unwrap_err();
        assert!(alone.contains("CORS_MAX_AGE_SECS") && alone.contains("CORS_ALLOWED_ORIGINS"), "{alone}");
    }
}
