//! A caller that is no host: it signs each call in the format of 2021, and calls the subject of the actor.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::Client;
use nkeys::KeyPair;
use wasmcloud_host::WasmCloudEntity;
use wasmcloud_lattice::wire::{Digester, Invocation, PayloadForm, Response};
use wasmcloud_lattice::{Namespace, token};

/// The greatest payload of an answer.
const LARGEST: usize = 1 << 20;

/// A caller with a host key.
pub(crate) struct Caller {
    client: Client,
    key: KeyPair,
    digester: Digester,
    actor: WasmCloudEntity,
    subject: String,
    calls: AtomicU64,
}

impl Caller {
    pub(crate) fn new(client: Client, actor: &str) -> Caller {
        let namespace = Namespace::new("bench").expect("a namespace");
        let actor = WasmCloudEntity::Actor(actor.to_owned());
        Caller {
            client,
            key: KeyPair::new_server(),
            digester: Digester::new(&namespace),
            subject: namespace.call(&actor).expect("actors have subjects"),
            actor,
            calls: AtomicU64::new(0),
        }
    }

    /// Calls the actor, and checks the answer. In the format of 2021, answers are not signed.
    pub(crate) async fn call(&self, operation: &str, payload: &[u8]) {
        let mut invocation = Invocation {
            origin: WasmCloudEntity::Host,
            target: self.actor.clone(),
            operation: operation.to_owned(),
            payload: payload.to_vec(),
            id: format!("00000000-0000-4000-8000-{:012x}", self.calls.fetch_add(1, Ordering::Relaxed)),
            encoded_claims: String::new(),
            host_id: self.key.public_key(),
            extension: None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_millis();
        let signed = token::sign(&invocation, &self.key, &self.digester, u64::try_from(now).expect("a time"));
        invocation.encoded_claims = signed.expect("the key signs");
        let message = invocation.encode(PayloadForm::Array);
        let answer = self.client.request(self.subject.clone(), message.into()).await.expect("the host answers");
        let response = Response::decode(&answer.payload, LARGEST).expect("it is an answer");
        assert_eq!(response.error, None);
        assert_eq!(response.payload, payload);
    }
}
