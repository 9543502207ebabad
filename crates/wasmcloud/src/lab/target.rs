//! What a load calls: an operation of an actor, or a URL.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};
use wasmcloud_host::Host;

use super::plan::{Target, shown_url};
use super::recorder::CallOutcome;
use crate::outcome::{CommandError, CommandResult};

/// The size of the largest answer over HTTP that is read, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Calls a target.
#[derive(Debug)]
pub(super) struct Caller {
    means: Means,
    /// A call that has not ended by then is lost.
    patience: Duration,
}

#[derive(Debug)]
enum Means {
    Actor { host: Host, key: String, name: String, operation: String, payload: Vec<u8> },
    Http { client: Client, method: Method, url: Url, headers: HeaderMap, body: Vec<u8>, status: Option<u16> },
}

impl Caller {
    /// Returns a caller. `key` is the public key of the actor, if the target is one.
    ///
    /// # Errors
    /// `Failed` if the URL, the method or a header is malformed.
    pub(super) fn new(target: &Target, host: &Host, key: Option<String>, patience: Duration) -> CommandResult<Caller> {
        let means = match target {
            Target::Actor { actor, operation, payload } => Means::Actor {
                host: host.clone(),
                key: key.unwrap_or_else(|| actor.clone()),
                name: actor.clone(),
                operation: operation.clone(),
                payload: payload.clone(),
            },
            Target::Http { method, url, headers, body, status } => Means::Http {
                client: client()?,
                method: Method::from_bytes(method.as_bytes()).map_err(|error| malformed("method of a load", error))?,
                // The URL may hold a secret, and is not repeated.
                url: Url::parse(url).map_err(|error| malformed("URL of a load", error))?,
                headers: header_map(headers)?,
                body: body.clone(),
                status: *status,
            },
        };
        Ok(Caller { means, patience })
    }

    /// Makes a call. `expected` is what has to be answered, if that matters.
    pub(super) async fn call(&self, expected: Option<&[u8]>) -> CallOutcome {
        let answered = match tokio::time::timeout(self.patience, self.means.call()).await {
            Ok(answered) => answered,
            Err(_) => {
                let text = format!("it had not ended after {:?}", self.patience);
                return CallOutcome::Lost { kind: "NeverEnded", text };
            }
        };
        match answered {
            Ok(answer) if expected.is_none_or(|expected| expected == answer) => CallOutcome::Answered,
            Ok(answer) => {
                let text = format!("it was answered with {} other bytes", answer.len());
                CallOutcome::Lost { kind: "WrongAnswer", text }
            }
            Err(Failure { kind, text }) => CallOutcome::Failed { kind, text },
        }
    }
}

/// Why a call failed.
struct Failure {
    kind: String,
    text: String,
}

impl Means {
    async fn call(&self) -> Result<Vec<u8>, Failure> {
        match self {
            Means::Actor { host, key, operation, payload, .. } => {
                let answer = host.call_actor(key, operation, payload).await;
                answer.map_err(|error| Failure { kind: error.kind().name().to_owned(), text: error.to_string() })
            }
            Means::Http { client, method, url, headers, body, status } => {
                let request = client.request(method.clone(), url.clone()).headers(headers.clone()).body(body.clone());
                let response = request.send().await.map_err(of_http)?;
                let found = response.status();
                let is_good = status.map_or(found.is_success(), |status| status == found.as_u16());
                let answer = read(response).await?;
                if is_good {
                    return Ok(answer);
                }
                let text = String::from_utf8_lossy(&answer[..answer.len().min(400)]).into_owned();
                Err(Failure { kind: format!("Http{}", found.as_u16()), text })
            }
        }
    }
}

/// Reads an answer, up to the largest size.
async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut answer = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(of_http)? {
        if answer.len() + piece.len() > LARGEST_ANSWER {
            let text = format!("the answer has more than {LARGEST_ANSWER} bytes");
            return Err(Failure { kind: "HttpConnection".to_owned(), text });
        }
        answer.extend_from_slice(&piece);
    }
    Ok(answer)
}

fn of_http(error: reqwest::Error) -> Failure {
    let kind = if error.is_timeout() { "HttpTimeout" } else { "HttpConnection" };
    // The URL may hold a secret.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Failure { kind: kind.to_owned(), text }
}

fn client() -> CommandResult<Client> {
    let client = Client::builder().no_proxy().redirect(Policy::none()).build();
    client.map_err(|error| CommandError::Failed(format!("cannot make a client for HTTP: {error}")))
}

fn header_map(headers: &[(String, String)]) -> CommandResult<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let what = format!("header {name:?}");
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|error| malformed(&what, error))?;
        // The value may be a secret, and is not repeated.
        let value = HeaderValue::from_str(value).map_err(|error| malformed(&what, error))?;
        map.append(header, value);
    }
    Ok(map)
}

fn malformed(what: &str, error: impl fmt::Display) -> CommandError {
    CommandError::Failed(format!("the {what} in the plan is malformed: {error}"))
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.means {
            Means::Actor { name, operation, .. } => write!(f, "{name} {operation}"),
            Means::Http { method, url, .. } => write!(f, "{method} {}", shown_url(url.as_str())),
        }
    }
}
