//! The edge under attack: each message is refused for the right reason, and counted.

mod answers;
mod attacks;

use bytes::Bytes;
use nkeys::KeyPair;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind};

use super::*;
use crate::session::SessionSettings;
use crate::wire::{Extension, Invocation, PayloadForm, Transfer};

const MESSAGE_BYTES: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(10);

/// How a host of a test is made.
struct Plan {
    key: KeyPair,
    cluster: Option<KeyPair>,
    trust: HostTrust,
    namespace: &'static str,
    window: Duration,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            key: KeyPair::new_server(),
            cluster: None,
            trust: HostTrust::default(),
            namespace: "default",
            window: Duration::from_secs(60),
        }
    }
}

impl Plan {
    fn edge(self) -> Edge {
        let Plan { key, cluster, trust, namespace, window } = self;
        let (key, cluster_key) = (Arc::new(key), cluster.map(Arc::new));
        let namespace = Namespace::new(namespace).unwrap();
        let sessions = Sessions::new(SessionSettings {
            namespace: namespace.clone(),
            key: key.clone(),
            trust: trust.clone(),
            cluster_key: cluster_key.clone(),
            lifetime: Duration::from_secs(60),
            messages: 1000,
            peers: 16,
        });
        let sessions = Arc::new(sessions.unwrap());
        let message_bytes = MESSAGE_BYTES;
        Edge::new(EdgeSettings { namespace, key, cluster_key, trust, sessions, message_bytes, window })
    }
}

fn edge() -> Edge {
    Plan::default().edge()
}

/// Two hosts with a session.
fn pair() -> (Edge, Edge) {
    let (one, other) = (edge(), edge());
    connect(&one, &other);
    (one, other)
}

fn connect(one: &Edge, other: &Edge) {
    let mut message = one.sessions().begin(other.host());
    for at in 0.. {
        let Some(sent) = message.take() else { break };
        let receiver = if at % 2 == 0 { other } else { one };
        message = receiver.sessions().receive(&sent).unwrap().reply;
    }
    assert!(one.sessions().has(other.host()) && other.sessions().has(one.host()));
}

fn call(sender: &Edge) -> Invocation {
    Invocation {
        origin: WasmCloudEntity::Actor("MCALLER".to_owned()),
        target: WasmCloudEntity::Actor("MACTOR".to_owned()),
        operation: "Get".to_owned(),
        payload: vec![1, 2, 3],
        id: uuid::Uuid::new_v4().to_string(),
        encoded_claims: String::new(),
        host_id: sender.host().to_string(),
        extension: None,
    }
}

/// Seals a call to a host, with a session if there is one.
fn sealed(sender: &Edge, receiver: &Edge) -> (Invocation, Sealed) {
    let mut call = call(sender);
    let sealed = sender.seal(&mut call, Some(receiver.host()), LIMIT, false).unwrap();
    (call, sealed)
}

/// Seals a call with a token.
fn with_token(sender: &Edge, receiver: &Edge) -> (Invocation, Sealed) {
    let mut call = call(sender);
    let sealed = sender.seal(&mut call, Some(receiver.host()), LIMIT, true).unwrap();
    (call, sealed)
}

/// Seals a call to any host.
fn shared(sender: &Edge) -> (Invocation, Sealed) {
    let mut call = call(sender);
    let sealed = sender.seal(&mut call, None, LIMIT, true).unwrap();
    (call, sealed)
}

const SHARED: Arrival<'static> = Arrival::Shared("wasmbus.rpc.default.MACTOR");

/// Has an edge refuse a message, and checks that the refusal is counted.
#[track_caller]
fn refused(edge: &Edge, message: &[u8], arrival: Arrival<'_>, reason: Refusal) -> Option<Bytes> {
    let before = edge.counts();
    let refused = edge.admit(message, arrival).unwrap_err();
    assert_eq!(refused.reason, reason);
    let after = edge.counts();
    assert_eq!(after.refused(reason), before.refused(reason) + 1);
    assert_eq!((after.by_session, after.by_token), (before.by_session, before.by_token));
    refused.answer
}

fn encoded(call: &Invocation) -> Vec<u8> {
    call.encode(PayloadForm::Binary)
}

fn extension(call: &mut Invocation) -> &mut Extension {
    call.extension.as_mut().unwrap()
}
