//! The one error type of the crate: an opaque [`Error`] with an [`ErrorKind`] to match on.
//!
//! The text of an error says what happened, to what, and what to do about it. It is for people and may
//! change; the kind is for programs.
//!
//! ```
//! use wasmcloud_host::{Actor, ErrorKind};
//!
//! let refused = Actor::from_slice(b"this is no WebAssembly").unwrap_err();
//! assert_eq!(refused.kind(), ErrorKind::InvalidModule);
//! ```

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Write};

pub(crate) use crate::text::printable;
use crate::text::{Escaping, escaped};

/// What an operation of this crate answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure from a provider, from a file or from a library, of any type.
pub type BoxedError = Box<dyn StdError + Send + Sync>;

/// What went wrong, as far as a program can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no WebAssembly module, or not one that a host can run as an actor: an export of the
    /// waPC interface is missing, an import lies outside of it, or it begins with more than its limits allow.
    InvalidModule,
    /// The bytes are no provider archive, hold something that has no place in one, or are larger than its limits allow.
    InvalidArchive,
    /// The provider archive has no library for the target that is asked for; the text names those it has.
    TargetMissing,
    /// The module or archive carries no token, so nobody vouches for it.
    Unsigned,
    /// The token is malformed, its signature does not verify, or its keys are of the wrong kind.
    InvalidToken,
    /// The code is not the code that was signed: a module's, or a library's in a provider archive.
    Tampered,
    /// The token's validity has ended.
    TokenExpired,
    /// The token's validity has not begun.
    TokenNotYetValid,
    /// The host's trust policy does not accept who signed it, or what it is.
    Untrusted,
    /// The host's trust policy has revoked the actor or provider, its issuer or its token.
    Revoked,
    /// The host's authorizer refused the start, the call or the link, or failed over it.
    Unauthorized,
    /// An argument cannot be what it should be: a key of the wrong kind, an empty contract, a bad number.
    InvalidArgument,
    /// The manifest cannot be read, or cannot be applied as it stands: nothing of it was.
    InvalidManifest,
    /// A manifest was applied in part: what the text names failed, and the rest runs.
    ManifestIncomplete,
    /// What is asked for is not part of this program: a provider whose feature was left out, or fetching from a registry.
    Unsupported,
    /// No actix `System` runs on this thread, and a host needs one: see
    /// [`Host::start_on_own_thread`](crate::Host::start_on_own_thread).
    NoActixSystem,
    /// The host was not started, or has been stopped.
    HostNotRunning,
    /// The host was started before; a host is started once.
    HostAlreadyStarted,
    /// An actor with this public key runs already, or is being started or stopped.
    ActorAlreadyRunning,
    /// Nothing with this public key or call alias is known to the host.
    ActorNotFound,
    /// The actor ran and was stopped, or is just being stopped.
    ActorStopped,
    /// The actor or provider crashed more often than its restart policy allows. It is revived by starting it again.
    ChildFailed,
    /// A live update does not fit the actor that runs, or live updates are not enabled.
    UpdateRefused,
    /// Another actor holds this call alias, or it belongs to another issuer: that of the first actor that held it.
    AliasTaken,
    /// This provider runs already under this link name, or is being started or stopped.
    ProviderAlreadyRunning,
    /// No such provider runs under this link name.
    ProviderNotFound,
    /// No established link leads from the caller to the target.
    NotLinked,
    /// The provider refused a link or could not carry it out.
    LinkRefused,
    /// The actor's signed claims do not include the capability.
    CapabilityDenied,
    /// The actor answered with an error of its own.
    ActorFailed,
    /// The actor has no handler for the operation.
    UnknownOperation,
    /// The actor's code trapped; its instance was retired.
    ActorTrapped,
    /// The actor's calls were nested deeper than its stack allows; its instance was retired.
    StackExhausted,
    /// The actor broke the waPC protocol: a pointer out of range, a string that is no UTF-8, no answer at all.
    ProtocolViolation,
    /// A message is larger than a guest may be given or may send.
    MessageTooLarge,
    /// The provider answered with an error of its own.
    ProviderFailed,
    /// The provider panicked while it served the call.
    ProviderPanicked,
    /// The process that the provider ran in ended.
    ProviderDied,
    /// The file of a plugin is no shared library, or does not speak this host's interface.
    InvalidPlugin,
    /// A middleware refused the call or its answer.
    MiddlewareRefused,
    /// A middleware panicked over the call or its answer.
    MiddlewarePanicked,
    /// The call was not answered in its time.
    DeadlineExceeded,
    /// The caller gave up before the call was answered.
    CallerGone,
    /// The call leads back to an actor that is already waiting for it.
    CallCycle,
    /// A chain of calls passes through more actors than it may.
    ChainTooDeep,
    /// A limit on concurrent work, or on what runs in a host, is reached; try again later.
    Busy,
    /// A file or socket could not be read, written or opened.
    Io,
    /// The host broke a promise of its own. Please report it.
    Internal,
}

