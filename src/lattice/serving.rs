//! Calls from other hosts, which have passed the checks at the edge of the lattice.

use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use wasmcloud_claims::jwt::{self, CapabilityProvider, Claims};
use wasmcloud_core::call::{CallContext, Request, WaitingActor};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_lattice::rpc::{CallHandler, IncomingCall, Served};

use super::Node;
use crate::dispatch::{Dispatch, RemoteOrigin, RemoteOutcome, RemoteRequest};

/// Serves the calls of other hosts.
pub(super) struct Serving {
    dispatch: Dispatch,
    node: OnceLock<Weak<Node>>,
}

impl Serving {
    pub(super) fn new(dispatch: Dispatch) -> Arc<Serving> {
        Arc::new(Serving { dispatch, node: OnceLock::new() })
    }

    /// Sets the node, which has to exist before the first call is served.
    pub(super) fn serve_for(&self, node: &Arc<Node>) {
        // It is set once.
        let _ = self.node.set(Arc::downgrade(node));
    }

    async fn serve(&self, call: IncomingCall) -> Served {
        match self.prepare(call).await {
            Ok(request) => match self.dispatch.call_from_lattice(request).await {
                RemoteOutcome::Answered(answer) => Served::Answered(answer),
                RemoteOutcome::NotHere(refusal) => Served::NotHere(refusal),
            },
            Err(refusal) if refusal.kind() == ErrorKind::HostNotRunning => Served::NotHere(refusal),
            Err(refusal) => Served::Answered(Err(refusal)),
        }
    }

    /// Returns a call as the dispatch takes it, with the verified identity of its origin.
    async fn prepare(&self, call: IncomingCall) -> Result<RemoteRequest> {
        let node = self.node.get().and_then(Weak::upgrade);
        let node = node.ok_or_else(|| Error::new(ErrorKind::HostNotRunning, "the host is leaving the lattice"))?;
        let IncomingCall { host, origin, target, operation, payload, remaining, waiting, .. } = call;
        let own = self.dispatch.limits().call_deadline;
        let limit = remaining.map_or(own, |remaining| remaining.min(own));
        let origin = origin_of(&node, &host, origin, limit).await?;
        let waiting = waiting.into_iter().map(|waiting| WaitingActor {
            key: waiting.actor.into(),
            instance: InstanceNumber(usize::try_from(waiting.instance).unwrap_or(usize::MAX)),
            host: (*waiting.host != *node.host_id).then(|| waiting.host.into()),
        });
        let waiting: Vec<WaitingActor> = waiting.collect();
        let context = CallContext::resume(limit, waiting.into_iter());
        Ok(RemoteRequest { origin, target, request: Request { operation, payload }, context })
    }
}

impl CallHandler for Serving {
    fn serve(self: Arc<Self>, call: IncomingCall) -> Pin<Box<dyn Future<Output = Served> + Send>> {
        Box::pin(async move { Serving::serve(&self, call).await })
    }
}

/// Returns the caller, by its verified token if it is an actor.
async fn origin_of(node: &Arc<Node>, host: &str, origin: WasmCloudEntity, limit: Duration) -> Result<RemoteOrigin> {
    match origin {
        WasmCloudEntity::Host => Ok(RemoteOrigin::Host),
        WasmCloudEntity::Actor(key) => {
            let identity = tokio::time::timeout(limit, node.actors.identity(node, host, &key)).await;
            let late = |_| {
                let message = format!("the registry did not answer in time with the claims of actor {key}");
                Error::new(ErrorKind::DeadlineExceeded, message)
            };
            Ok(RemoteOrigin::Actor(identity.map_err(late)??))
        }
        WasmCloudEntity::Capability { id, contract_id, link_name } => {
            let claims = Arc::new(claims_of_provider(&id, &contract_id));
            Ok(RemoteOrigin::Provider { entity: WasmCloudEntity::Capability { id, contract_id, link_name }, claims })
        }
        _ => Err(Error::new(ErrorKind::LatticeRefused, "the caller is of a kind that this host does not know")),
    }
}

/// Returns claims of a provider on another host, for the authorizer. Its host has checked its token.
fn claims_of_provider(id: &str, contract_id: &str) -> Claims<CapabilityProvider> {
    jwt::CapabilityProvider { capid: contract_id.to_owned(), ..jwt::CapabilityProvider::default() }
        .claims(String::new(), id)
}
