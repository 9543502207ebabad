//! How a call gets to its target: resolve, authorize, show to the middlewares, send to the mailbox.
//!
//! Every call in a host passes here, whoever makes it. Each reads the supervisor's snapshot once, without a lock,
//! and its cost does not depend on how many actors, links or claims there are.

pub(crate) mod resolve;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use actix::MailboxError;
use arc_swap::ArcSwap;
use futures_util::future::Either;

use crate::actor::mailbox::{Bounded, InstanceNumber, Mailbox};
use crate::call::{ActorCall, CallContext};
use crate::capability::provider_actor::ProviderCall;
use crate::engine::Mappings;
use crate::entity::{WasmCloudEntity, link_name, shorten};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::middleware::chain::Chain;
use crate::supervisor::snapshot::{ActorIdentity, ProviderIdentity, RunningActor, Snapshot};
use resolve::Target;

/// The way into every mailbox of a host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Shared>);

struct Shared {
    /// What the supervisor published last.
    snapshot: ArcSwap<Snapshot>,
    limits: Limits,
    middlewares: Chain,
    /// How many calls to actors are under way.
    in_flight: Arc<AtomicUsize>,
    mappings: Mappings,
}

impl Dispatch {
    pub(crate) fn new(limits: Limits, middlewares: Chain) -> Dispatch {
        let (snapshot, in_flight) = Default::default();
        let mappings = Mappings::new(limits.mappings);
        Dispatch(Arc::new(Shared { snapshot, limits, middlewares, in_flight, mappings }))
    }

    /// What guests and calls may use, unless an actor has limits of its own.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The bound on calls under way in the host, for the mailboxes of its actors.
    pub(crate) fn in_flight(&self) -> Bounded {
        Bounded { taken: self.0.in_flight.clone(), limit: self.0.limits.calls_in_flight }
    }

    /// The mappings of the process that the host's guests may hold.
    pub(crate) fn mappings(&self) -> Mappings {
        self.0.mappings.clone()
    }

    /// Puts a snapshot in force, for calls that begin from now on.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.0.snapshot.store(Arc::new(snapshot));
    }

    /// What is in force now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// The context of a call that begins a chain now.
    pub(crate) fn begin(&self) -> CallContext {
        CallContext::begin(self.0.limits.call_deadline)
    }

    /// A call from the embedder to an actor, by public key or call alias.
    pub(crate) async fn call_from_host(&self, target: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>> {
        // In all three kinds of call the snapshot is let go before the answer is awaited.
        let (context, attendance) = self.begin().attended();
        let mut passage = self.0.middlewares.passage();
        let sent = {
            let snapshot = self.0.snapshot.load();
            let actor = resolve::open_actor(&snapshot, target)?;
            let ends = || (WasmCloudEntity::Host, actor.identity.entity());
            passage
                .enter(ends, operation.to_owned(), message.to_vec())
                .and_then(|(operation, message)| instance_for(&context, actor)?.deliver(operation, message, context))
        };
        let answer = async { sent?.await.map_err(|error| actor_is_gone(target, &error))? }.await;
        attendance.end();
        passage.leave(answer)
    }

    /// A call from an actor: to another actor or, over a link, to a provider.
    pub(crate) async fn call_from_actor(
        &self,
        (origin, instance): (&ActorIdentity, InstanceNumber),
        context: CallContext,
        call: ActorCall,
    ) -> Result<Vec<u8>> {
        let ActorCall { binding, namespace, operation, message } = call;
        let context = context.through(&origin.key, instance);
        self.refuse_depth(&context)?;
        let mut passage = self.0.middlewares.passage();
        let sent = {
            let snapshot = self.0.snapshot.load();
            let target = resolve::target_of(&snapshot, origin, &namespace, link_name(Some(&binding)))?;
            let ends = || (origin.entity(), target.entity());
            passage.enter(ends, operation, message).and_then(|(operation, message)| match target {
                Target::Actor(actor) => {
                    instance_for(&context, actor)?.deliver(operation, message, context).map(Either::Left)
                }
                Target::Provider(provider) => {
                    let actor = origin.key.clone();
                    Ok(Either::Right(provider.address.send(ProviderCall { actor, operation, message, context })))
                }
            })
        };
        let answer = async {
            match sent? {
                Either::Left(actor) => actor.await.map_err(|error| actor_is_gone(&namespace, &error))?,
                Either::Right(provider) => provider.await.map_err(|error| provider_is_gone(&namespace, &error))?,
            }
        };
        passage.leave(answer.await)
    }

    /// A call from a provider to an actor that is linked to it.
    pub(crate) async fn call_from_provider(
        &self,
        origin: &ProviderIdentity,
        context: CallContext,
        actor: &str,
        operation: String,
        message: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let (context, attendance) = context.attended();
        let mut passage = self.0.middlewares.passage();
        let sent = {
            let snapshot = self.0.snapshot.load();
            let target = resolve::running_actor(&snapshot, actor)?;
            if !snapshot.is_bound(&target.identity.key, origin) {
                let message = format!("{origin} may not call {}: no link joins them", target.identity);
                return Err(Error::new(ErrorKind::NotLinked, message));
            }
            let ends = || (origin.entity(), target.identity.entity());
            passage
                .enter(ends, operation, message)
                .and_then(|(operation, message)| instance_for(&context, target)?.deliver(operation, message, context))
        };
        let answer = async { sent?.await.map_err(|error| actor_is_gone(actor, &error))? }.await;
        attendance.end();
        passage.leave(answer)
    }
}

impl Dispatch {
    /// Refuses a call that has passed through too many actors.
    fn refuse_depth(&self, context: &CallContext) -> Result<()> {
        let limit = self.0.limits.chain_depth;
        if context.depth() <= limit {
            return Ok(());
        }
        let message = format!("the call has passed through {} actors, {limit} are allowed", context.depth());
        Err(Error::new(ErrorKind::ChainTooDeep, message))
    }
}

/// The instance that a call is to go to.
///
/// # Errors
/// `CallCycle` where all instances wait for this very call: it could never be answered.
fn instance_for<'a>(context: &CallContext, target: &'a RunningActor) -> Result<&'a Mailbox> {
    let key = &target.identity.key;
    target.instances.choose(|instance| !context.waits(key, instance)).ok_or_else(|| {
        let way = context.cycle_through(key).unwrap_or_default();
        Error::new(ErrorKind::CallCycle, format!("{} waits for this call already: {way}", target.identity))
    })
}

/// The mailbox was there when the call was resolved and closed before it was answered.
fn actor_is_gone(name: &str, error: &MailboxError) -> Error {
    let message = format!("actor {:?} was stopped before it answered: {error}", shorten(name));
    Error::new(ErrorKind::ActorStopped, message)
}

fn provider_is_gone(contract: &str, error: &MailboxError) -> Error {
    let message = format!("the provider for {:?} was stopped before it answered: {error}", shorten(contract));
    Error::new(ErrorKind::ProviderNotFound, message)
}