/// A failure: a kind, a text, and where there is one, the cause.
///
/// The text says what went wrong first and where after it: `cannot listen on 127.0.0.1:8080 (address in use): choose another
/// port; the link default of actor M... to wasmcloud:httpserver is refused`. Each part of it stands there once.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<BoxedError>,
    /// Whether the message is the context of the source and comes after it.
    is_context: bool,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), source: None, is_context: false }))
    }

    /// Adds the cause of what the message says.
    pub(crate) fn caused_by(mut self, source: impl Into<BoxedError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Makes the message the context of an error that says more than it: that one comes first in the text.
    pub(crate) fn context_of(mut self, source: impl Into<BoxedError>) -> Self {
        self.0.is_context = true;
        self.caused_by(source)
    }

    /// What went wrong, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

/// The text with its causes. Among them may be text from files, guests and peers, so what is not to be seen is escaped.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, source, is_context, .. } = &*self.0;
        let mut safe = Escaping(f);
        match source {
            None => safe.write_str(message),
            Some(source) if *is_context => write!(safe, "{}; {message}", Chain(&**source)),
            Some(source) => write!(safe, "{message}: {}", Chain(&**source)),
        }
    }
}

/// An error and its causes. Errors of this crate write their own causes, and so do many others: what stands there already is
/// not repeated.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = escaped(&self.0.to_string()).into_owned();
        f.write_str(said.trim())?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let next = escaped(&error.to_string()).into_owned();
            if !said.contains(next.trim()) {
                write!(f, ": {}", next.trim())?;
                said = next;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// What a panic said, cut and without control characters, for logs and errors.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    printable(text.unwrap_or("without a text").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_cause_reaches_a_terminal_as_it_is() {
        let io = std::io::Error::other("\u{1b}[31mevil\nERROR");
        let error = Error::new(ErrorKind::InvalidArchive, "a\u{202e}b").caused_by(io);
        assert_eq!(error.to_string(), "a\\u{202e}b: \\u{1b}[31mevil\\nERROR");
        assert_eq!(format!("{error:?}"), format!("InvalidArchive: {error}"));
    }

    #[test]
    fn the_text_names_the_causes_in_order() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Io, "cannot read 'echo.wasm'").caused_by(io);
        assert_eq!(error.to_string(), "cannot read 'echo.wasm': disk on fire");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.source().is_some());
    }

    #[test]
    fn each_part_stands_there_once_and_the_context_last() {
        let cause = || Error::new(ErrorKind::Io, "cannot listen on port 80").caused_by("it is taken ");
        assert_eq!(cause().to_string(), "cannot listen on port 80: it is taken");
        let around = Error::new(ErrorKind::Io, "the start failed").caused_by(cause());
        assert_eq!(around.to_string(), "the start failed: cannot listen on port 80: it is taken");
        let failed = Error::new(ErrorKind::ProviderFailed, "provider V failed").context_of(cause());
        let refused = Error::new(ErrorKind::LinkRefused, "the link is refused").context_of(failed);
        assert_eq!(
            refused.to_string(),
            "cannot listen on port 80: it is taken; provider V failed; the link is refused"
        );
        assert!(refused.source().unwrap().is::<Error>());
    }

    /// An error that, like many, leaves its cause to its reader.
    #[derive(Debug)]
    struct Outer(Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn causes_that_an_error_leaves_out_are_written_for_it() {
        let inner = Error::new(ErrorKind::Io, "inner").caused_by("root");
        let error = Error::new(ErrorKind::Io, "top").caused_by(Outer(inner));
        assert_eq!(error.to_string(), "top: outer: inner: root");
    }
}
