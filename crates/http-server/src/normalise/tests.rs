//! Tables of requests, each with what the actor receives or the status of the response.

use hyper::http;
use proptest::prelude::*;

use super::*;

/// A request without anything but these headers.
fn request(version: Version, method: &str, target: &str, headers: &[(&str, &str)]) -> Option<Parts> {
    let mut builder = http::Request::builder().version(version).method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).ok().map(|request| request.into_parts().0)
}

/// What the actor is given as `host`, or the status. A target that cannot be parsed is answered with 400 by the parser.
fn normalised(version: Version, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Option<String>, u16> {
    let mut head = request(version, method, target, headers).ok_or(400_u16)?;
    normalise(&mut head).map_err(|rejected| rejected.status.as_u16())?;
    Ok(head.headers.get(header::HOST).map(|host| host.to_str().unwrap().to_owned()))
}

const ONE: Version = Version::HTTP_11;
const OLD: Version = Version::HTTP_10;
const TWO: Version = Version::HTTP_2;

/// The headers of a case, or the values of its one header.
type Given<'a> = &'a [&'a str];

#[test]
fn the_host_is_the_authority_of_the_request() {
    type Case<'a> = (Version, &'a str, Given<'a>, Result<Option<&'a str>, u16>);
    let cases: &[Case] = &[
        // RFC 9112, 3.2: one host in every request of HTTP/1.1, and a valid one.
        (ONE, "/", &["a.example"], Ok(Some("a.example"))),
        (ONE, "/", &["a.example:8080"], Ok(Some("a.example:8080"))),
        (ONE, "/", &["a.example:"], Ok(Some("a.example:"))),
        (ONE, "/", &["[::1]:80"], Ok(Some("[::1]:80"))),
        (ONE, "/", &["A_b~c.example"], Ok(Some("A_b~c.example"))),
        (ONE, "/", &["a%20b"], Ok(Some("a%20b"))),
        (ONE, "/", &[], Err(400)),
        (ONE, "/", &["a", "b"], Err(400)),
        (ONE, "/", &["a", "a"], Err(400)),
        (ONE, "/", &[""], Err(400)),
        (ONE, "/", &[":80"], Err(400)),
        (ONE, "/", &["a b"], Err(400)),
        (ONE, "/", &["a, b"], Err(400)),
        (ONE, "/", &["a/b"], Err(400)),
        (ONE, "/", &["http://a"], Err(400)),
        (ONE, "/", &["user@a"], Err(400)),
        (ONE, "/", &["a:b"], Err(400)),
        (ONE, "/", &["a:80:80"], Err(400)),
        (ONE, "/", &["a:65536"], Err(400)),
        (ONE, "/", &["::1"], Err(400)),
        (ONE, "/", &["[::1"], Err(400)),
        (ONE, "/", &["[::1]x"], Err(400)),
        (ONE, "/", &["[x]"], Err(400)),
        (ONE, "/", &["a%2"], Err(400)),
        (ONE, "/", &["a\\b"], Err(400)),
        // HTTP/1.0 knows requests without one.
        (OLD, "/", &[], Ok(None)),
        (OLD, "/", &["a"], Ok(Some("a"))),
        (OLD, "/", &["a", "b"], Err(400)),
        (OLD, "/", &["a b"], Err(400)),
        // RFC 9112, 3.2.2: in absolute form the target counts.
        (ONE, "http://a.example/x", &["b.example"], Ok(Some("a.example"))),
        (ONE, "http://a.example:81", &["b.example"], Ok(Some("a.example:81"))),
        (ONE, "HTTPS://a.example/x", &["a.example"], Ok(Some("a.example"))),
        (ONE, "http://a.example/x", &[], Err(400)),
        (ONE, "http://a.example/x", &["b", "b"], Err(400)),
        (ONE, "http://a.example/x", &["b b"], Err(400)),
        (OLD, "http://a.example/x", &[], Ok(Some("a.example"))),
        (ONE, "http://user:secret@a.example/x", &["a.example"], Err(400)),
        (ONE, "http://user@a.example/x", &["a.example"], Err(400)),
        (ONE, "http://:80/x", &["a.example"], Err(400)),
        (ONE, "http:///x", &["a.example"], Err(400)),
        (ONE, "ftp://a.example/x", &["a.example"], Err(400)),
        // A path may look like anything.
        (ONE, "//b.example/x", &["a.example"], Ok(Some("a.example"))),
        // An authority alone is for CONNECT.
        (ONE, "a.example:80", &["a.example"], Err(400)),
        (ONE, "a.example", &["a.example"], Err(400)),
        // RFC 9113, 8.3.1: the authority is the host, and must not be contradicted.
        (TWO, "https://a.example/x", &[], Ok(Some("a.example"))),
        (TWO, "https://a.example/x", &["a.example"], Ok(Some("a.example"))),
        (TWO, "https://a.example/x", &["A.EXAMPLE:443"], Ok(Some("a.example"))),
        (TWO, "http://a.example:80/x", &["a.example"], Ok(Some("a.example:80"))),
        (TWO, "https://a.example:80/x", &["a.example"], Err(400)),
        (TWO, "https://a.example/x", &["b.example"], Err(400)),
        (TWO, "https://a.example/x", &["a.example", "a.example"], Err(400)),
        (TWO, "https://user@a.example/x", &[], Err(400)),
        (TWO, "/x", &["a.example"], Ok(Some("a.example"))),
        (TWO, "/x", &[], Err(400)),
        (TWO, "ftp://a.example/x", &[], Err(400)),
    ];
    for (version, target, hosts, expected) in cases {
        let headers: Vec<_> = hosts.iter().map(|&host| ("host", host)).collect();
        let expected = expected.map(|host| host.map(str::to_owned));
        assert_eq!(normalised(*version, "GET", target, &headers), expected, "{version:?} {target} {hosts:?}");
    }
}

#[test]
fn tunnels_and_the_whole_server_are_asked_for_in_their_own_forms() {
    let host = [("host", "a")];
    for (method, target, expected) in [
        ("CONNECT", "a.example:443", Err(501)),
        ("CONNECT", "/", Err(501)),
        ("OPTIONS", "*", Ok(Some("a".to_owned()))),
        ("OPTIONS", "/", Ok(Some("a".to_owned()))),
        ("GET", "*", Err(400)),
        ("POST", "*", Err(400)),
        ("BREW", "/pot", Ok(Some("a".to_owned()))),
    ] {
        assert_eq!(normalised(ONE, method, target, &host), expected, "{method} {target}");
    }
    assert_eq!(normalised(TWO, "CONNECT", "a.example:443", &[]), Err(501));
    assert_eq!(normalised(OLD, "OPTIONS", "*", &[]), Ok(None));
}

#[test]
fn the_body_is_framed_in_one_way() {
    let plain = RequestFraming { length: None, expects_continue: false, chunked: false };
    type Case<'a> = (&'a [(&'a str, &'a str)], Result<RequestFraming, u16>);
    let cases: &[Case] = &[
        (&[], Ok(plain)),
        (&[("content-length", "5")], Ok(RequestFraming { length: Some(5), ..plain })),
        (&[("content-length", "0005")], Ok(RequestFraming { length: Some(5), ..plain })),
        (&[("content-length", "5"), ("content-length", "5")], Ok(RequestFraming { length: Some(5), ..plain })),
        (&[("content-length", "5"), ("content-length", "6")], Err(400)),
        (&[("content-length", "5, 5")], Err(400)),
        (&[("content-length", "+5")], Err(400)),
        (&[("content-length", "-5")], Err(400)),
        (&[("content-length", "")], Err(400)),
        (&[("content-length", "0x5")], Err(400)),
        (&[("content-length", "99999999999999999999999")], Err(400)),
        (&[("transfer-encoding", "chunked")], Ok(RequestFraming { chunked: true, ..plain })),
        (&[("transfer-encoding", " Chunked ")], Ok(RequestFraming { chunked: true, ..plain })),
        (&[("transfer-encoding", "chunked, chunked")], Err(400)),
        (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Err(400)),
        (&[("transfer-encoding", "chunked, gzip")], Err(400)),
        (&[("transfer-encoding", "gzip, chunked")], Err(501)),
        (&[("transfer-encoding", "identity")], Err(501)),
        (&[("transfer-encoding", "xchunked")], Err(501)),
        (&[("transfer-encoding", "")], Err(501)),
        (&[("expect", "100-Continue")], Ok(RequestFraming { expects_continue: true, ..plain })),
        (&[("expect", "200-ok")], Err(417)),
    ];
    for (headers, expected) in cases {
        let headers: Vec<_> = headers.iter().copied().chain([("host", "a")]).collect();
        let mut head = request(ONE, "POST", "/", &headers).unwrap();
        let framing = normalise(&mut head).map_err(|rejected| rejected.status.as_u16());
        assert_eq!(framing, *expected, "{headers:?}");
    }
}

