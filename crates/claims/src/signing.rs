//! Keys, and signing modules: putting a token into one that says what it is and what it may do.
//!
//! ```
//! use wasmcloud_host::Actor;
//! use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let module = wasmcloud_host::samples::ECHO;
//! let claims = ActorClaims::new("Echo").capability("wasmcloud:httpserver").revision(1);
//! let (account, key) = (KeyPair::new_account(), KeyPair::new_module());
//! let signed = sign_module(module, &claims, &account, &key)?;
//! assert_eq!(Actor::from_slice(&signed)?.capabilities(), ["wasmcloud:httpserver"]);
//! # Ok(())
//! # }
//! ```

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use wasmcloud_core::entity::{KeyKind, expect_whole_contract, is_key, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::embedding::{embed_token, hash_without_token, without_token};
use crate::issue::{Validity, issue_token};
use crate::jwt::Actor;

pub use nkeys::{KeyPair, KeyPairType};

/// What a module's token is to say of it.
#[derive(Debug, Clone)]
pub struct ActorClaims {
    metadata: Actor,
    validity: Validity,
}

impl ActorClaims {
    /// Claims for an actor of this name that may do nothing but compute.
    pub fn new(name: impl Into<String>) -> ActorClaims {
        let metadata = Actor { name: Some(name.into()), caps: Some(vec![]), tags: Some(vec![]), ..Actor::default() };
        ActorClaims { metadata, validity: Validity::default() }
    }

    /// Lets it use another contract, such as `wasmcloud:keyvalue`; none by default.
    pub fn capability(mut self, contract_id: impl Into<String>) -> ActorClaims {
        self.metadata.caps.get_or_insert_default().push(contract_id.into());
        self
    }

    /// Adds a tag, of any text; none by default.
    pub fn tag(mut self, tag: impl Into<String>) -> ActorClaims {
        self.metadata.tags.get_or_insert_default().push(tag.into());
        self
    }

    /// The actor's revision, which grows with each release; none by default.
    pub fn revision(mut self, revision: i32) -> ActorClaims {
        self.metadata.rev = Some(revision);
        self
    }

    /// The actor's version for people, such as `1.2.0`; none by default.
    pub fn version(mut self, version: impl Into<String>) -> ActorClaims {
        self.metadata.ver = Some(version.into());
        self
    }

    /// The name by which other actors may call it; none by default.
    pub fn call_alias(mut self, alias: impl Into<String>) -> ActorClaims {
        self.metadata.call_alias = Some(alias.into());
        self
    }

    /// When the token stops being valid, in whole seconds; never by default.
    pub fn expires(mut self, time: SystemTime) -> ActorClaims {
        self.validity.expires = Some(time);
        self
    }

    /// When the token begins to be valid, in whole seconds; at once by default.
    pub fn not_before(mut self, time: SystemTime) -> ActorClaims {
        self.validity.not_before = Some(time);
        self
    }

    /// When the token says it was issued; now, by default. The same module, claims, keys and time of issue make the same
    /// bytes.
    pub fn issued_at(mut self, time: SystemTime) -> ActorClaims {
        self.validity.issued_at = Some(time);
        self
    }
}

/// Signs a module in the name of an account, for the actor of this key, of which the public part is enough. A token that
/// it carries already is replaced.
///
/// # Errors
/// `InvalidModule` for what is no module; `InvalidArgument` where a key is of the wrong kind, where the issuer's seed is
/// missing, where a capability is no contract id, where the alias cannot be called by, where the token would never be valid,
/// and where it would be longer than hosts read (64 KiB).
pub fn sign_module(module: &[u8], claims: &ActorClaims, issuer: &KeyPair, actor: &KeyPair) -> Result<Vec<u8>> {
    let mut metadata = claims.metadata.clone();
    for contract in metadata.caps.iter().flatten() {
        expect_whole_contract(contract)?;
    }
    metadata.call_alias.as_deref().map_or(Ok(()), expect_alias)?;
    let bare = without_token(module)?;
    metadata.module_hash = hash_without_token(&bare)?;
    let mut token = metadata.claims(issuer.public_key(), actor.public_key());
    claims.validity.apply(&mut token);
    Ok(embed_token(bare, &issue_token(token, issuer)?))
}

/// Reads the key whose seed a file holds, as `wasmcloud keys gen --output` writes it.
///
/// This reads the file where it is called, so call it from a place that may block.
///
/// # Errors
/// `Io` where the file cannot be read, and `InvalidArgument` where it holds anything but one seed. Both name the file.
pub fn read_key(path: impl AsRef<Path>) -> Result<KeyPair> {
    const LONGEST: u64 = 1024;
    let path = path.as_ref();
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    read.map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the seed file {}", path.display())).caused_by(error)
    })?;
    let seed = std::str::from_utf8(text.trim_ascii()).unwrap_or_default();
    KeyPair::from_seed(seed).map_err(|error| {
        let message = format!("the file {} does not hold a seed (S...), or not alone", path.display());
        Error::new(ErrorKind::InvalidArgument, message).caused_by(error)
    })
}

/// Refuses a call alias that no host would call an actor by: one that could be taken for a contract or a key.
fn expect_alias(alias: &str) -> Result<()> {
    let reason = if alias.is_empty() || alias.chars().any(char::is_control) {
        "it is empty, or not plain text"
    } else if alias.contains(':') {
        "with a colon it would be taken for a contract"
    } else if is_key(alias, KeyKind::Actor) {
        "it would be taken for a public key"
    } else {
        return Ok(());
    };
    let message = format!("{:?} cannot be a call alias: {reason}", shorten(alias));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}
