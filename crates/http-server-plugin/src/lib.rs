//! The provider of `wasmcloud:httpserver` as a native plugin: serves each linked actor over HTTP on a port of its own.
//!
//! The server runs on a thread of its own, to which the calls of the host are passed. Its log lines go to the host's log.

mod log_forwarder;
mod worker;

use std::collections::HashMap;

use tokio::sync::oneshot;
use wasmcloud_http_server::{ActorCaller, CONTRACT, CallError, CallErrorKind, RequestHead};
use wasmcloud_provider_sdk::{ActorErrorKind, Call, Error, Host, Link, Provider, export_provider};
use worker::Worker;

export_provider!(HttpServer);

/// The HTTP server provider.
#[derive(Debug)]
pub struct HttpServer {
    host: Host,
    worker: Worker,
}

impl Provider for HttpServer {
    fn start(host: Host) -> Result<Self, Error> {
        log_forwarder::forward_log_to(&host);
        Ok(HttpServer { worker: Worker::start()?, host })
    }

    fn bind(&self, link: Link<'_>) -> Result<(), Error> {
        let values: HashMap<String, String> =
            link.values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let actor = LinkedActor { key: link.actor.to_owned(), host: self.host.clone() };
        self.worker.run(async move |server| {
            let bound = server.bind(&actor.key.clone(), &values, actor).await;
            bound.map_err(|refusal| Error::new(refusal.to_string()))
        })?
    }

    fn drain(&self, actor: &str) -> Result<(), Error> {
        self.unbind(actor)
    }

    fn unbind(&self, actor: &str) -> Result<(), Error> {
        let actor = actor.to_owned();
        self.worker.run(async move |server| server.unbind(&actor).await)
    }

    fn handle_call(&self, call: Call<'_>) -> Result<Vec<u8>, Error> {
        Err(Error::new(format!("{CONTRACT} has no operation {:?} for actors to call", call.operation)))
    }

    fn stop(&self) {
        // An error means that the thread has ended already.
        let _ = self.worker.run(async move |server| server.stop().await);
        self.worker.end();
    }
}

/// An actor that is served on a port.
struct LinkedActor {
    key: String,
    host: Host,
}

impl ActorCaller for LinkedActor {
    /// The interface of plugins knows no traces.
    type Request = ();

    fn begin(&self, _: &RequestHead<'_>) {}

    async fn call(&self, (): &(), operation: &str, payload: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let (answer, answered) = oneshot::channel();
        self.host.call_then(&self.key, operation, &payload, move |outcome| {
            // The client may have disconnected.
            let _ = answer.send(outcome);
        });
        let lost = |_| CallError { kind: CallErrorKind::Unavailable, text: "the host has ended".to_owned() };
        answered.await.map_err(lost)?.map_err(|error| {
            let kind = match error.kind() {
                ActorErrorKind::TimedOut => CallErrorKind::TimedOut,
                ActorErrorKind::Unavailable => CallErrorKind::Unavailable,
                _ => CallErrorKind::Failed,
            };
            CallError { kind, text: error.to_string() }
        })
    }
}