#[test]
fn headers_of_the_connection_are_removed() {
    let headers = [
        ("host", "a"),
        ("connection", "keep-alive, x-mine"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
        ("expect", "100-continue"),
        ("x-mine", "kept: no client may take headers from an actor"),
        ("authorization", "Basic YQ=="),
    ];
    for name in CONNECTION_HEADERS {
        let expected = name.as_str() == "expect" || name.as_str() == "transfer-encoding";
        let summary = HeaderSummary::of(&HeaderMap::from_iter([(name, HeaderValue::from_static("x"))]));
        assert!(summary.connection && summary.framing == expected);
    }
    let mut head = request(ONE, "POST", "/", &headers).unwrap();
    normalise(&mut head).unwrap();
    let mut left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["authorization", "host", "x-mine"]);
}

proptest! {
    #[test]
    fn an_accepted_request_has_one_valid_host(
        target in "(https?://)?[a-z@:\\[\\].*/]{0,12}",
        hosts in proptest::collection::vec("[a-zA-Z0-9.:@%\\[\\] ,/]{0,10}", 0..3),
        version in prop_oneof![Just(ONE), Just(TWO)],
    ) {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", host.as_str())).collect();
        if let Some(mut head) = request(version, "GET", &target, &headers)
            && normalise(&mut head).is_ok()
        {
            let hosts: Vec<_> = head.headers.get_all(header::HOST).iter().collect();
            prop_assert!(hosts.len() == 1 && is_authority(hosts[0].as_bytes()), "{hosts:?}");
            prop_assert!(head.uri.path().starts_with('/'));
        }
    }
}
