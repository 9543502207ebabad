//! Calls from other hosts, which have passed the checks at the edge of the lattice.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use wasmcloud_claims::jwt::{self, CapabilityProvider, Claims};
use wasmcloud_core::call::{CallContext, Request, WaitingActor};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::trace::Trace;
use wasmcloud_lattice::rpc::{self, CallHandler, IncomingCall, Served};

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

    /// Returns the longest time that a call may take.
    fn limit(&self, call: &IncomingCall) -> Duration {
        let own = self.dispatch.limits().call_deadline;
        call.remaining.map_or(own, |remaining| remaining.min(own))
    }

    /// Executes a call of an origin whose identity is verified.
    async fn execute(&self, request: &mut RemoteRequest) -> Served {
        match self.dispatch.call_from_lattice(request).await {
            RemoteOutcome::Answered(answer) => Served::Answered(answer),
            RemoteOutcome::NotHere(refusal) => Served::NotHere(refusal),
        }
    }

    /// Executes a call of an actor whose identity has to be requested from the registry.
    async fn execute_for_actor(&self, node: &Arc<Node>, call: IncomingCall, key: &str) -> Served {
        let limit = self.limit(&call);
        let identity = tokio::time::timeout(limit, node.actors.identity(node, &call.host, key)).await;
        let late = |_| {
            let message = format!("the registry did not answer in time with the claims of actor {key}");
            Error::new(ErrorKind::DeadlineExceeded, message)
        };
        match identity.map_err(late) {
            Ok(Ok(identity)) => self.execute(&mut request(node, call, RemoteOrigin::Actor(identity), limit)).await,
            Ok(Err(refusal)) | Err(refusal) => Served::Answered(Err(refusal)),
        }
    }
}

impl CallHandler for Serving {
    fn serve(self: Arc<Self>, mut call: IncomingCall) -> rpc::Serving {
        let Some(node) = self.node.get().and_then(Weak::upgrade) else {
            let refusal = Error::new(ErrorKind::HostNotRunning, "the host is leaving the lattice");
            return Box::pin(std::future::ready(Served::NotHere(refusal)));
        };
        let origin = match std::mem::replace(&mut call.origin, WasmCloudEntity::Host) {
            WasmCloudEntity::Host => RemoteOrigin::Host,
            WasmCloudEntity::Actor(key) => match node.actors.known_identity(&node, &key) {
                Some(identity) => RemoteOrigin::Actor(identity),
                None => return Box::pin(async move { self.execute_for_actor(&node, call, &key).await }),
            },
            WasmCloudEntity::Capability { id, contract_id, link_name } => {
                let claims = Arc::new(claims_of_provider(&id, &contract_id));
                RemoteOrigin::Provider { entity: WasmCloudEntity::Capability { id, contract_id, link_name }, claims }
            }
            _ => {
                let message = "the caller is of a kind that this host does not know";
                let refusal = Error::new(ErrorKind::LatticeRefused, message);
                return Box::pin(std::future::ready(Served::Answered(Err(refusal))));
            }
        };
        let limit = self.limit(&call);
        let mut request = request(&node, call, origin, limit);
        Box::pin(async move { self.execute(&mut request).await })
    }
}

/// Returns a call as the dispatch takes it.
fn request(node: &Node, call: IncomingCall, origin: RemoteOrigin, limit: Duration) -> RemoteRequest {
    let IncomingCall { target, operation, payload, waiting, trace, .. } = call;
    let waiting = waiting.into_iter().map(|waiting| WaitingActor {
        key: waiting.actor.into(),
        instance: InstanceNumber(usize::try_from(waiting.instance).unwrap_or(usize::MAX)),
        host: (*waiting.host != *node.host_id).then(|| waiting.host.into()),
    });
    let waiting: Vec<WaitingActor> = waiting.collect();
    let context = CallContext::resume(limit, waiting.into_iter());
    let trace = trace.and_then(|trace| Trace::from_headers(&trace.parent, Some(&trace.state)));
    let context = match trace {
        Some(trace) => context.with_trace(trace),
        None => context,
    };
    RemoteRequest { origin, target, request: Request { operation, payload }, context }
}

/// Returns claims of a provider on another host, for the authorizer. Its host has checked its token.
fn claims_of_provider(id: &str, contract_id: &str) -> Claims<CapabilityProvider> {
    jwt::CapabilityProvider { capid: contract_id.to_owned(), ..jwt::CapabilityProvider::default() }
        .claims(String::new(), id)
}
