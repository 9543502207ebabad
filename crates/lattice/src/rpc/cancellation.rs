//! Calls that the caller no longer waits for.
//!
//! A call carries the hash of a secret. The caller cancels it by revealing the secret, so no other client of the server
//! can. The same ends the offer of an answer that the caller has fetched.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Inner;
use super::listening::{self, Until};
use crate::connection::Subject;

pub(super) type Commitment = [u8; 32];

/// How many secrets are remembered that were revealed before their call was received: another task receives calls.
const REMEMBERED: usize = 256;

/// The calls of other hosts that can be cancelled.
#[derive(Debug, Default)]
pub(super) struct Cancellable(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    calls: HashMap<Commitment, oneshot::Sender<()>>,
    revealed: HashSet<Commitment>,
    /// The same secrets, the oldest one first.
    order: VecDeque<Commitment>,
}

/// A call that can be cancelled, until this is dropped.
#[derive(Debug)]
pub(super) struct Cancelled {
    rpc: Arc<Inner>,
    commitment: Commitment,
    receiver: oneshot::Receiver<()>,
}

impl Cancellable {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels the call whose secret is revealed.
    pub(super) fn reveal(&self, secret: &[u8]) {
        if secret.len() != 16 {
            return;
        }
        let commitment = *blake3::hash(secret).as_bytes();
        let mut calls = self.calls();
        if let Some(call) = calls.calls.remove(&commitment) {
            // The call may have ended just now.
            let _ = call.send(());
            return;
        }
        if calls.order.len() >= REMEMBERED
            && let Some(oldest) = calls.order.pop_front()
        {
            calls.revealed.remove(&oldest);
        }
        if calls.revealed.insert(commitment) {
            calls.order.push_back(commitment);
        }
    }
}

impl Cancelled {
    /// Adds a call with a commitment. Returns `None` if another one has the same.
    pub(super) fn add(rpc: &Arc<Inner>, commitment: Commitment) -> Option<Cancelled> {
        let (sender, receiver) = oneshot::channel();
        let mut calls = rpc.cancellable.calls();
        if calls.calls.contains_key(&commitment) {
            return None;
        }
        if calls.revealed.contains(&commitment) {
            // The receiver is there.
            let _ = sender.send(());
        } else {
            calls.calls.insert(commitment, sender);
        }
        Some(Cancelled { rpc: rpc.clone(), commitment, receiver })
    }

    /// Waits until the call is cancelled.
    pub(super) async fn wait(cancelled: Option<&mut Cancelled>) {
        if let Some(cancelled) = cancelled
            && (&mut cancelled.receiver).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.rpc.cancellable.calls().calls.remove(&self.commitment);
    }
}

/// Cancels a call on the host that serves it when it is dropped before it is disarmed.
pub(super) struct CancelOnDrop<'a> {
    rpc: &'a Arc<Inner>,
    host: Option<Arc<str>>,
    secret: Option<[u8; 16]>,
}

impl<'a> CancelOnDrop<'a> {
    pub(super) fn new(rpc: &'a Arc<Inner>, host: Option<Arc<str>>, secret: [u8; 16]) -> CancelOnDrop<'a> {
        CancelOnDrop { rpc, host, secret: Some(secret) }
    }

    /// Ends the wait without cancelling the call.
    pub(super) fn disarm(&mut self) {
        self.secret = None;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let Some(secret) = self.secret.take() else { return };
        // Without a runtime the host stops, and so do its calls.
        let Ok(runtime) = Handle::try_current() else { return };
        let rpc = self.rpc.clone();
        let subject = match &self.host {
            Some(host) => rpc.host_subject(host, "cancel"),
            None => rpc.namespace.peer("cancel"),
        };
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
    let followers = [own, shared].map(|subject| {
        let cancel = |rpc: &Arc<Inner>, message: async_nats::Message| rpc.cancellable.reveal(&message.payload);
        listening::listen(&rpc, Subject::new(subject), Until::Closed, || {}, cancel)
    });
    futures_util::future::join_all(followers).await;
}
