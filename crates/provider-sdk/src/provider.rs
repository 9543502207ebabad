//! What a provider is, and what it is given.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::Host;

/// A capability provider.
///
/// Its methods may block: calls come on several threads at once, everything else on another one, one after the other. A
/// panic ends what was asked for, and has the host make the provider anew.
pub trait Provider: Send + Sync + Sized + 'static {
    /// Makes the provider. `host` is its way to call the actors that are linked to it.
    ///
    /// # Errors
    /// A provider that cannot start says so here, and does not run.
    fn start(host: Host) -> Result<Self, Error>;

    /// Takes a link: acquires what its values ask for and may call the actor from now on. For an actor that is bound
    /// already, the new values replace the old ones.
    ///
    /// # Errors
    /// The link is refused, with this as the reason; what was in effect for the actor before must still be.
    fn bind(&self, link: Link<'_>) -> Result<(), Error>;

    /// Ends delivery to an actor that is about to be stopped: begins no further calls to it, and waits for those under
    /// way. A provider that never calls actors of its own accord has nothing to do here, which is the default.
    ///
    /// # Errors
    /// What could not be ended.
    fn drain(&self, _actor: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Lets go of a link: everything acquired for this actor is released when this returns.
    ///
    /// # Errors
    /// What could not be released.
    fn unbind(&self, actor: &str) -> Result<(), Error>;

    /// Serves a call of a linked actor. It should end within [`Call::time_left`]: nobody waits for it afterwards, and a
    /// provider in a process of its own is made anew if it does not.
    ///
    /// # Errors
    /// What goes wrong reaches the actor as the error of its call.
    fn handle_call(&self, call: Call<'_>) -> Result<Vec<u8>, Error>;

    /// Tells whether the provider is well. The default is that it is.
    ///
    /// # Errors
    /// Why it is not well.
    fn health(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Releases everything and ends every thread. The provider is dropped afterwards.
    fn stop(&self) {}
}

/// A link, as a provider is given it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Link<'a> {
    /// The public key of the actor.
    pub actor: &'a str,
    /// The name that its signer gave the actor.
    pub actor_name: &'a str,
    /// The account that signed the actor.
    pub issuer: &'a str,
    /// The contracts that the actor's claims include.
    pub capabilities: Vec<&'a str>,
    /// The actor's tags.
    pub tags: Vec<&'a str>,
    /// When the actor's token ends, in seconds since 1970, if it does.
    pub expires: Option<u64>,
    /// The link's values. May hold secrets.
    pub values: HashMap<&'a str, &'a str>,
}

impl std::fmt::Debug for Link<'_> {
    /// Shows the names of the values only: among the values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names: Vec<&&str> = self.values.keys().collect();
        names.sort();
        f.debug_struct("Link").field("actor", &self.actor).field("value_names", &names).finish_non_exhaustive()
    }
}

/// A call, as a provider is given it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The public key of the calling actor.
    pub actor: &'a str,
    /// The operation of the provider's contract.
    pub operation: &'a str,
    /// The payload, in msgpack for all contracts of the era.
    pub message: &'a [u8],
    /// The way to call actors as part of this call: they share what is left of its time, and a call back to an actor
    /// that waits for this one is refused instead of waiting for ever.
    pub host: Host,
    pub(crate) deadline: Instant,
}

impl Call<'_> {
    /// How long the caller still waits for the answer.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Why a provider could not do what it was asked for: a text for the actor and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Cow<'static, str>);

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Error {
        Error(text.into())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_owned().into_bytes()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

// It is no `std::error::Error` itself, so that every one that is can become it with `?`.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Error(text.into())
    }
}
