//! Starts, changes, calls and stops of actors.

use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmcloud_claims::Actor;
use wasmcloud_core::error::Result;
use wasmcloud_core::identity::Image;

use super::Host;
use super::registries::Fetched;
use crate::supervisor::Command;
use crate::supervisor::placement::ActorOptions;

impl Host {
    /// Starts an actor. Returns once it can be called and the links that waited for it have been established or refused;
    /// [`Host::link_state`] tells which.
    ///
    /// # Errors
    /// - `TokenExpired` or `TokenNotYetValid` by the dates of its token
    /// - `Untrusted` or `Revoked` by the [`TrustPolicy`](crate::TrustPolicy)
    /// - `Unauthorized` if the authorizer refuses it, `DeadlineExceeded` if the authorizer takes too long
    /// - `ActorAlreadyRunning` or `AliasTaken`
    /// - `InvalidModule` if the module does not compile, is not a waPC guest, or asks for more than its limits allow
    /// - `Busy` if the host has no room for another actor
    /// - `ActorTrapped`, `StackExhausted`, `ProtocolViolation` or `DeadlineExceeded` if one of its start functions fails
    /// - `HostNotRunning`
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
        let image = options.image();
        let key = actor.public_key();
        self.send(Command::StartActor { actor, options, near }).await?;
        self.0.references.add_image(image.as_deref(), &key);
        Ok(())
    }

    /// Replaces a running actor with a new revision, dropping no calls. `actor` is its public key, or the reference to a
    /// registry that it was started from.
    ///
    /// The old revision finishes the calls that have reached it; later calls go to the new one. Calls that exceed the grace
    /// period ([`HostBuilder::with_stop_grace`](crate::HostBuilder::with_stop_grace)) are ended. The new claims apply at
    /// once to new calls by and to the actor.
    ///
    /// The module must be signed for the same actor by the same account, with a higher revision. Its capabilities must be
    /// the same, unless
    /// [`HostBuilder::disable_strict_update_check`](crate::HostBuilder::disable_strict_update_check) is set.
    ///
    /// `new_reference` is the module's reference in an OCI registry, if it comes from one. With a reference and an empty
    /// `module`, the module is pulled, as [`Host::start_actor_from_registry`] does.
    ///
    /// # Errors
    /// After any error the actor runs as before.
    ///
    /// - Those of [`Actor::from_slice`], and of [`Host::start_actor_from_registry`] if the module is pulled
    /// - `UpdateRefused` if the module does not fit, or updates are not enabled
    /// - `ActorNotFound` or `ActorStopped`; `Busy` if another change of the actor is in progress
    /// - Those of [`Host::start_actor`], if the new revision cannot be started
    pub async fn update_actor(&self, actor: &str, new_reference: Option<String>, module: &[u8]) -> Result<()> {
        let (module, image) = match new_reference {
            Some(reference) if module.is_empty() => {
                self.running()?;
                let Fetched { image, content } = self.fetch_actor(&reference).await?;
                (content, Some(Image { reference, digest: Some(image.digest) }))
            }
            reference => {
                let image = reference.map(|reference| Image { reference, digest: None });
                (Actor::from_slice(module)?, image)
            }
        };
        let key = self.running_actor(actor);
        let image = image.map(Arc::new);
        self.send(Command::UpdateActor { key: key.clone(), actor: module, image: image.clone() }).await?;
        self.0.references.add_image(image.as_deref(), &key);
        Ok(())
    }

    /// Changes the number of an actor's instances, dropping no calls. The minimum is 1.
    ///
    /// Surplus instances finish the calls that have reached them. Calls that exceed the grace period
    /// ([`HostBuilder::with_stop_grace`](crate::HostBuilder::with_stop_grace)) are ended. The actor keeps its call alias, or
    /// stays without one.
    ///
    /// # Errors
    /// After any error the number is as before.
    ///
    /// - `ActorNotFound` or `ActorStopped`
    /// - `Busy` if another change of the actor is in progress, the host has no room for more instances, or the number
    ///   exceeds the maximum of one actor ([`ActorOptions::instances`])
    /// - Those of [`Host::start_actor`], if an instance cannot be started
    pub async fn scale_actor(&self, actor: &str, instances: usize) -> Result<()> {
        let instances = NonZeroUsize::new(instances).unwrap_or(NonZeroUsize::MIN);
        self.send(Command::ScaleActor { key: actor.to_owned(), instances }).await
    }

    /// Stops an actor, by its public key or the reference to a registry that it was started from.
    ///
    /// The actor takes no new calls. Its providers finish their work for it, it serves the calls that have reached it, and
    /// its links are then released. The host remembers the links for the actor's next start. Work that exceeds the grace
    /// period ([`HostBuilder::with_stop_grace`](crate::HostBuilder::with_stop_grace)) is ended, and its callers get an error.
    /// An update, scaling or restart in progress is finished first.
    ///
    /// # Errors
    /// - `ActorNotFound`, `ActorStopped` or `HostNotRunning`
    /// - `Busy` if the actor is being started
    /// - `DeadlineExceeded` if an instance does not end. The actor is stopped, but the instance's thread is left behind.
    pub async fn stop_actor(&self, actor: &str) -> Result<()> {
        self.send(Command::StopActor { key: self.running_actor(actor) }).await
    }

    /// Calls an actor, by public key or call alias, and returns its answer. Any thread may call; a call from the actor's
    /// own shard is the fastest.
    ///
    /// # Errors
    /// - `ActorNotFound`, `ActorStopped` or `HostNotRunning`
    /// - `TokenExpired`, `Untrusted` or `Revoked` if the actor has lost trust
    /// - `Unauthorized` if the authorizer refuses the call
    /// - `MiddlewareRefused` or `MiddlewarePanicked`
    /// - `Busy` if the actor or the host has reached its limit of calls, `MessageTooLarge` if a payload exceeds its limit
    /// - `UnknownOperation` or `ActorFailed` if the actor answers with an error
    /// - `ActorTrapped`, `StackExhausted`, `ProtocolViolation` or `DeadlineExceeded` if the call ends without an answer
    /// - `ChildFailed` if the actor crashed more often than its restart policy allows
    pub async fn call_actor(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>> {
        self.0.dispatch.call_from_host(actor, operation, message).await
    }
}
