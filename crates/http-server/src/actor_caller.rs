//! The interface for calling an actor, which the embedder implements.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;

use hyper::http::request::Parts;

/// Calls one actor.
pub trait ActorCaller {
    /// The request that a call is part of.
    type Request: ServedRequest;

    /// Begins to serve a request. Dropping what it returns says that the client has gone.
    fn begin(&self, head: &RequestHead<'_>) -> Self::Request;

    /// Calls an operation of the actor with a msgpack payload, and returns the payload of its answer. Dropping the future
    /// cancels the call.
    fn call(
        &self,
        request: &Self::Request,
        operation: &str,
        payload: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, CallError>>;
}

/// A request that is being served.
pub trait ServedRequest {
    /// Returns the identifier of the chain of calls that the request begins, for log lines. `None` if there is none.
    fn call_id(&self) -> Option<String> {
        None
    }

    /// Ends the service of the request with the status of its answer.
    fn answered(self, status: u16);
}

impl ServedRequest for () {
    fn answered(self, _: u16) {}
}

/// The head of a request.
#[derive(Debug)]
pub struct RequestHead<'a>(pub(crate) &'a Parts);

impl RequestHead<'_> {
    /// Returns the method.
    pub fn method(&self) -> &str {
        self.0.method.as_str()
    }

    /// Returns the path of the target, without the query.
    pub fn path(&self) -> &str {
        self.0.uri.path()
    }

    /// Returns the version of HTTP: `1.0`, `1.1` or `2`.
    pub fn version(&self) -> &'static str {
        match self.0.version {
            hyper::Version::HTTP_10 => "1.0",
            hyper::Version::HTTP_2 => "2",
            _ => "1.1",
        }
    }

    /// Returns the value of a header. Repeated ones are joined by commas. `None` without the header, or if it is not text.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values = self.0.headers.get_all(name).iter().map(|value| value.to_str().ok());
        let first = Cow::Borrowed(values.next()??);
        values.try_fold(first, |joined, value| Some(Cow::Owned([&joined, ",", value?].concat())))
    }
}

/// The error of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Determines the status of the HTTP response.
    pub kind: CallErrorKind,
    /// The text for the log. It is not part of the HTTP response.
    pub text: String,
}

/// The kind of a failed call. It determines the status of the HTTP response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The actor missed its deadline. Status: 504.
    TimedOut,
    /// The actor does not run or is overloaded. Status: 503.
    Unavailable,
    /// Any other failure. Status: 500.
    Failed,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for CallError {}
