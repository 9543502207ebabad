//! What a name stands for, and whether the caller may use it.
//!
//! A name is a public key, then a contract that the caller is linked to, then a call alias, in this order. A name
//! that could be a contract is never read as an alias: no actor can put itself in the place of a capability.

use std::sync::Arc;

use tokio::sync::Notify;
use wasmcloud_core::call::CallContext;
use wasmcloud_core::entity::{KeyKind, WasmCloudEntity, is_key, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::dispatch::snapshot::{Condition, RunningActor, RunningProvider, Snapshot};
use crate::identity::{ActorIdentity, ProviderIdentity};
use crate::link::{Link, LinkState};

/// Where a call goes.
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

    /// Whether the same is absent.
    pub(super) fn is_same(&self, other: &Absence) -> bool {
        Arc::ptr_eq(&self.link, &other.link) && Arc::ptr_eq(&self.provider, &other.provider)
    }
}

impl Target<'_> {
    /// How others are told of it.
    pub(super) fn entity(&self) -> &WasmCloudEntity {
        match self {
            Target::Actor(actor) => &actor.identity.entity,
            Target::Provider(provider, _) => &provider.identity.entity,
        }
    }
}

/// What an actor calls when it names `namespace` under a link name, or what it has to wait for: a provider that is being
/// restarted, or the link to it.
///
/// # Errors
/// Why the call is refused.
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
        attested(origin, namespace)?;
        let (name, contract) = (shorten(link_name), shorten(namespace));
        let message = format!("{origin} has no link named {name:?} to {contract:?}: set one");
        return Err(Error::new(ErrorKind::NotLinked, message));
    }
    open_actor(snapshot, namespace).map(Target::Actor).map(Ok)
}

/// The revision of an actor that calls are judged by, where it is another one than that which makes the call. An actor that
/// is not there yet has none: its start makes the call.
pub(super) fn current_revision<'a>(snapshot: &'a Snapshot, origin: &ActorIdentity) -> Option<&'a ActorIdentity> {
    let current = &*snapshot.actors.get(&*origin.key)?.identity;
    (!std::ptr::eq(current, origin)).then_some(current)
}

/// The actor that a public key or call alias stands for, unless it is just being stopped.
pub(super) fn open_actor<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a RunningActor> {
    let actor = running_actor(snapshot, name)?;
    if actor.draining {
        return Err(Error::new(ErrorKind::ActorStopped, format!("{} is being stopped", actor.identity)));
    }
    Ok(actor)
}

/// The actor that a provider may call by this name.
pub(super) fn bound_actor<'a>(
    snapshot: &'a Snapshot,
    origin: &ProviderIdentity,
    name: &str,
) -> Result<&'a RunningActor> {
    let target = running_actor(snapshot, name)?;
    if !snapshot.is_bound(&target.identity.key, origin) {
        let message = format!("{origin} may not call {}: no link joins them", target.identity);
        return Err(Error::new(ErrorKind::NotLinked, message));
    }
    // A link may outlast the claims that it was established by, until its provider has let go of it.
    attested(&target.identity, &origin.contract_id)?;
    Ok(target)
}

/// The actor that a public key or call alias stands for, unless it has failed or is not trusted any more.
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
    let what = if is_key(name, KeyKind::Actor) { "actor" } else { "actor with the call alias" };
    Err(Error::new(ErrorKind::ActorNotFound, format!("no {what} {:?} runs here", shorten(name))))
}

/// Whether a name is that of a contract: by its form, or because a provider serves it.
pub(crate) fn names_contract(snapshot: &Snapshot, name: &str) -> bool {
    name.contains(':') || snapshot.contracts.contains_key(name)
}

/// Refuses a capability that the actor's signed claims do not include.
pub(crate) fn attested(actor: &ActorIdentity, contract: &str) -> Result<()> {
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
    attested(origin, &link.definition.contract_id)?;
    let Some(provider) = snapshot.provider_of(link) else { return Err(not_linked(origin, link, false)) };
    let identity = &provider.identity;
    identity.trust.expect_trusted()?;
    if let Condition::Failed(reason) = &provider.condition {
        let message = format!("{identity} has failed: {reason}; start it again to revive it");
        return Err(Error::new(ErrorKind::ChildFailed, message));
    }
    // What is to end before the provider is stopped may need it for that.
    if link.state.actor_may_call() && context.is_awaited_by_provider(provider.instance) {
        return Ok(Ok(Target::Provider(provider, link)));
    }
    if provider.is_closing {
        return Err(Error::new(ErrorKind::ProviderNotFound, format!("{identity} is being stopped")));
    }
    if provider.is_down || link.is_returning {
        return Ok(Err(Absence::of(provider, link)));
    }
    if link.state.actor_may_call() {
        return Ok(Ok(Target::Provider(provider, link)));
    }
    Err(not_linked(origin, link, true))
}

/// Why an actor's calls do not pass over a link.
fn not_linked(origin: &ActorIdentity, link: &Link, provider_runs: bool) -> Error {
    let definition = &link.definition;
    let (contract, name) = (&definition.contract_id, &definition.link_name);
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

/// Returns the error of a call to an actor that is not restarted any more.
pub(crate) fn failed(identity: &ActorIdentity, reason: &str) -> Error {
    Error::new(ErrorKind::ChildFailed, format!("{identity} has failed: {reason}; start it again to revive it"))
}
