//! The subjects on which this host takes calls together with the other hosts that run an entity.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Inner;
use super::listening::{self, Until};
use super::serving::receive;
use crate::connection::{Subject, Subscription};
use crate::edge::Arrival;

/// A shared subject that this host serves.
#[derive(Debug)]
pub(super) struct Served {
    /// The entities that are called on it: providers under link names that a subject does not tell apart.
    entities: Vec<WasmCloudEntity>,
    close: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Takes calls on a subject, with all other hosts that do.
pub(super) async fn open(rpc: &Arc<Inner>, entity: &WasmCloudEntity) -> Result<()> {
    let Some(subject) = rpc.namespace.call(entity) else {
        return Err(Error::new(ErrorKind::InvalidArgument, "a host is never called"));
    };
    if add(rpc, &subject, entity) {
        return Ok(());
    }
    let subscription = rpc.connection.subscribe(Subject::shared(subject.clone())).await?;
    if !*rpc.is_open.borrow() {
        return Err(Error::new(ErrorKind::LatticeUnavailable, "the host is leaving the lattice"));
    }
    let (close, closing) = watch::channel(false);
    if add(rpc, &subject, entity) {
        // Another request was faster. Messages on their way to this subscription are served, too.
        close.send_replace(true);
        tokio::spawn(serve_shared(rpc.clone(), subject, subscription, closing));
        return Ok(());
    }
    let task = tokio::spawn(serve_shared(rpc.clone(), subject.clone(), subscription, closing));
    served(rpc).insert(subject, Served { entities: vec![key_of(entity)], close, task });
    Ok(())
}

/// Adds an entity to a subject that is served already. Returns whether it is.
fn add(rpc: &Inner, subject: &str, entity: &WasmCloudEntity) -> bool {
    let mut served = served(rpc);
    let Some(known) = served.get_mut(subject).filter(|known| !known.task.is_finished()) else { return false };
    let entity = key_of(entity);
    if !known.entities.contains(&entity) {
        known.entities.push(entity);
    }
    true
}

/// Returns an entity without its contract, which plays no part.
fn key_of(entity: &WasmCloudEntity) -> WasmCloudEntity {
    let mut entity = entity.clone();
    if let WasmCloudEntity::Capability { contract_id, .. } = &mut entity {
        contract_id.clear();
    }
    entity
}

/// Takes no more calls to an entity on its subject.
pub(super) async fn close(rpc: &Arc<Inner>, entity: &WasmCloudEntity) {
    let Some(subject) = rpc.namespace.call(entity) else { return };
    let closed = {
        let mut served = served(rpc);
        let Some(known) = served.get_mut(&subject) else { return };
        let entity = key_of(entity);
        known.entities.retain(|other| *other != entity);
        if known.entities.is_empty() { served.remove(&subject) } else { None }
    };
    if let Some(closed) = closed {
        closed.end().await;
    }
}

/// Takes no more calls at all, and waits until those in progress are answered.
pub(super) async fn close_all(rpc: &Arc<Inner>) {
    rpc.is_open.send_replace(false);
    let all: Vec<Served> = served(rpc).drain().map(|(_, served)| served).collect();
    futures_util::future::join_all(all.into_iter().map(Served::end)).await;
    // Calls that the server has sent to the subject of this host are received, too.
    let own = rpc.own.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(own) = own {
        // The task ends by itself.
        let _ = own.await;
    }
    rpc.permits.all_free().await;
}

fn served(rpc: &Inner) -> MutexGuard<'_, HashMap<String, Served>> {
    rpc.served.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Served {
    async fn end(self) {
        self.close.send_replace(true);
        // The task ends by itself.
        let _ = self.task.await;
    }
}

/// Takes calls on a shared subject, until this host closes it.
async fn serve_shared(rpc: Arc<Inner>, subject: String, subscription: Subscription, closing: watch::Receiver<bool>) {
    let until = Until::Told(closing);
    let handle = |rpc: &Arc<Inner>, message| receive(rpc, message, Arrival::Shared(&subject));
    if !listening::handle_all(&rpc, subscription, until.clone(), &handle).await {
        listening::listen(&rpc, Subject::shared(subject.clone()), until, || {}, handle).await;
    }
}
