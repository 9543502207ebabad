//! The actor {{name}}: counts HTTP requests in a key-value store.

use wapc_guest::prelude::*;
use wasmcloud_actor_core as actor;
use wasmcloud_actor_http_server::{Handlers, Request, Response};
use wasmcloud_actor_keyvalue as keyvalue;

/// Runs once, when an instance of the actor starts. Registers a function for each operation.
#[actor::init]
fn init() {
    Handlers::register_handle_request(handle);
}

/// Answers an HTTP request. An error is answered with status 500, and its text is in the host's log.
fn handle(request: Request) -> HandlerResult<Response> {
    count(&request, |key| Ok(keyvalue::default().add(key, 1)?.value))
}

/// Counts the requests of each path. `add` adds 1 to the number of a key: it is a parameter, so that tests need no store.
fn count(request: &Request, add: impl Fn(String) -> HandlerResult<i32>) -> HandlerResult<Response> {
    if request.method != "GET" {
        return Ok(Response::bad_request());
    }
    let number = add(format!("count:{}", request.path))?;
    let mut response = Response::ok();
    response.header.insert(
        "content-type".to_string(),
        "text/plain; charset=utf-8".to_string(),
    );
    response.body = format!("{} was asked for {} time(s)\n", request.path, number).into_bytes();
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str) -> Request {
        Request {
            method: method.into(),
            path: path.into(),
            ..Request::default()
        }
    }

    #[test]
    fn each_path_has_a_key_of_its_own() {
        let add = |key: String| {
            assert_eq!(key, "count:/tea");
            Ok(3)
        };
        let response = count(&request("GET", "/tea"), add).unwrap();
        assert_eq!(response.status_code, 200);
        assert_eq!(response.body, b"/tea was asked for 3 time(s)\n");
    }

    #[test]
    fn an_error_of_the_store_is_handed_on() {
        let error = count(&request("GET", "/"), |_| Err("the store is closed".into())).unwrap_err();
        assert_eq!(error.to_string(), "the store is closed");
    }

    #[test]
    fn other_methods_are_not_counted() {
        let response = count(&request("POST", "/"), |_| panic!("it was counted")).unwrap();
        assert_eq!(response.status_code, 400);
    }
}
