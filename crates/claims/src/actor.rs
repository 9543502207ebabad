//! A signed WebAssembly module, verified and ready to be started.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::embedding::{embedded_token, hash_without_token};
use crate::jwt::{self, Claims};
use crate::token::{check_validity, read_token};

/// A signed WebAssembly module whose token and hash have been verified.
///
/// ```
/// use wasmcloud_host::{Actor, ErrorKind};
///
/// let module = b"\0asm\x01\0\0\0";
/// let unsigned = Actor::from_slice(module).unwrap_err();
/// assert_eq!(unsigned.kind(), ErrorKind::Unsigned);
/// ```
#[derive(Clone)]
pub struct Actor {
    module: Arc<[u8]>,
    claims: Arc<Claims<jwt::Actor>>,
    token: Arc<str>,
}

impl Actor {
    /// Reads and verifies a signed module: the token's signature and keys, its validity at this moment, and the hash of the
    /// code.
    ///
    /// # Errors
    /// - `InvalidModule` if the bytes are not a WebAssembly module.
    /// - `Unsigned` if the module carries no token.
    /// - `InvalidToken` if the token is malformed or its signature does not verify.
    /// - `TokenExpired` or `TokenNotYetValid` if the token is not valid at this moment.
    /// - `Tampered` if the code differs from the code that was signed.
    pub fn from_slice(module: &[u8]) -> Result<Actor> {
        let claims = Actor::claims_of(module)?;
        check_validity(&claims, SystemTime::now())?;
        let token = embedded_token(module)?.into();
        Ok(Actor { module: module.into(), claims: Arc::new(claims), token })
    }

    /// Verifies a signed module except for the token's validity in time, and returns its claims. The module may have expired
    /// or not be valid yet.
    ///
    /// # Errors
    /// `InvalidModule`, `Unsigned`, `InvalidToken` or `Tampered`, as for [`Actor::from_slice`].
    pub fn claims_of(module: &[u8]) -> Result<Claims<jwt::Actor>> {
        let claims: Claims<jwt::Actor> = read_token(embedded_token(module)?)?;
        let hash = hash_without_token(module)?;
        if claims.metadata.as_ref().is_none_or(|metadata| metadata.module_hash != hash) {
            let message = format!("the code of actor {} is not the code that was signed", claims.subject);
            return Err(Error::new(ErrorKind::Tampered, message));
        }
        Ok(claims)
    }

    /// Reads and verifies a signed module from a file, as [`Actor::from_slice`] does. This blocks the calling thread.
    ///
    /// # Errors
    /// `Io` if the file cannot be read, and the errors of [`Actor::from_slice`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Actor> {
        let path = path.as_ref();
        let module = std::fs::read(path).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot read the actor module {}", path.display())).caused_by(error)
        })?;
        Actor::from_slice(&module)
    }

    /// Returns the actor's public key, by which it is called: 56 characters beginning with `M`.
    pub fn public_key(&self) -> String {
        self.claims.subject.clone()
    }

    /// Returns the name that the signer gave the actor. Default: `Anonymous`.
    pub fn name(&self) -> String {
        self.claims.name()
    }

    /// Returns the public key of the account that signed the actor: 56 characters beginning with `A`.
    pub fn issuer(&self) -> String {
        self.claims.issuer.clone()
    }

    /// Returns the contracts of the capabilities that the actor may use, such as `wasmcloud:keyvalue`.
    pub fn capabilities(&self) -> Vec<String> {
        self.metadata().and_then(|metadata| metadata.caps.clone()).unwrap_or_default()
    }

    /// Returns the tags that the signer gave the actor.
    pub fn tags(&self) -> Vec<String> {
        self.metadata().and_then(|metadata| metadata.tags.clone()).unwrap_or_default()
    }

    /// Returns all claims of the token.
    pub fn claims(&self) -> Claims<jwt::Actor> {
        Claims::clone(&self.claims)
    }

    /// Returns the claims of the token without copying them.
    #[doc(hidden)]
    pub fn shared_claims(&self) -> Arc<Claims<jwt::Actor>> {
        self.claims.clone()
    }

    /// Returns the token as the module carries it.
    #[doc(hidden)]
    pub fn token(&self) -> Arc<str> {
        self.token.clone()
    }

    /// Returns the hash of the code, as it was signed and verified.
    #[doc(hidden)]
    pub fn hash(&self) -> &str {
        self.metadata().map_or("", |metadata| &metadata.module_hash)
    }

    /// Returns the bytes of the module.
    #[doc(hidden)]
    pub fn module(&self) -> Arc<[u8]> {
        self.module.clone()
    }

    fn metadata(&self) -> Option<&jwt::Actor> {
        self.claims.metadata.as_ref()
    }
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Actor")
            .field("public_key", &self.claims.subject)
            .field("name", &self.claims.name())
            .field("issuer", &self.claims.issuer)
            .finish_non_exhaustive()
    }
}
