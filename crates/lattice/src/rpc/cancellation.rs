//! Calls that the caller no longer waits for.
//!
//! A call carries the hash of a secret. The caller cancels it by revealing the secret, so no other client of the server
//! can.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Inner, count};
use crate::connection::Subject;
use crate::wire::Invocation;

type Commitment = [u8; 32];

/// The calls of other hosts that can be cancelled.
#[derive(Debug, Default)]
pub(super) struct Cancellable(Mutex<HashMap<Commitment, oneshot::Sender<()>>>);

impl Cancellable {
    fn calls(&self) -> MutexGuard<'_, HashMap<Commitment, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call. The receiver is told when it is cancelled.
    pub(super) fn add(&self, commitment: Commitment) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.calls().insert(commitment, sender);
        receiver
    }

    pub(super) fn remove(&self, commitment: &Commitment) {
        self.calls().remove(commitment);
    }

    /// Cancels the call whose secret is revealed. Returns whether there is one.
    fn reveal(&self, secret: &[u8]) -> bool {
        let commitment = blake3::hash(secret);
        let call = self.calls().remove(commitment.as_bytes());
        call.is_some_and(|call| call.send(()).is_ok())
    }
}

/// Cancels a call on the host that serves it when it is dropped before it is disarmed.
pub(super) struct CancelOnDrop {
    rpc: Arc<Inner>,
    subject: String,
    secret: Option<[u8; 16]>,
}

impl CancelOnDrop {
    /// Puts the hash of a new secret into a call.
    pub(super) fn arm(rpc: &Arc<Inner>, destination: Option<&Arc<str>>, invocation: &mut Invocation) -> CancelOnDrop {
        let subject = match destination {
            Some(host) => rpc.host_subject(host, "cancel"),
            None => rpc.namespace.peer("cancel"),
        };
        // A host identifies calls by numbers like this one, so it is as hard to guess.
        let secret = uuid::Uuid::new_v4().into_bytes();
        if let Some(extension) = &mut invocation.extension {
            extension.cancellation = Some(*blake3::hash(&secret).as_bytes());
        }
        CancelOnDrop { rpc: rpc.clone(), subject, secret: Some(secret) }
    }

    /// Ends the wait without cancelling the call.
    pub(super) fn disarm(mut self) {
        self.secret = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(secret) = self.secret.take() else { return };
        // Without a runtime the host stops, and so do its calls.
        let Ok(runtime) = Handle::try_current() else { return };
        let rpc = self.rpc.clone();
        let subject = std::mem::take(&mut self.subject);
        runtime.spawn(async move {
            // A call that cannot be cancelled ends by its deadline.
            let _ = rpc.connection.publish(subject, Bytes::copy_from_slice(&secret)).await;
        });
    }
}

/// Cancels calls when their secrets are revealed, until this host leaves.
pub(super) async fn serve(rpc: Arc<Inner>) {
    let own = rpc.host_subject(rpc.edge.host(), "cancel");
    let shared = rpc.namespace.peer("cancel");
    let subjects = vec![Subject::new(own), Subject::new(shared)];
    let Some(subscriptions) = super::serving::subscribe(&rpc, subjects).await else { return };
    let cancel = |rpc: &Inner, secret: &[u8]| {
        if rpc.cancellable.reveal(secret) {
            count(&rpc.counters.cancelled);
        }
    };
    let followers = subscriptions.into_iter().map(|subscription| {
        super::serving::each(rpc.clone(), subscription, move |rpc, message| cancel(rpc, &message.payload))
    });
    futures_util::future::join_all(followers).await;
}
