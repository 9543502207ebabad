//! The actor {{name}}: answers HTTP requests.

use wapc_guest::prelude::*;
use wasmcloud_actor_core as actor;
use wasmcloud_actor_http_server::{Handlers, Request, Response};

/// Runs once, when an instance of the actor starts. Registers a function for each operation.
#[actor::init]
fn init() {
    Handlers::register_handle_request(handle);
}

/// Answers an HTTP request. An error is answered with status 500, and its text is in the host's log.
fn handle(request: Request) -> HandlerResult<Response> {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => Ok(text("Hello from {{name}}!\n")),
        ("POST", "/shout") => Ok(text(&String::from_utf8(request.body)?.to_uppercase())),
        _ => Ok(Response::not_found()),
    }
}

/// Returns a response of plain text.
fn text(body: &str) -> Response {
    let mut response = Response::ok();
    response.header.insert(
        "content-type".to_string(),
        "text/plain; charset=utf-8".to_string(),
    );
    response.body = body.as_bytes().to_vec();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, body: &str) -> Request {
        Request {
            method: method.into(),
            path: path.into(),
            body: body.into(),
            ..Request::default()
        }
    }

    #[test]
    fn greets_the_caller() {
        let response = handle(request("GET", "/", "")).unwrap();
        assert_eq!(response.status_code, 200);
        assert_eq!(response.body, b"Hello from {{name}}!\n");
    }

    #[test]
    fn shouts_what_it_is_sent() {
        let response = handle(request("POST", "/shout", "hello")).unwrap();
        assert_eq!(response.body, b"HELLO");
    }

    #[test]
    fn knows_no_other_path() {
        assert_eq!(
            handle(request("GET", "/other", "")).unwrap().status_code,
            404
        );
    }
}
