//! Resolution of names, and the rules by which the caller may use the target.
//!
//! A name is first read as a public key, then as a contract that the caller is linked to, then as a call alias. A name that
//! could be a contract is never read as an alias, so no actor can take the place of a capability.

use std::sync::Arc;

use tokio::sync::Notify;
use wasmcloud_core::call::CallContext;
use wasmcloud_core::entity::{WasmCloudEntity, has_form_of_actor_key, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::dispatch::snapshot::{Condition, RunningActor, RunningProvider, Snapshot};
use crate::identity::{ActorIdentity, ProviderIdentity};
use crate::instruments::EntityInstruments;
use crate::link::{Link, LinkState};

/// The target of a call.
pub(super) enum Target<'a> {
    Actor(&'a RunningActor),
    Provider(&'a RunningProvider, &'a Link),
}

/// The name that an actor calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) namespace: &'a str,
    pub(super) link_name: &'a str,
}

/// Notifies that a provider, or a link to it, is back.
pub(super) struct Absence {
    pub(super) link: Arc<Notify>,
    pub(super) provider: Arc<Notify>,
}

impl Absence {
    pub(super) fn of(provider: &RunningProvider, link: &Link) -> Absence {
        Absence { link: link.changed.clone(), provider: provider.changed.clone() }
    }

    /// Returns whether the same provider and link are absent.
    pub(super) fn is_same(&self, other: &Absence) -> bool {
        Arc::ptr_eq(&self.link, &other.link) && Arc::ptr_eq(&self.provider, &other.provider)
    }
}

impl Target<'_> {
    /// Returns the target's instruments.
    pub(super) fn instruments(&self) -> &EntityInstruments {
        match self {
            Target::Actor(actor) => &actor.instruments,
            Target::Provider(provider, _) => &provider.instruments,
        }
    }

    /// Returns the target's name in events, errors and on the wire.
    pub(super) fn entity(&self) -> &WasmCloudEntity {
        match self {
            Target::Actor(actor) => &actor.identity.entity,
            Target::Provider(provider, _) => &provider.identity.entity,
        }
    }
}

/// Returns the target that an actor calls by a name, or what the call has to wait for: a provider that is being restarted,
/// or the link to it.
///
/// # Errors
/// The reason why the call is refused.
pub(super) fn target_of<'a>(
    snapshot: &'a Snapshot,
    origin: &ActorIdentity,
    Name { namespace, link_name }: Name<'_>,
    context: &CallContext,
) -> Result<Result<Target<'a>, Absence>> {
    if snapshot.actors.contains_key(namespace) {
        return open_actor(snapshot, namespace).map(Target::Actor).map(Ok);
    }
    if let Some(link) = snapshot.link(&origin.key, namespace, link_name) {
        return linked_provider(snapshot, origin, link, context);
    }
    if names_contract(snapshot, namespace) || origin.capabilities.contains(namespace) {
        expect_capability(origin, namespace)?;
        let (name, contract) = (shorten(link_name), shorten(namespace));
        let message = format!("{origin} has no link named {name:?} to {contract:?}: set one");
        return Err(Error::new(ErrorKind::NotLinked, message));
    }
    open_actor(snapshot, namespace).map(Target::Actor).map(Ok)
}

/// Returns the actor's current revision, if it differs from the one that makes the call. Calls are authorized by the
/// current revision. `None` if the actor's start makes the call, before the actor runs.
pub(super) fn current_revision<'a>(snapshot: &'a Snapshot, origin: &ActorIdentity) -> Option<&'a ActorIdentity> {
    let current = &*snapshot.actors.get(&*origin.key)?.identity;
    (!std::ptr::eq(current, origin)).then_some(current)
}

/// Returns the actor that a public key or call alias stands for, unless it is being stopped.
pub(super) fn open_actor<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a RunningActor> {
    let actor = running_actor(snapshot, name)?;
    if actor.draining {
        return Err(Error::new(ErrorKind::ActorStopped, format!("{} is being stopped", actor.identity)));
    }
    Ok(actor)
}

/// Returns the actor that a provider may call by this name.
pub(super) fn bound_actor<'a>(
    snapshot: &'a Snapshot,
    origin: &ProviderIdentity,
    name: &str,
) -> Result<&'a RunningActor> {
    let target = running_actor(snapshot, name)?;
    if !snapshot.is_bound(&target.identity.key, origin) {
        let message = format!("{origin} may not call {}: they are not linked", target.identity);
        return Err(Error::new(ErrorKind::NotLinked, message));
    }
    // A link may outlast the claims that it was established by, until its provider has released it.
    expect_capability(&target.identity, &origin.contract_id)?;
    Ok(target)
}

/// Checks that a provider may call an actor that runs on another host.
///
/// # Errors
/// `NotLinked`, `CapabilityDenied`, or the reason why the actor is not trusted.
pub(super) fn expect_bound_elsewhere(snapshot: &Snapshot, origin: &ProviderIdentity, actor: &str) -> Result<()> {
    let target = snapshot.remote_actors.get(actor).filter(|_| snapshot.is_bound(actor, origin));
    let target = target.ok_or_else(|| {
        let message = format!("{origin} may not call actor {}: they are not linked", shorten(actor));
        Error::new(ErrorKind::NotLinked, message)
    })?;
    target.trust.expect_trusted()?;
    expect_capability(target, &origin.contract_id)
}

