//! Keys and the signing of modules. Signing embeds a token with the actor's claims in a module.
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

/// The claims that [`sign_module`] signs: an actor's name, its capabilities, and the validity of its token.
#[derive(Debug, Clone)]
#[must_use = "claims have no effect until a module is signed with them"]
pub struct ActorClaims {
    metadata: Actor,
    validity: Validity,
}

impl ActorClaims {
    /// Returns claims for an actor with this name and no capabilities. Such an actor can only compute and call other actors.
    pub fn new(name: impl Into<String>) -> ActorClaims {
        let metadata = Actor { name: Some(name.into()), caps: Some(vec![]), tags: Some(vec![]), ..Actor::default() };
        ActorClaims { metadata, validity: Validity::default() }
    }

    /// Adds a contract that the actor may use, such as `wasmcloud:keyvalue`. Default: none.
    pub fn capability(mut self, contract_id: impl Into<String>) -> ActorClaims {
        self.metadata.caps.get_or_insert_default().push(contract_id.into());
        self
    }

    /// Adds a tag. Any text is allowed. Default: none.
    pub fn tag(mut self, tag: impl Into<String>) -> ActorClaims {
        self.metadata.tags.get_or_insert_default().push(tag.into());
        self
    }

    /// Sets the actor's revision, which increases with each release. Default: none.
    pub fn revision(mut self, revision: i32) -> ActorClaims {
        self.metadata.rev = Some(revision);
        self
    }

    /// Sets the actor's human-readable version, such as `1.2.0`. Default: none.
    pub fn version(mut self, version: impl Into<String>) -> ActorClaims {
        self.metadata.ver = Some(version.into());
        self
    }

    /// Sets the name by which other actors may call the actor. It must not contain a colon or have the form of a public key.
    /// Default: none.
    pub fn call_alias(mut self, alias: impl Into<String>) -> ActorClaims {
        self.metadata.call_alias = Some(alias.into());
        self
    }

    /// Sets when the token expires, rounded down to seconds. It must be later than the time of issue. Default: never.
    pub fn expires(mut self, time: SystemTime) -> ActorClaims {
        self.validity.expires = Some(time);
        self
    }

    /// Sets when the token becomes valid, rounded down to seconds. Default: immediately.
    pub fn not_before(mut self, time: SystemTime) -> ActorClaims {
        self.validity.not_before = Some(time);
        self
    }

    /// Sets the token's time of issue, rounded down to seconds. The same module, claims, keys and time of issue give the same
    /// bytes. Default: the time of signing.
    pub fn issued_at(mut self, time: SystemTime) -> ActorClaims {
        self.validity.issued_at = Some(time);
        self
    }
}

/// Signs a module with the account key `issuer`, and returns the signed module. `actor` is the actor's key; its public half
/// suffices. An embedded token is replaced.
///
/// # Errors
/// `InvalidModule` if the bytes are not a WebAssembly module. `InvalidArgument` if
/// - a key is of the wrong kind, or the issuer's seed is missing,
/// - a capability is not a contract id, or the call alias is unusable,
/// - the token would never be valid, or would be larger than hosts read (64 KiB).
pub fn sign_module(module: &[u8], claims: &ActorClaims, issuer: &KeyPair, actor: &KeyPair) -> Result<Vec<u8>> {
    let mut metadata = claims.metadata.clone();
    for contract in metadata.caps.iter().flatten() {
        expect_whole_contract(contract)?;
    }
    metadata.call_alias.as_deref().map_or(Ok(()), expect_alias)?;
    let bare = without_token(module)?;
    metadata.module_hash = hash_without_token(&bare)?;
    let mut token = metadata.claims(issuer.public_key(), actor.public_key());
    claims.validity.apply_to(&mut token);
    Ok(embed_token(bare, &issue_token(token, issuer)?))
}

/// Reads a key from a file that holds its seed, as `wasmcloud keys gen --output` writes it. This blocks the calling thread.
///
/// # Errors
/// `Io` if the file cannot be read, `InvalidArgument` if it does not hold exactly one seed. Both texts name the file.
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
        let message = format!("the file {} must hold one seed (S...) and nothing else", path.display());
        Error::new(ErrorKind::InvalidArgument, message).caused_by(error)
    })
}

/// Checks that hosts can call an actor by a call alias. An alias with the form of a contract or a key would be ambiguous.
fn expect_alias(alias: &str) -> Result<()> {
    let reason = if alias.is_empty() || alias.chars().any(char::is_control) {
        "it is empty, or contains control characters"
    } else if alias.contains(':') {
        "a name with a colon is a contract"
    } else if is_key(alias, KeyKind::Actor) {
        "it has the form of a public key"
    } else {
        return Ok(());
    };
    let message = format!("{:?} cannot be a call alias: {reason}", shorten(alias));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}
