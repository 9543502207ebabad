//! The advertisements of 2021: links, and unsigned claims of actors.

use serde::{Deserialize, Serialize};
use wasmcloud_claims::jwt::Actor;

use super::reader::Reader;
use super::writer::Writer;
use super::{MAX_NAME, WireError};

const FIELDS: &[&str] = &["actor_id", "provider_id", "link_name", "contract_id", "values"];

/// The greatest number of values of a link, and the greatest length of one in bytes.
const MAX_VALUES: usize = 4096;
const MAX_VALUE: usize = 1024 * 1024;

/// A link between an actor and a provider. In a removal the provider and the values are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkDefinition {
    /// The public key of the actor.
    pub actor_id: String,
    /// The public key of the provider.
    pub provider_id: String,
    /// The link name.
    pub link_name: String,
    /// The contract.
    pub contract_id: String,
    /// The values, in the order in which they are written.
    pub values: Vec<LinkValue>,
}

/// A value of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkValue {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl LinkDefinition {
    /// Returns the link as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(512);
        writer.map(FIELDS.len());
        writer.text_field("actor_id", &self.actor_id);
        writer.text_field("provider_id", &self.provider_id);
        writer.text_field("link_name", &self.link_name);
        writer.text_field("contract_id", &self.contract_id);
        writer.text("values");
        writer.map(self.values.len());
        for value in &self.values {
            writer.text_field(&value.name, &value.value);
        }
        writer.into_bytes()
    }

    /// Returns the link that bytes hold. `max_bytes` is the greatest length of the bytes.
    ///
    /// # Errors
    /// The reason if the bytes are not a link, or exceed a limit.
    pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<LinkDefinition, WireError> {
        if bytes.len() > max_bytes {
            return Err(WireError::TooLarge { limit: max_bytes });
        }
        Reader::whole(bytes, read)
    }
}

fn read(reader: &mut Reader<'_>) -> Result<LinkDefinition, WireError> {
    let mut names: [Option<String>; 4] = Default::default();
    let mut values = None;
    reader.fields("a link", FIELDS, |reader, index| {
        match names.get_mut(index) {
            Some(name) => *name = Some(reader.text(FIELDS[index], MAX_NAME)?.to_owned()),
            None => values = Some(read_values(reader)?),
        }
        Ok(())
    })?;
    let [actor_id, provider_id, link_name, contract_id] = names;
    Ok(LinkDefinition {
        actor_id: actor_id.ok_or(WireError::Missing("actor_id"))?,
        provider_id: provider_id.ok_or(WireError::Missing("provider_id"))?,
        link_name: link_name.ok_or(WireError::Missing("link_name"))?,
        contract_id: contract_id.ok_or(WireError::Missing("contract_id"))?,
        values: values.ok_or(WireError::Missing("values"))?,
    })
}

fn read_values(reader: &mut Reader<'_>) -> Result<Vec<LinkValue>, WireError> {
    let count = reader.map("values", MAX_VALUES)?;
    let text = |reader: &mut Reader<'_>| reader.text("values", MAX_VALUE).map(str::to_owned);
    (0..count).map(|_| Ok(LinkValue { name: text(reader)?, value: text(reader)? })).collect()
}

/// The claims of an actor as hosts of 2021 advertise them. They are **not signed**: any sender can claim anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorClaims {
    /// When the claims end. Unit: seconds since 1970.
    #[serde(rename = "exp", default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// The identifier of the token.
    #[serde(rename = "jti")]
    pub id: String,
    /// When the claims were issued. Unit: seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: u64,
    /// The public key of the account that issued them.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The public key of the actor.
    #[serde(rename = "sub")]
    pub subject: String,
    /// When the claims begin. Unit: seconds since 1970.
    #[serde(rename = "nbf", default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    /// What is claimed.
    #[serde(rename = "wascap")]
    pub metadata: Actor,
}

impl ActorClaims {
    /// Returns the claims of a token without its signature, or `None` for a token that describes no actor.
    pub fn of(claims: &wasmcloud_claims::jwt::Claims<Actor>) -> Option<ActorClaims> {
        Some(ActorClaims {
            expires: claims.expires,
            id: claims.id.clone(),
            issued_at: claims.issued_at,
            issuer: claims.issuer.clone(),
            subject: claims.subject.clone(),
            not_before: claims.not_before,
            metadata: claims.metadata.clone()?,
        })
    }

    /// Returns the claims as they are sent.
    ///
    /// # Errors
    /// `WireError::Unexpected` if they cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        rmp_serde::to_vec_named(self).map_err(|_| WireError::Unexpected("claims"))
    }

    /// Returns the claims that bytes hold. `max_bytes` is the greatest length of the bytes.
    ///
    /// # Errors
    /// The reason if the bytes are not claims, or exceed the limit.
    pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<ActorClaims, WireError> {
        if bytes.len() > max_bytes {
            return Err(WireError::TooLarge { limit: max_bytes });
        }
        // The form is checked first: depth, lengths and the end. serde allocates no more than the bytes hold.
        Reader::whole(bytes, Reader::skip)?;
        rmp_serde::from_slice(bytes).map_err(|_| WireError::Unexpected("claims"))
    }
}
