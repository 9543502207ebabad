//! Call aliases, of which the first holder keeps each, and image references.

use wasmcloud_core::entity::{KeyKind, expect_key};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;

use super::Registry;
use super::entry::{ReferenceRecord, Removal, Value, holder};
use super::key::{Key, LONGEST_REFERENCE, expect_entity, expect_name};
use super::write::{Current, Decision};

/// The actor that holds a call alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasHolder {
    /// The public key of the actor.
    pub actor: String,
    /// The token of the actor, as it is in the registry now.
    pub token: String,
    /// The revision of the alias.
    pub revision: u64,
}

impl Registry {
    /// Claims a call alias for an actor whose token in the registry carries it. Returns the revision of the alias. An actor that
    /// holds the alias keeps it until it is released.
    ///
    /// # Errors
    /// `AliasTaken` if another actor holds it, or an actor of another issuer held it. `InvalidArgument` if the registry has no
    /// token of the actor that carries the alias. Otherwise as [`Registry::put_link`].
    pub async fn claim_alias(&self, alias: &str, actor: &str) -> Result<u64> {
        expect_name(alias)?;
        expect_key(actor, KeyKind::Actor)?;
        let record = self.claims(actor).await?;
        let carried =
            record.and_then(|record| holder(alias, &record.token).map(|claims| (record.token, claims.issuer)));
        let Some((token, issuer)) = carried else {
            let message = format!(
                "the alias {} cannot be claimed: the registry has no token of actor {actor} that carries it",
                escaped(alias)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        self.replace(&Key::Alias(alias.to_owned()), |current| {
            let earlier = holder_of(alias, current);
            match earlier {
                Earlier::Holder { actor: held, .. } if held != actor => Err(taken(alias, "another actor holds it")),
                Earlier::Holder { token: held, .. } if held == token => Ok(Decision::Keep),
                Earlier::Released { issuer: Some(held) } if held != issuer => {
                    Err(taken(alias, "it belongs to the issuer of an earlier holder"))
                }
                _ => Ok(Decision::Write(Value::Alias(token.clone()))),
            }
        })
        .await
    }

    /// Releases a call alias, if the actor holds it. Returns the revision of the alias, or 0 if nothing holds it.
    ///
    /// # Errors
    /// As [`Registry::put_link`].
    pub async fn release_alias(&self, alias: &str, actor: &str) -> Result<u64> {
        expect_name(alias)?;
        self.replace(&Key::Alias(alias.to_owned()), |current| {
            Ok(match holder_of(alias, current) {
                Earlier::Holder { actor: held, issuer, .. } if held == actor => {
                    Decision::Write(Value::Removed(Removal { intent: 0, issuer: Some(issuer) }))
                }
                _ => Decision::Keep,
            })
        })
        .await
    }

    /// Returns the actor that holds a call alias, if its token in the registry still carries it.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the registry could not be read. `InvalidArgument` if the alias is too long.
    pub async fn resolve_alias(&self, alias: &str) -> Result<Option<AliasHolder>> {
        expect_name(alias)?;
        let current = self.current(&Key::Alias(alias.to_owned())).await?;
        let Earlier::Holder { actor, issuer, .. } = holder_of(alias, &current) else { return Ok(None) };
        let Some(record) = self.claims(&actor).await? else { return Ok(None) };
        let is_carried = holder(alias, &record.token).is_some_and(|claims| claims.issuer == issuer);
        let revision = current.revision();
        Ok(is_carried.then_some(AliasHolder { actor, token: record.token, revision }))
    }

    /// Puts what an image reference stands for. Returns the revision of the entry.
    ///
    /// # Errors
    /// `InvalidArgument` if the reference is too long or the key is neither an actor's nor a provider's. Otherwise as
    /// [`Registry::put_link`].
    pub async fn put_reference(&self, reference: &str, entity: &str) -> Result<u64> {
        expect_entity(entity)?;
        if reference.is_empty() || reference.len() > LONGEST_REFERENCE {
            let message = format!("an image reference has 1 to {LONGEST_REFERENCE} bytes, not {}", reference.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let record = ReferenceRecord { reference: reference.to_owned(), entity: entity.to_owned() };
        self.replace(&Key::of_reference(reference), |current| {
            Ok(match current.value() {
                Some(Value::Reference(held)) if *held == record => Decision::Keep,
                _ => Decision::Write(Value::Reference(record.clone())),
            })
        })
        .await
    }

    /// Returns the public key of the actor or provider that an image reference stands for.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the registry could not be read.
    pub async fn reference(&self, reference: &str) -> Result<Option<String>> {
        let current = self.current(&Key::of_reference(reference)).await?;
        Ok(match current.value() {
            Some(Value::Reference(record)) => Some(record.entity.clone()),
            _ => None,
        })
    }
}

/// What is known of the earlier holder of an alias.
enum Earlier {
    None,
    Holder { actor: String, issuer: String, token: String },
    Released { issuer: Option<String> },
}

fn holder_of(alias: &str, current: &Current) -> Earlier {
    match current.value() {
        Some(Value::Alias(token)) => match holder(alias, token) {
            Some(claims) => Earlier::Holder { actor: claims.subject, issuer: claims.issuer, token: token.clone() },
            None => Earlier::None,
        },
        Some(Value::Removed(removal)) => Earlier::Released { issuer: removal.issuer.clone() },
        _ => Earlier::None,
    }
}

fn taken(alias: &str, why: &str) -> Error {
    Error::new(ErrorKind::AliasTaken, format!("the alias {} cannot be claimed: {why}", escaped(alias)))
}
