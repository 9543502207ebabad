//! `wasmcloud:messaging` on its backends: the embedded broker and NATS.
//!
//! # Layout
//! - `operations`: each operation with ordinary, empty, huge, binary, unicode and hostile input
//! - `differential`: the embedded broker knows the subjects that a NATS server knows
//! - `embedded`: what is true of the embedded broker alone
//! - `nats`: what is true of NATS alone, and its bad days
//! - `credentials`: who a link is to a NATS server
//! - `work_queue`: the example

mod credentials;
mod differential;
mod embedded;
mod nats;
mod operations;
mod work_queue;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;
use wasmcloud_host::builtin::{Extras, Messaging};
use wasmcloud_host::{ActorOptions, Host, NativeCapability};

use super::kit::{self, Backend, Caller, Tenant};
use super::nats_server::NatsServer;
use super::server_failures::{Served, bad_days};
use super::server_process::ServerProcess;
use crate::signing::sign;
use crate::support::{soon, values};

const CONTRACT: &str = "wasmcloud:messaging";

/// The embedded broker, whose tenants have accounts.
struct Embedded;

impl Backend for Embedded {
    const CONTRACT: &'static str = CONTRACT;

    fn provider(&self) -> NativeCapability {
        Messaging::new(None).capability().unwrap()
    }

    fn values(&self, tenant: Tenant) -> HashMap<String, String> {
        values(&[("ACCOUNT", &format!("{tenant:?}"))])
    }

    fn bad_values(&self) -> Vec<(&'static str, HashMap<String, String>)> {
        vec![
            ("SUBSCRIPTION", values(&[("SUBSCRIPTION", "a..b")])),
            ("QUEUEGROUP_NAME", values(&[("QUEUEGROUP_NAME", "a b")])),
            ("CONCURRENCY", values(&[("CONCURRENCY", "none")])),
            ("CLIENT_SEED", values(&[("CLIENT_SEED", "secret")])),
            ("URL", values(&[("URL", "amqp://user:secret@localhost")])),
        ]
    }

    async fn prepare(&self, host: &Host, provider: &str) {
        prepare(self, host, provider).await;
    }

    async fn leave_mark(&self, caller: &Caller, mark: &str) -> Result<(), String> {
        leave_mark(caller, mark).await
    }

    async fn marks(&self, caller: &Caller) -> Vec<String> {
        marks(caller).await
    }
}

/// Two NATS servers, one for each tenant.
struct Nats {
    a: NatsServer,
    b: NatsServer,
}

impl Nats {
    fn new() -> Nats {
        Nats { a: NatsServer::start(), b: NatsServer::start() }
    }
}

impl Backend for Nats {
    const CONTRACT: &'static str = CONTRACT;

    fn provider(&self) -> NativeCapability {
        Messaging::new(None).capability().unwrap()
    }

    fn values(&self, tenant: Tenant) -> HashMap<String, String> {
        let server = match tenant {
            Tenant::A => &self.a,
            Tenant::B => &self.b,
        };
        values(&[("URL", &server.url())])
    }

    fn bad_values(&self) -> Vec<(&'static str, HashMap<String, String>)> {
        let url = self.a.url();
        vec![
            ("URL", values(&[("URL", "nats://user:secret@127.0.0.1:1")])),
            ("URL", values(&[("URL", "nats://user:secret@127.0.0.1:port")])),
            ("URL", values(&[("URL", &format!("tls://user:secret@127.0.0.1:{}", self.a.port))])),
            ("SUBSCRIPTION", values(&[("URL", &url), ("SUBSCRIPTION", ">.a")])),
            ("CLIENT_SEED", values(&[("URL", &url), ("CLIENT_SEED", "secret")])),
            ("CLIENT_JWT", values(&[("URL", &url), ("CLIENT_JWT", "secret")])),
            ("CREDSFILE", values(&[("URL", &url), ("CREDSFILE", "/no/such/file")])),
            ("ACCOUNT", values(&[("URL", &url), ("ACCOUNT", "secret")])),
        ]
    }

    async fn prepare(&self, host: &Host, provider: &str) {
        prepare(self, host, provider).await;
    }