/// Returns the actor that a provider on another host may call by its key.
#[cfg(feature = "lattice")]
pub(super) fn actor_bound_to<'a>(
    snapshot: &'a Snapshot,
    provider_id: &str,
    contract_id: &str,
    link_name: &str,
    actor: &str,
) -> Result<&'a RunningActor> {
    let target = running_actor(snapshot, actor)?;
    let link = snapshot.link(&target.identity.key, contract_id, link_name);
    if link.is_none_or(|link| link.definition.provider_id != provider_id) {
        let message =
            format!("provider {} may not call {}: they are not linked", shorten(provider_id), target.identity);
        return Err(Error::new(ErrorKind::NotLinked, message));
    }
    expect_capability(&target.identity, contract_id)?;
    Ok(target)
}

/// Returns the actor that a public key or call alias stands for, unless it has failed or lost trust.
pub(super) fn running_actor<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a RunningActor> {
    let by_alias = || snapshot.aliases.get(name).and_then(|holder| snapshot.actors.get(holder));
    if let Some(actor) = snapshot.actors.get(name).or_else(by_alias) {
        actor.identity.trust.expect_trusted()?;
        return match &actor.condition {
            Condition::Failed(reason) => Err(failed(&actor.identity, reason)),
            Condition::Running | Condition::Restarting(_) => Ok(actor),
        };
    }
    if !snapshot.running {
        return Err(Error::new(ErrorKind::HostNotRunning, "the host does not run"));
    }
    if snapshot.stopped.contains(name) {
        return Err(Error::new(ErrorKind::ActorStopped, format!("actor {name} was stopped")));
    }
    // Each call to another host begins with this refusal. A key needs no escapes.
    let message = if has_form_of_actor_key(name) {
        ["no actor \"", name, "\" runs here"].concat()
    } else {
        format!("no actor with the call alias {:?} runs here", shorten(name))
    };
    Err(Error::new(ErrorKind::ActorNotFound, message))
}

/// Returns whether a name is that of a contract: by its form, or because a provider serves it.
pub(crate) fn names_contract(snapshot: &Snapshot, name: &str) -> bool {
    name.contains(':') || snapshot.contracts.contains_key(name)
}

/// Checks that an actor's signed claims include a capability.
///
/// # Errors
/// `CapabilityDenied`.
pub(crate) fn expect_capability(actor: &ActorIdentity, contract: &str) -> Result<()> {
    if actor.capabilities.contains(contract) {
        return Ok(());
    }
    let message = format!("{actor} may not use {:?}: its signed claims do not include it", shorten(contract));
    Err(Error::new(ErrorKind::CapabilityDenied, message))
}

fn linked_provider<'a>(
    snapshot: &'a Snapshot,
    origin: &ActorIdentity,
    link: &'a Link,
    context: &CallContext,
) -> Result<Result<Target<'a>, Absence>> {
    expect_capability(origin, &link.definition.contract_id)?;
    let Some(provider) = snapshot.provider_of(link) else { return Err(not_linked(origin, link, false)) };
    let identity = &provider.identity;
    identity.trust.expect_trusted()?;
    if let Condition::Failed(reason) = &provider.condition {
        let message = format!("{identity} has failed: {reason}; start it again to revive it");
        return Err(Error::new(ErrorKind::ChildFailed, message));
    }
    // Calls that the provider waits for before it stops may need it.
    if link.state.actor_may_call() && context.is_awaited_by_provider(provider.instance) {
        return Ok(Ok(Target::Provider(provider, link)));
    }
    if provider.is_closing {
        return Err(Error::new(ErrorKind::ProviderNotFound, format!("{identity} is being stopped")));
    }
    if provider.is_down || link.awaits_restart {
        return Ok(Err(Absence::of(provider, link)));
    }
    if link.state.actor_may_call() {
        return Ok(Ok(Target::Provider(provider, link)));
    }
    Err(not_linked(origin, link, true))
}

/// Returns the reason why an actor's calls do not pass over a link.
fn not_linked(origin: &ActorIdentity, link: &Link, provider_runs: bool) -> Error {
    let definition = &link.definition;
    let contract = &definition.contract_id;
    let name = &definition.link_name;
    match &link.state {
        LinkState::Refused(reason) => {
            let message = format!("the link {name} of {origin} to {contract} could not be established: {reason}");
            Error::new(ErrorKind::NotLinked, message)
        }
        LinkState::Establishing => {
            let message = format!("the link {name} of {origin} to {contract} is still being established");
            Error::new(ErrorKind::NotLinked, message)
        }
        LinkState::Pending | LinkState::Established if !provider_runs => {
            let message = format!("provider {} for {contract} does not run", definition.provider_id);
            Error::new(ErrorKind::ProviderNotFound, message)
        }
        LinkState::Pending | LinkState::Established | LinkState::Releasing => {
            let message = format!("the link {name} of {origin} to {contract} has been released");
            Error::new(ErrorKind::NotLinked, message)
        }
    }
}

/// Returns the error of a call to an actor that has failed.
pub(crate) fn failed(identity: &ActorIdentity, reason: &str) -> Error {
    Error::new(ErrorKind::ChildFailed, format!("{identity} has failed: {reason}; start it again to revive it"))
}
