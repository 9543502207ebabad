//! The actor in development: signed in memory, started, and replaced by its next revision.

use wasmcloud_core::error::Result;
use wasmcloud_host::signing::{ActorClaims, sign_module};
use wasmcloud_host::{Actor, Host};

use super::keys::DevelopmentKeys;

/// The actor, and the revision that runs.
pub(super) struct DevelopedActor {
    claims: ActorClaims,
    keys: DevelopmentKeys,
    revision: i32,
}

impl DevelopedActor {
    /// Returns an actor with these claims, which does not run yet.
    pub(super) fn new(claims: ActorClaims, keys: DevelopmentKeys) -> DevelopedActor {
        DevelopedActor { claims, keys, revision: 0 }
    }

    pub(super) fn public_key(&self) -> String {
        self.keys.actor().public_key()
    }

    pub(super) fn keys(&self) -> &DevelopmentKeys {
        &self.keys
    }

    /// Returns the revision that runs.
    pub(super) fn revision(&self) -> i32 {
        self.revision
    }

    /// Starts the first revision.
    ///
    /// # Errors
    /// Those of [`sign_module`] and [`Host::start_actor`].
    pub(super) async fn start(&mut self, host: &Host, module: &[u8]) -> Result<()> {
        let signed = self.sign_next(module)?;
        host.start_actor(Actor::from_slice(&signed)?).await?;
        self.revision += 1;
        Ok(())
    }

    /// Replaces the running revision by the next one.
    ///
    /// # Errors
    /// Those of [`sign_module`] and [`Host::update_actor`]. The running revision stays.
    pub(super) async fn update(&mut self, host: &Host, module: &[u8]) -> Result<()> {
        let signed = self.sign_next(module)?;
        host.update_actor(&self.public_key(), None, &signed).await?;
        self.revision += 1;
        Ok(())
    }

    fn sign_next(&self, module: &[u8]) -> Result<Vec<u8>> {
        let claims = self.claims.clone().revision(self.revision + 1);
        sign_module(module, &claims, self.keys.account(), self.keys.actor())
    }
}