    async fn leave_mark(&self, caller: &Caller, mark: &str) -> Result<(), String> {
        leave_mark(caller, mark).await
    }

    async fn marks(&self, caller: &Caller) -> Vec<String> {
        marks(caller).await
    }
}

impl Served for Nats {
    fn server(&self) -> &ServerProcess {
        &self.a
    }

    async fn revive(&self) {
        self.a.start_again();
    }

    async fn start_beside(&self, host: &Host, provider: &str) -> Caller {
        prepare(&Embedded, host, provider).await;
        let caller = Caller::start(host, CONTRACT, 1).await;
        caller.link(provider, Embedded.values(Tenant::A)).await.unwrap();
        caller
    }
}

/// The marks of each tenant are kept by an actor.
async fn prepare(backend: &impl Backend, host: &Host, provider: &str) {
    for tenant in [Tenant::A, Tenant::B] {
        let subscribed = values(&[("SUBSCRIPTION", "marks.*"), ("CONCURRENCY", "64")]);
        messenger(host, provider, backend.values(tenant).into_iter().chain(subscribed).collect()).await;
    }
}

async fn leave_mark(caller: &Caller, mark: &str) -> Result<(), String> {
    let answer = request(caller, "marks.keep", mark.as_bytes()).await?;
    assert_eq!(answer.body, mark.as_bytes());
    Ok(())
}

async fn marks(caller: &Caller) -> Vec<String> {
    let kept = request(caller, "marks.list", b"").await.unwrap().body;
    String::from_utf8(kept).unwrap().lines().map(ToOwned::to_owned).collect()
}

/// Starts an actor that answers messages, and answers with its key.
async fn messenger(host: &Host, provider: &str, values: HashMap<String, String>) -> String {
    let actor = sign("messenger").capability(CONTRACT).capability(Extras::CONTRACT).actor();
    let key = actor.public_key();
    host.start_actor_with(actor, ActorOptions::new()).await.unwrap();
    soon(host.set_link(&key, CONTRACT, None, provider.to_owned(), values)).await.unwrap();
    soon(host.set_link(&key, Extras::CONTRACT, None, Extras::PUBLIC_KEY.to_owned(), HashMap::new())).await.unwrap();
    key
}

/// The values of a tenant's link, and more.
fn with(backend: &impl Backend, more: &[(&str, &str)]) -> HashMap<String, String> {
    backend.values(Tenant::A).into_iter().chain(values(more)).collect()
}

/// A message as the contract has it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BrokerMessage {
    subject: String,
    reply_to: String,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

async fn request(caller: &Caller, subject: &str, body: &[u8]) -> Result<BrokerMessage, String> {
    request_within(caller, subject, body, 20_000).await
}

async fn request_within(caller: &Caller, subject: &str, body: &[u8], timeout: i64) -> Result<BrokerMessage, String> {
    let head = rmp_serde::to_vec_named(&json!({"subject": subject, "timeout": timeout})).unwrap();
    caller.call("Request", &with_body(head, body)).await.map(|answer| rmp_serde::from_slice(&answer).unwrap())
}

async fn publish(caller: &Caller, subject: &str, reply_to: &str, body: &[u8]) -> Result<(), String> {
    let head = rmp_serde::to_vec_named(&json!({"subject": subject, "replyTo": reply_to})).unwrap();
    let answer = caller.call("Publish", &with_body(head, body)).await?;
    assert_eq!(answer, b"\x81\xa9published\xc3");
    Ok(())
}

/// A map of two fields with a third one, the body as bin.
fn with_body(mut head: Vec<u8>, body: &[u8]) -> Vec<u8> {
    head[0] += 1;
    let length = (body.len() as u32).to_be_bytes();
    [&head[..], b"\xa4body\xc6", &length, body].concat()
}

#[actix_rt::test]
async fn links_live_as_they_should_on_the_embedded_broker() {
    kit::lifecycle(&Embedded).await;
}

#[actix_rt::test]
async fn links_live_as_they_should_on_nats() {
    kit::lifecycle(&Nats::new()).await;
}

#[actix_rt::test]
async fn bad_days_of_nats_are_told_and_end() {
    bad_days(&Nats::new()).await;
}
