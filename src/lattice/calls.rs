//! Calls to other hosts.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::runtime::Handle;
use wasmcloud_core::call::Request;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::trace::TraceState;
use wasmcloud_lattice::rpc::OutgoingCall;
use wasmcloud_lattice::wire::{TraceContext, WaitingActor};

use super::Node;
use crate::dispatch::remote::{Remote, RemoteCall, RemoteHosts};

/// The other hosts of a lattice.
pub(super) struct RemoteCalls {
    node: Weak<Node>,
    /// The runtime of the calls: a caller may be on a thread without one.
    runtime: Handle,
}

impl RemoteCalls {
    pub(super) fn new(node: Weak<Node>, runtime: Handle) -> RemoteCalls {
        RemoteCalls { node, runtime }
    }

    fn node(&self) -> Result<Arc<Node>> {
        self.node.upgrade().ok_or_else(|| Error::new(ErrorKind::LatticeUnavailable, "the host has left the lattice"))
    }

    /// Runs work on the runtime of the calls. Dropping the future cancels it.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Remote<'_, T> {
        if Handle::try_current().is_ok_and(|current| current.id() == self.runtime.id()) {
            return Box::pin(work);
        }
        let task = AbortOnDrop(self.runtime.spawn(work));
        let gone = |error| Error::new(ErrorKind::LatticeUnavailable, "the host has left the lattice").caused_by(error);
        Box::pin(async move { task.await.map_err(gone)? })
    }
}

impl RemoteHosts for RemoteCalls {
    fn call(&self, call: RemoteCall) -> Remote<'_, Vec<u8>> {
        let node = match self.node() {
            Ok(node) => node,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let RemoteCall { origin, target, request, context } = call;
        let waiting = context.waiting().map(|waiting| WaitingActor {
            actor: waiting.key.to_string(),
            host: waiting.host.as_deref().unwrap_or(&node.host_id).to_owned(),
            instance: waiting.instance.0 as u64,
        });
        let waiting: Vec<WaitingActor> = waiting.collect();
        let Request { operation, payload } = request;
        let deadline = context.deadline;
        let trace = context.trace().map(|trace| TraceContext {
            parent: trace.context.to_string(),
            state: trace.state.as_ref().map(TraceState::to_string).unwrap_or_default(),
        });
        self.run(node.rpc.call(OutgoingCall { origin, target, operation, payload, deadline, waiting, trace }))
    }

    fn holder_of<'a>(&'a self, alias: &'a str, deadline: Instant) -> Remote<'a, Option<String>> {
        Box::pin(async move {
            let node = self.node()?;
            let alias = alias.to_owned();
            self.run(async move {
                let limit = tokio::time::Instant::from_std(deadline);
                let holder = tokio::time::timeout_at(limit, node.actors.holder_of(&node, &alias)).await;
                holder.unwrap_or_else(|_| {
                    let message = format!("the registry did not tell in time which actor is called {alias:?}");
                    Err(Error::new(ErrorKind::DeadlineExceeded, message))
                })
            })
            .await
        })
    }
}

/// A task that ends when its caller is dropped.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
