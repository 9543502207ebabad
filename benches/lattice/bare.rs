//! The references: a requester and a responder of async-nats, without hosts.

use std::sync::Arc;

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt as _;
use nkeys::KeyPair;
use tokio::sync::oneshot;

/// The length of a signature.
const SIGNATURE: usize = 64;

/// How messages are protected.
#[derive(Clone)]
pub(crate) enum Protection {
    None,
    /// Requests end in an ed25519 signature, which the responder verifies.
    SignedRequests(Arc<KeyPair>),
    /// Each message ends in an ed25519 signature, which its receiver verifies.
    Signatures(Arc<KeyPair>),
}

impl Protection {
    /// Returns how answers are protected.
    pub(crate) fn of_answers(&self) -> Protection {
        match self {
            Protection::SignedRequests(_) => Protection::None,
            other => other.clone(),
        }
    }

    /// Returns a message as it is sent.
    pub(crate) fn seal(&self, payload: &[u8]) -> Bytes {
        let mut message = payload.to_vec();
        if let Protection::SignedRequests(key) | Protection::Signatures(key) = self {
            message.extend(key.sign(payload).expect("the key signs"));
        }
        message.into()
    }

    /// Returns the payload of a message, after its verification.
    pub(crate) fn open(&self, message: &Bytes) -> Bytes {
        match self {
            Protection::None => message.clone(),
            Protection::SignedRequests(key) | Protection::Signatures(key) => {
                let payload = message.slice(..message.len() - SIGNATURE);
                key.verify(&payload, &message[payload.len()..]).expect("the signature is right");
                payload
            }
        }
    }
}

/// A responder on a thread of its own. It ends with the value.
pub(crate) struct Responder(#[allow(dead_code, reason = "dropping it ends the responder")] oneshot::Sender<()>);

impl Responder {
    /// Starts a responder that echoes, and waits until it listens.
    pub(crate) async fn start(url: String, subject: &'static str, protection: Protection) -> Responder {
        let (end, mut ended) = oneshot::channel::<()>();
        let (started, start) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let client = async_nats::connect(url).await.expect("the server answers");
                let mut requests = client.subscribe(subject).await.expect("it can be subscribed to");
                client.flush().await.expect("the server answers");
                let _ = started.send(());
                loop {
                    tokio::select! {
                        Some(request) = requests.next() => {
                            let reply = request.reply.expect("an answer is waited for");
                            let answer = protection.of_answers().seal(&protection.open(&request.payload));
                            client.publish(reply, answer).await.expect("the server is there");
                        }
                        _ = &mut ended => return,
                    }
                }
            });
        });
        start.await.expect("the responder starts");
        Responder(end)
    }
}

/// Sends a request to a responder, and checks the answer.
pub(crate) async fn request(client: &Client, subject: &'static str, protection: &Protection, payload: &[u8]) {
    let answer = client.request(subject, protection.seal(payload)).await.expect("it answers");
    assert_eq!(protection.of_answers().open(&answer.payload), payload);
}
