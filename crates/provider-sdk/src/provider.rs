//! The trait that providers implement, and the arguments of its methods.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::Host;

/// A capability provider.
///
/// The methods may block. The host calls `handle_call` on several threads concurrently, `health` on another thread, and all
/// other methods in order on a third. A panic fails the request, and the host restarts the provider.
pub trait Provider: Send + Sync + Sized + 'static {
    /// Starts the provider. `host` calls the actors that are linked to it.
    ///
    /// # Errors
    /// Any error refuses the start.
    fn start(host: Host) -> Result<Self, Error>;

    /// Establishes a link: acquires the resources that its values describe. From now on the provider may call the actor. If
    /// the actor is linked already, the new values replace the old ones.
    ///
    /// # Errors
    /// Any error refuses the link, and is the reason that is reported. The earlier link of the actor, if any, must stay in
    /// effect.
    fn bind(&self, link: Link<'_>) -> Result<(), Error>;

    /// Ends the delivery of calls to an actor that is about to be stopped: starts no further calls to it, and waits for those
    /// in flight.
    ///
    /// Default: does nothing. That suits providers that call actors only while they serve a call.
    ///
    /// # Errors
    /// An error if a delivery could not be ended.
    fn drain(&self, _actor: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Removes a link. All resources of the actor must be released when this returns.
    ///
    /// # Errors
    /// An error if a resource could not be released.
    fn unbind(&self, actor: &str) -> Result<(), Error>;

    /// Serves a call of a linked actor. It should return within [`Call::time_left`]: the answer is dropped afterwards, and a
    /// provider in a child process that takes much longer is restarted.
    ///
    /// # Errors
    /// Any error is the error of the actor's call.
    fn handle_call(&self, call: Call<'_>) -> Result<Vec<u8>, Error>;

    /// Checks the health of the provider, such as whether its backend can be reached. Default: healthy.
    ///
    /// # Errors
    /// Any error means that the provider is unhealthy, and is the reason that is reported.
    fn health(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Releases all resources and ends all threads. The provider is dropped afterwards. Default: does nothing.
    fn stop(&self) {}
}

/// A link between an actor and the provider.
#[derive(Clone)]
#[non_exhaustive]
pub struct Link<'a> {
    /// The public key of the actor.
    pub actor: &'a str,
    /// The name that the signer gave the actor.
    pub actor_name: &'a str,
    /// The public key of the account that signed the actor.
    pub issuer: &'a str,
    /// The contracts that the actor's claims include.
    pub capabilities: Vec<&'a str>,
    /// The actor's tags.
    pub tags: Vec<&'a str>,
    /// When the actor's token expires, if it does. Unit: seconds since 1970.
    pub expires: Option<u64>,
    /// The link's values. They may contain secrets.
    pub values: HashMap<&'a str, &'a str>,
}

impl std::fmt::Debug for Link<'_> {
    /// Writes only the names of the values, because the values may contain secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names: Vec<&&str> = self.values.keys().collect();
        names.sort();
        f.debug_struct("Link").field("actor", &self.actor).field("value_names", &names).finish_non_exhaustive()
    }
}

/// A call of an actor to the provider.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The public key of the calling actor.
    pub actor: &'a str,
    /// The operation of the provider's contract.
    pub operation: &'a str,
    /// The payload. All contracts of wasmCloud 0.18 encode it in msgpack.
    pub message: &'a [u8],
    /// Calls actors as part of this call. Such calls share its deadline, and a call to an actor that waits for this call is
    /// refused as a cycle.
    pub host: Host,
    pub(crate) deadline: Instant,
}

impl Call<'_> {
    /// Returns the time until the call's deadline.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The error of a provider: a text for the actor and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Cow<'static, str>);

impl Error {
    /// Returns an error with a text.
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

// This type does not implement `std::error::Error`, so that `?` can convert every type that does.
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
