//! Calls to other hosts of the lattice: for targets that do not run on this one.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::entity::{WasmCloudEntity, has_form_of_actor_key};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::actor_call::Lookup;
use super::resolve::{self, names_contract};
use super::snapshot::Snapshot;
use super::unserved::Unserved;
use super::{CallingProvider, Dispatch};
use crate::authorizer::Origin;
use crate::middleware::chain::Participants;
use crate::spans;

/// A future of the lattice.
pub(crate) type Remote<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The other hosts of the lattice.
pub(crate) trait RemoteHosts: Send + Sync {
    /// Calls an actor or provider that another host runs.
    ///
    /// # Errors
    /// `ActorNotFound` or `ProviderNotFound` if no host runs it; `LatticeUnavailable`; `OutcomeUnknown`; the error of the call.
    fn call(&self, call: RemoteCall) -> Remote<'_, Vec<u8>>;

    /// Returns the actor that holds a call alias in the lattice.
    fn holder_of<'a>(&'a self, alias: &'a str, deadline: Instant) -> Remote<'a, Option<String>>;
}

/// A call that another host serves.
#[cfg_attr(not(feature = "lattice"), expect(dead_code, reason = "other hosts are known by a lattice alone"))]
#[derive(Debug)]
pub(crate) struct RemoteCall {
    pub(crate) origin: WasmCloudEntity,
    pub(crate) target: WasmCloudEntity,
    pub(crate) request: Request,
    pub(crate) context: CallContext,
}

/// The caller of a target that does not run on this host.
#[derive(Debug, Clone, Copy)]
struct Caller<'a> {
    entity: &'a WasmCloudEntity,
    origin: Origin<'a>,
    /// The call, as it is counted if it is not served. Its operation is left out.
    call: Unserved<'a>,
}

/// What may be called on another host.
struct Found<'a> {
    hosts: &'a dyn RemoteHosts,
    target: WasmCloudEntity,
    /// Why this host does not serve the call.
    refusal: Error,
}

/// What a name may stand for on another host.
enum Elsewhere {
    Entity(WasmCloudEntity),
    /// A call alias, perhaps.
    Alias(String),
}

impl Dispatch {
    /// Calls another host for the embedder, after this host refused the call.
    pub(super) async fn call_elsewhere_from_host(
        &self,
        name: &str,
        refusal: Error,
        request: Request,
        context: CallContext,
    ) -> Result<Vec<u8>> {
        let elsewhere = actor_elsewhere(&self.0.snapshot.load(), name, &refusal);
        let caller =
            Caller { entity: &WasmCloudEntity::Host, origin: Origin::Host, call: Unserved::to_actor(name, None) };
        self.call_elsewhere(caller, elsewhere, refusal, request, context).await
    }

    /// Calls another host for a provider, after this host refused the call.
    pub(super) async fn call_elsewhere_from_provider(
        &self,
        provider: CallingProvider<'_>,
        name: &str,
        refusal: Error,
        request: Request,
        context: CallContext,
    ) -> Result<Vec<u8>> {
        let call = Unserved::to_actor(name, None);
        let elsewhere = {
            let snapshot = self.0.snapshot.load();
            match actor_elsewhere(&snapshot, name, &refusal) {
                Some(Elsewhere::Entity(entity)) if snapshot.remote_actors.contains_key(name) => {
                    resolve::expect_bound_elsewhere(&snapshot, provider.identity, name)
                        .inspect_err(|refusal| self.count_unserved(call.of(&request.operation), refusal))?;
                    Some(Elsewhere::Entity(entity))
                }
                // No other host is known to run it. Links name actors by their keys.
                _ => None,
            }
        };
        let origin = Origin::Provider(&provider.identity.claims);
        let caller = Caller { entity: &provider.identity.entity, origin, call };
        self.call_elsewhere(caller, elsewhere, refusal, request, context).await
    }

    /// Calls another host for an actor, after this host refused the call.
    pub(super) async fn call_elsewhere_from_actor(
        &self,
        lookup: &Lookup<'_>,
        refusal: Error,
        request: Request,
        context: CallContext,
    ) -> Result<Vec<u8>> {
        let elsewhere = {
            let snapshot = self.0.snapshot.load();
            let namespace = lookup.name.namespace;
            match snapshot.link(&lookup.origin.key, namespace, lookup.name.link_name) {
                Some(link) => provider_elsewhere(link, &refusal),
                None => actor_elsewhere(&snapshot, namespace, &refusal),
            }
        };
        let origin = Origin::Actor(&lookup.origin.claims);
        let caller = Caller { entity: &lookup.origin.entity, origin, call: lookup.unserved(None) };
        self.call_elsewhere(caller, elsewhere, refusal, request, context).await
    }

