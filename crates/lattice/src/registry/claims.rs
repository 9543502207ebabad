//! Claims: the tokens of the actors and providers of a lattice.

use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Registry;
use super::entry::{LinkRecord, Removal, Value, summarise};
use super::key::{Key, expect_entity};
use super::write::Decision;

/// The token of an actor or provider in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimsRecord {
    /// The public key of the actor or provider.
    pub entity: String,
    /// The token. Its signature has been verified, its validity in time has not.
    pub token: String,
    /// The revision of the entry.
    pub revision: u64,
}

impl Registry {
    /// Puts the token of an actor or provider. `links` are the links of the actor: the hosts that run their providers are told.
    /// A token with a lower revision than the one in the registry changes nothing. Returns the revision of the entry.
    ///
    /// # Errors
    /// `InvalidToken` if the token does not verify. `RegistryConflict` if the registry holds a token of another issuer. Otherwise
    /// as [`Registry::put_link`].
    pub async fn put_claims(&self, token: &str, links: &[LinkRecord]) -> Result<u64> {
        self.change_claims(token, links, None).await
    }

    pub(super) async fn change_claims(&self, token: &str, links: &[LinkRecord], base: Option<u64>) -> Result<u64> {
        let new = summarise(token)?;
        let key = Key::Claims(new.subject.clone());
        let revision = self
            .replace(&key, |current| {
                if let Some(Value::Claims(held)) = current.value() {
                    let old = summarise(held)?;
                    if held == token || (old.issuer == new.issuer && old.revision > new.revision) {
                        return Ok(Decision::Keep);
                    }
                    if old.issuer != new.issuer {
                        return Err(foreign_issuer(&new.subject, &old.issuer));
                    }
                }
                if base.is_some_and(|base| current.revision() != 0 && current.revision() != base) {
                    return Err(super::link::conflict(&key));
                }
                Ok(Decision::Write(Value::Claims(token.to_owned())))
            })
            .await?;
        self.tell_providers(links, revision).await?;
        Ok(revision)
    }

    /// Removes the token of an actor or provider. Returns the revision of the removal, or 0 if there was no token.
    ///
    /// # Errors
    /// As [`Registry::put_link`].
    pub async fn remove_claims(&self, entity: &str, links: &[LinkRecord]) -> Result<u64> {
        self.withdraw_claims(entity, links, None).await
    }

    pub(super) async fn withdraw_claims(&self, entity: &str, links: &[LinkRecord], base: Option<u64>) -> Result<u64> {
        expect_entity(entity)?;
        let key = Key::Claims(entity.to_owned());
        let revision = self
            .replace(&key, |current| {
                if current.revision() == 0 || matches!(current.value(), Some(Value::Removed(_))) {
                    return Ok(Decision::Keep);
                }
                if base.is_some_and(|base| current.revision() != base) {
                    return Err(super::link::conflict(&key));
                }
                Ok(Decision::Write(Value::Removed(Removal::default())))
            })
            .await?;
        self.tell_providers(links, revision).await?;
        Ok(revision)
    }

    /// Tells the hosts of the providers of links that the claims have changed.
    async fn tell_providers(&self, links: &[LinkRecord], revision: u64) -> Result<()> {
        self.touch_claims(links, revision).await.map_err(|error| {
            let message =
                "the claims were stored, but not all hosts that run providers of the actor could be told: try again";
            Error::new(ErrorKind::OutcomeUnknown, message).caused_by(error)
        })
    }

    /// Returns the token of an actor or provider, if the registry holds one.
    ///
    /// # Errors
    /// `LatticeUnavailable` if it could not be read. `InvalidArgument` if the key is neither an actor's nor a provider's.
    pub async fn claims(&self, entity: &str) -> Result<Option<ClaimsRecord>> {
        expect_entity(entity)?;
        let current = self.current(&Key::Claims(entity.to_owned())).await?;
        let revision = current.revision();
        Ok(match current.value() {
            Some(Value::Claims(token)) => {
                Some(ClaimsRecord { entity: entity.to_owned(), token: token.clone(), revision })
            }
            _ => None,
        })
    }
}

fn foreign_issuer(subject: &str, issuer: &str) -> Error {
    let message = format!(
        "the registry holds a token of {subject} that was issued by {issuer}: remove it before a token of another issuer is put"
    );
    Error::new(ErrorKind::RegistryConflict, message)
}
