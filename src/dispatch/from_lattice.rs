//! Calls from other hosts of the lattice, which have passed the checks at its edge. They are resolved and authorized like
//! calls of this host, and never sent on to a third host.

use std::sync::Arc;

use wasmcloud_claims::jwt::{CapabilityProvider, Claims};
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::entity::{WasmCloudEntity, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Dispatch;
use super::actor_call::{Lookup, Refused};
use super::authority::Approval;
use super::resolve::{self, Name};
use super::snapshot::{RunningActor, Snapshot};
use super::unserved::Unserved;
use crate::authorizer::Origin;
use crate::identity::ActorIdentity;
use crate::middleware::chain::Participants;
use crate::spans;

/// The caller on another host.
#[derive(Debug, Clone)]
pub(crate) enum RemoteOrigin {
    /// A host, on behalf of its embedder or of a control client.
    Host,
    /// An actor, by its verified token.
    Actor(Arc<ActorIdentity>),
    /// A provider. Its host vouches for its claims.
    Provider { entity: WasmCloudEntity, claims: Arc<Claims<CapabilityProvider>> },
}

/// A call from another host.
#[derive(Debug)]
pub(crate) struct RemoteRequest {
    pub(crate) origin: RemoteOrigin,
    pub(crate) target: WasmCloudEntity,
    pub(crate) request: Request,
    /// The chain of the call, with the calling actor.
    pub(crate) context: CallContext,
}

impl RemoteOrigin {
    fn entity(&self) -> &WasmCloudEntity {
        match self {
            RemoteOrigin::Host => &WasmCloudEntity::Host,
            RemoteOrigin::Actor(identity) => &identity.entity,
            RemoteOrigin::Provider { entity, .. } => entity,
        }
    }

    fn for_authorizer(&self) -> Origin<'_> {
        match self {
            RemoteOrigin::Host => Origin::Host,
            RemoteOrigin::Actor(identity) => Origin::Actor(&identity.claims),
            RemoteOrigin::Provider { claims, .. } => Origin::Provider(claims),
        }
    }
}

/// The outcome of a call from another host.
#[derive(Debug)]
pub(crate) enum RemoteOutcome {
    /// The call was executed, or failed in a way that it would elsewhere.
    Answered(Result<Vec<u8>>),
    /// The target does not run here. The call was not executed.
    NotHere(Error),
}

impl RemoteOutcome {
    /// Returns the outcome of a call that was not executed.
    fn refused(refusal: Error) -> RemoteOutcome {
        let is_absent = matches!(
            refusal.kind(),
            ErrorKind::ActorNotFound | ErrorKind::ActorStopped | ErrorKind::ChildFailed | ErrorKind::ProviderNotFound
        );
        if is_absent { RemoteOutcome::NotHere(refusal) } else { RemoteOutcome::Answered(Err(refusal)) }
    }
}

impl Dispatch {
    /// Serves a call from another host. Takes its request.
    pub(crate) async fn call_from_lattice(&self, call: &mut RemoteRequest) -> RemoteOutcome {
        let RemoteRequest { origin, target, request, context } = call;
        let request = std::mem::take(request);
        let (context, span) =
            spans::from_lattice(self.tracing(), context.clone(), origin.entity(), target, &request.operation);
        let outcome = self.serve_from_lattice(origin, target, request, &context).await;
        match &outcome {
            RemoteOutcome::Answered(answer) => span.end(answer),
            RemoteOutcome::NotHere(refusal) => span.end_with(Some(refusal)),
        }
        outcome
    }