    /// Calls another host. Counts the call unless another host has answered it, and counts it by that.
    async fn call_elsewhere(
        &self,
        caller: Caller<'_>,
        elsewhere: Option<Elsewhere>,
        refusal: Error,
        request: Request,
        context: CallContext,
    ) -> Result<Vec<u8>> {
        let refused = refusal.kind();
        let found = self.expect_elsewhere(caller, elsewhere, refusal, &request, &context).await;
        let Found { hosts, target, refusal } = found.inspect_err(|error| {
            self.count_unserved(caller.call.of(&request.operation), error);
        })?;
        let mut middlewares = self.0.middlewares.begin_call();
        let participants = || Participants { origin: caller.entity.clone(), target: target.clone() };
        let answer = match middlewares.enter(participants, request) {
            Ok(request) => self.ask(hosts, caller.entity, target, request, context).await,
            Err(refusal) => {
                self.count_unserved(caller.call, &refusal);
                return middlewares.leave(Err(refusal));
            }
        };
        // That it runs nowhere else says less than the reason why it does not run here.
        let is_nowhere = |kind| matches!(kind, ErrorKind::ActorNotFound | ErrorKind::ProviderNotFound);
        let says_less = |kind| is_nowhere(kind) || kind == ErrorKind::LatticeUnavailable;
        let answer = match answer {
            Err(error) if says_less(error.kind()) && !is_nowhere(refused) => Err(refusal),
            answer => answer,
        };
        let is_unserved = |kind| matches!(kind, ErrorKind::LatticeUnavailable | ErrorKind::OutcomeUnknown);
        if let Err(error) = &answer
            && (error.kind() == refused || is_unserved(error.kind()))
        {
            self.count_unserved(caller.call, error);
        }
        middlewares.leave(answer)
    }

    /// Returns what is called on another host.
    ///
    /// # Errors
    /// The call has not been sent: the refusal of this host if no other one could serve it, or that of the authorizer.
    async fn expect_elsewhere(
        &self,
        caller: Caller<'_>,
        elsewhere: Option<Elsewhere>,
        refusal: Error,
        request: &Request,
        context: &CallContext,
    ) -> Result<Found<'_>> {
        let (Some(hosts), Some(elsewhere)) = (self.0.remote_hosts.get(), elsewhere) else { return Err(refusal) };
        let target = match elsewhere {
            Elsewhere::Entity(entity) => entity,
            Elsewhere::Alias(alias) => match hosts.holder_of(&alias, context.deadline).await? {
                Some(key) => WasmCloudEntity::Actor(key),
                None => return Err(refusal),
            },
        };
        self.0.authority.authorize_call(caller.origin, &target, &request.operation, context.deadline).await?;
        Ok(Found { hosts: &**hosts, target, refusal })
    }

    async fn ask(
        &self,
        hosts: &dyn RemoteHosts,
        origin: &WasmCloudEntity,
        target: WasmCloudEntity,
        request: Request,
        context: CallContext,
    ) -> Result<Vec<u8>> {
        let (context, span) = spans::to_lattice(self.tracing(), context, &target, &request.operation);
        let answer = hosts.call(RemoteCall { origin: origin.clone(), target, request, context }).await;
        span.end(&answer);
        answer
    }
}

/// Returns the provider that serves a link on another host, if this host refused a call over it for its absence.
fn provider_elsewhere(link: &crate::link::Link, refusal: &Error) -> Option<Elsewhere> {
    let is_absent = matches!(refusal.kind(), ErrorKind::ProviderNotFound | ErrorKind::ChildFailed);
    is_absent.then(|| {
        let definition = &link.definition;
        Elsewhere::Entity(WasmCloudEntity::Capability {
            id: definition.provider_id.clone(),
            contract_id: definition.contract_id.clone(),
            link_name: definition.link_name.clone(),
        })
    })
}

/// Returns the actor of this name on another host, if this host refused a call to it for its absence.
fn actor_elsewhere(snapshot: &Snapshot, name: &str, refusal: &Error) -> Option<Elsewhere> {
    let is_absent =
        matches!(refusal.kind(), ErrorKind::ActorNotFound | ErrorKind::ActorStopped | ErrorKind::ChildFailed);
    if !is_absent {
        return None;
    }
    if has_form_of_actor_key(name) {
        return Some(Elsewhere::Entity(WasmCloudEntity::Actor(name.to_owned())));
    }
    let is_alias = !names_contract(snapshot, name) && refusal.kind() == ErrorKind::ActorNotFound;
    is_alias.then(|| Elsewhere::Alias(name.to_owned()))
}
