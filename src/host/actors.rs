//! Starts, changes, calls and stops of actors.

use std::num::NonZeroUsize;

use wasmcloud_claims::Actor;
use wasmcloud_core::error::Result;

use super::Host;
#[cfg(doc)]
use super::HostBuilder;
use crate::supervisor::Command;
use crate::supervisor::placement::ActorOptions;
#[cfg(doc)]
use wasmcloud_claims::TrustPolicy;

impl Host {
    /// Starts an actor. When this answers `Ok`, it can be called, and the links that waited for it have been
    /// established or refused (see [`Host::link_state`]).
    ///
    /// # Errors
    /// `TokenExpired` or `TokenNotYetValid`; `Untrusted` or `Revoked` by the [`TrustPolicy`]; `Unauthorized`, or
    /// `DeadlineExceeded` where the authorizer takes too long; `ActorAlreadyRunning`; `AliasTaken`; `InvalidModule` where the module
    /// does not compile, is no waPC guest, or asks for more than its limits allow; `Busy` where the host has no room for
    /// another actor; `ActorTrapped`, `StackExhausted`, `ProtocolViolation` or `DeadlineExceeded` where its start functions
    /// fail; `HostNotRunning`.
    pub async fn start_actor(&self, actor: Actor) -> Result<()> {
        self.start_actor_with(actor, ActorOptions::default()).await
    }

    /// Starts an actor with options.
    ///
    /// # Errors
    /// Those of [`Host::start_actor`].
    pub async fn start_actor_with(&self, actor: Actor, options: ActorOptions) -> Result<()> {
        let near = self.running()?.shards.current_or_next();
        let options = options.with_default_restart(self.0.configuration.restart);
        self.ask(Command::StartActor { actor, options, near }).await
    }

    /// Has an actor run another revision of its code, while it is called: calls that have reached the old one are finished
    /// there, later ones go to the new one, and none fails for the update. What takes longer than the period of grace is
    /// ended. New calls by and to the actor are judged by the new claims at once. The module must be signed for the same actor
    /// by the same account, with a higher revision and, unless
    /// [`HostBuilder::disable_strict_update_check`] says otherwise, the same capabilities. `new_reference` is where the module came from,
    /// if it came from a registry.
    ///
    /// # Errors
    /// Whatever it is, the actor runs on as before. Those of [`Actor::from_slice`]; `UpdateRefused` where the module does not
    /// fit or updates are not enabled; `ActorNotFound`, `ActorStopped`; `Busy` where it is just being changed;
    /// `AliasTaken`; and those of [`Host::start_actor`] where the new one cannot be made.
    pub async fn update_actor(&self, actor: &str, _new_reference: Option<String>, module: &[u8]) -> Result<()> {
        let actor_module = Actor::from_slice(module)?;
        self.ask(Command::UpdateActor { key: actor.to_owned(), actor: actor_module }).await
    }

    /// Gives an actor another number of instances, at least one. No call is lost: instances that are too many finish what
    /// has reached them. What takes longer than the period of grace ([`HostBuilder::with_stop_grace`]) is ended. The actor
    /// keeps its call alias, or goes on without one.
    ///
    /// # Errors
    /// `ActorNotFound`, `ActorStopped`; `Busy` where it is just being changed, where the host has no room for more, or where
    /// it would have more than an actor may ([`ActorOptions::instances`]); and those of [`Host::start_actor`] where an instance cannot be made. After an error the number is as before.
    pub async fn scale_actor(&self, actor: &str, instances: usize) -> Result<()> {
        let instances = NonZeroUsize::new(instances).unwrap_or(NonZeroUsize::MIN);
        self.ask(Command::ScaleActor { key: actor.to_owned(), instances }).await
    }

    /// Stops an actor, by its public key. From now on it takes no new calls; its providers finish what they are working
    /// on for it, and it serves what has reached it; then its links are released. They remain known, for its next
    /// start. What takes longer than the period of grace ([`HostBuilder::with_stop_grace`]) is ended, and its callers are
    /// told so. An update, scaling or restart that is under way is waited for.
    ///
    /// # Errors
    /// `ActorNotFound`, `ActorStopped`, `HostNotRunning`; `Busy` where it is just being started; `DeadlineExceeded` where it
    /// could not be ended: it is gone for everybody, but an instance is left behind.
    pub async fn stop_actor(&self, actor: &str) -> Result<()> {
        self.ask(Command::StopActor { key: actor.to_owned() }).await
    }

    /// Calls an actor, by public key or call alias, and waits for its answer. May be called from any thread; on the
    /// actor's own shard it is fastest.
    ///
    /// # Errors
    /// `ActorNotFound`, `ActorStopped`, `HostNotRunning`; `TokenExpired`, `Untrusted` or `Revoked` where the actor is not
    /// trusted any more; `Unauthorized`; `UnknownOperation` or `ActorFailed` where the actor answers
    /// with an error; `ActorTrapped`, `StackExhausted`, `ProtocolViolation`, `DeadlineExceeded`; `Busy` where the actor or
    /// the host has too much to do, `MessageTooLarge` where a message exceeds its limit; `ChildFailed` where the actor crashed
    /// more often than its policy allows; `MiddlewareRefused`, `MiddlewarePanicked`.
    pub async fn call_actor(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>> {
        self.0.dispatch.call_from_host(actor, operation, message).await
    }
}