    async fn serve_from_lattice(
        &self,
        origin: &RemoteOrigin,
        target: &WasmCloudEntity,
        request: Request,
        context: &CallContext,
    ) -> RemoteOutcome {
        let name = match (origin, target) {
            (RemoteOrigin::Actor(identity), WasmCloudEntity::Capability { contract_id, link_name, .. }) => {
                let name = Name { namespace: contract_id, link_name };
                if let Err(refusal) = self.expect_target(identity, target) {
                    self.count_unserved(Lookup { origin: identity, name }.unserved(Some(&request.operation)), &refusal);
                    return RemoteOutcome::Answered(Err(refusal));
                }
                name
            }
            (_, WasmCloudEntity::Actor(key)) => Name { namespace: key, link_name: "" },
            _ => {
                let message = format!("{} may not call {target}: only actors call providers", origin.entity());
                let refusal = Error::new(ErrorKind::NotLinked, message);
                self.count_unserved(Unserved::to_actor("", None), &refusal);
                return RemoteOutcome::Answered(Err(refusal));
            }
        };
        let served = match origin {
            RemoteOrigin::Actor(identity) => {
                let lookup = Lookup { origin: identity, name };
                self.call_here_from_actor(&lookup, request, context).await.map_err(|Refused { refusal, request }| {
                    self.count_if_refused(lookup.unserved(Some(&request.operation)), &refusal);
                    refusal
                })
            }
            _ => self.send_from_others(origin, name.namespace, request, context.clone()).await,
        };
        served.map_or_else(RemoteOutcome::refused, RemoteOutcome::Answered)
    }

    /// Checks that an actor's link leads to the provider that the call names.
    fn expect_target(&self, origin: &ActorIdentity, target: &WasmCloudEntity) -> Result<()> {
        let WasmCloudEntity::Capability { id, contract_id, link_name } = target else { return Ok(()) };
        let snapshot = self.0.snapshot.load();
        let link = snapshot.link(&origin.key, contract_id, link_name);
        if link.is_some_and(|link| link.definition.provider_id == *id) {
            return Ok(());
        }
        let name = shorten(link_name);
        let message = format!("{origin} has no link named {name:?} to {target} that is known here");
        Err(Error::new(ErrorKind::NotLinked, message))
    }

    /// Serves a call of a host or a provider. The outer error is that of a call that was not sent.
    async fn send_from_others(
        &self,
        origin: &RemoteOrigin,
        key: &str,
        request: Request,
        context: CallContext,
    ) -> Result<Result<Vec<u8>>> {
        let (context, guard) = context.cancellable();
        let mut middlewares = self.0.middlewares.begin_call();
        let mut approval = Approval::default();
        let sent = loop {
            let pending = {
                let snapshot = self.0.snapshot.load();
                let actor = target_for(&snapshot, origin, key).inspect_err(|refusal| {
                    self.count_if_refused(Unserved::to_actor(key, Some(&request.operation)), refusal);
                })?;
                let entity = &actor.identity.entity;
                let decided =
                    self.0.authority.decide_call(&approval, origin.for_authorizer(), entity, &request.operation);
                let count = |refusal: &Error| {
                    actor.instruments.count_unserved(Some(&request.operation), refusal.kind());
                };
                match decided.inspect_err(count)? {
                    Some(decision) => decision,
                    None => {
                        let participants = || Participants { origin: origin.entity().clone(), target: entity.clone() };
                        break middlewares
                            .enter(participants, request)
                            .inspect_err(|refusal| actor.instruments.count_unserved(None, refusal.kind()))
                            .and_then(|request| self.deliver(request, context, actor));
                    }
                }
            };
            let decided = Box::pin(self.0.authority.wait(pending, context.deadline)).await;
            approval = decided.inspect_err(|refusal| {
                self.count_unserved(Unserved::to_actor(key, Some(&request.operation)), refusal);
            })?;
        };
        let answer = self.await_answer(sent).await;
        guard.disarm();
        Ok(middlewares.leave(answer))
    }
}

/// Returns the actor that a host or a provider may call.
fn target_for<'a>(snapshot: &'a Snapshot, origin: &RemoteOrigin, key: &str) -> Result<&'a RunningActor> {
    match origin {
        RemoteOrigin::Provider { entity: WasmCloudEntity::Capability { id, contract_id, link_name }, .. } => {
            resolve::actor_bound_to(snapshot, id, contract_id, link_name, key)
        }
        _ => resolve::open_actor(snapshot, key),
    }
}
