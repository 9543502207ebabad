//! The error type of the runtime: an opaque [`Error`] with an [`ErrorKind`] to match on.
//!
//! The text of an error says what happened, to what, and what to do next. It is for people and may change; the kind is
//! for programs.
//!
//! ```
//! use wasmcloud_host::{Actor, ErrorKind};
//!
//! let refused = Actor::from_slice(b"this is no WebAssembly").unwrap_err();
//! assert_eq!(refused.kind(), ErrorKind::InvalidModule);
//! ```

mod names;

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Write};

pub use crate::text::printable;
use crate::text::{Escaping, escaped};

/// The result type of fallible operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of any type, from a provider, a file or a library.
pub type BoxedError = Box<dyn StdError + Send + Sync>;

/// The kind of an [`Error`], for programs to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a WebAssembly module that can run as an actor: an export of the waPC interface is missing, an
    /// import is not part of that interface, or the module begins with more than its limits allow.
    InvalidModule,
    /// The bytes are not a provider archive, contain an entry that archives do not have, or exceed the limits.
    InvalidArchive,
    /// The provider archive has no library for the requested target. The text lists the targets that it has.
    TargetMissing,
    /// The module or archive carries no token.
    Unsigned,
    /// The token is malformed, its signature does not verify, or its keys are of the wrong kind.
    InvalidToken,
    /// The code of a module, or a library of an archive, differs from the one that was signed.
    Tampered,
    /// The validity of the token has ended.
    TokenExpired,
    /// The validity of the token has not begun.
    TokenNotYetValid,
    /// The host's trust policy does not accept the signer, or the actor or provider.
    Untrusted,
    /// The host's trust policy has revoked the actor or provider, its issuer or its token.
    Revoked,
    /// The host's authorizer refused the start, call or link, or failed while it decided.
    Unauthorized,
    /// An argument is invalid: a key of the wrong kind, an empty contract id, a number out of range.
    InvalidArgument,
    /// The manifest is malformed or cannot be applied. Nothing of it was applied.
    InvalidManifest,
    /// The manifest was applied in part. The text lists the entries that failed; the others run.
    ManifestIncomplete,
    /// The program was built without what is requested, such as a provider whose feature is off.
    Unsupported,
    /// No actix `System` runs on this thread. `Host::start_on_own_thread` needs none.
    NoActixSystem,
    /// The host has not been started, or has been stopped.
    HostNotRunning,
    /// The host has been started before. A host is started once.
    HostAlreadyStarted,
    /// An actor with this public key runs already, or is being started or stopped.
    ActorAlreadyRunning,
    /// The host knows no actor with this public key or call alias.
    ActorNotFound,
    /// The actor has been stopped, or is being stopped.
    ActorStopped,
    /// The actor or provider crashed more often than its restart policy allows. Starting it again revives it.
    ChildFailed,
    /// The new revision does not fit the running actor, or live updates are not enabled.
    UpdateRefused,
    /// Another actor holds this call alias, or the alias belongs to the issuer of an earlier holder.
    AliasTaken,
    /// The provider runs already under this link name, or is being started or stopped.
    ProviderAlreadyRunning,
    /// The provider does not run under this link name.
    ProviderNotFound,
    /// No established link leads from the caller to the target.
    NotLinked,
    /// The provider refused the link or could not establish it.
    LinkRefused,
    /// The actor's signed claims do not include the capability.
    CapabilityDenied,
    /// The actor answered with an error.
    ActorFailed,
    /// The actor has no handler for the operation.
    UnknownOperation,
    /// The actor's code trapped. The instance is replaced.
    ActorTrapped,
    /// The actor's calls nested deeper than its stack allows. The instance is replaced.
    StackExhausted,
    /// The actor violated the waPC protocol: a pointer out of range, a string that is not UTF-8, or no answer.
    ProtocolViolation,
    /// A payload is larger than a guest may receive or send.
    MessageTooLarge,
    /// The provider answered with an error.
    ProviderFailed,
    /// The provider panicked while it served the call. It is restarted.
    ProviderPanicked,
    /// The process of the provider ended. The provider is restarted.
    ProviderDied,
    /// The file of a plugin is not a shared library, or has another interface than this host.
    InvalidPlugin,
    /// A middleware refused the call or its answer.
    MiddlewareRefused,
    /// A middleware panicked over the call or its answer.
    MiddlewarePanicked,
    /// The call was not answered before its deadline.
    DeadlineExceeded,
    /// The caller cancelled the call before it was answered.
    CallerGone,
    /// The call leads back to an actor that already waits for it.
    CallCycle,
    /// The chain of calls passes through more actors than the limit allows.
    ChainTooDeep,
    /// A limit on concurrent work or on the host's contents is reached. A later attempt may succeed.
    Busy,
    /// The host is not connected to its lattice. What was requested of another host was not sent.
    LatticeUnavailable,
    /// A host of the lattice refused the message at its edge: it is forged, expired, replayed, or from a host that is not
    /// trusted. The call was not executed.
    LatticeRefused,
    /// The call was sent to another host, which vanished or lost its connection before it answered. It may have been executed.
    OutcomeUnknown,
    /// Another host changed the same link, alias or reference in the lattice's registry at the same time.
    RegistryConflict,
    /// The OCI registry could not be reached, did not answer in time, or failed. A later attempt may succeed.
    OciUnavailable,
    /// The OCI registry refused the credentials, or a request without credentials.
    OciDenied,
    /// The OCI registry does not have the repository, the tag or the digest.
    OciNotFound,
    /// What the OCI registry answered is not accepted: its digest differs, it is too large or of an unknown type, or it
    /// leads to a private network.
    OciRefused,
    /// A file or socket could not be opened, read or written.
    Io,
    /// The host violated an invariant. Please report it.
    Internal,
}

/// An error with a kind, a text and an optional cause.
///
/// `Display` writes the whole text, with the text of each cause once and the most specific part first: `cannot listen
/// on 127.0.0.1:8080 (address in use): choose another port; the link default of actor M... to wasmcloud:httpserver is
/// refused`. So that no reader sees a cause twice, `source` returns `None`; [`Error::cause`] returns the underlying
/// error.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    cause: Option<BoxedError>,
    /// Whether the message is the context of the cause and follows it.
    is_context: bool,
}

impl Error {
    /// Returns an error of a kind with a text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), cause: None, is_context: false }))
    }

    /// Adds the cause of the error. Its text follows the message.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<BoxedError>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Adds a cause that is more specific than the message. Its text precedes the message.
    #[must_use]
    pub fn context_of(mut self, cause: impl Into<BoxedError>) -> Self {
        self.0.is_context = true;
        self.caused_by(cause)
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the underlying error, if there is one. Its text is part of this error's text.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }
}

/// Writes the text with its causes, which may hold text from files, guests and peers: control characters are escaped.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, cause, is_context, .. } = &*self.0;
        let mut safe = Escaping::new(f);
        match cause {
            None => safe.write_str(message),
            Some(cause) if *is_context => write!(safe, "{}; {message}", Chain(&**cause)),
            Some(cause) => write!(safe, "{message}: {}", Chain(&**cause)),
        }
    }
}

/// An error and its sources. Many errors write their own sources; a text that is there already is not repeated.
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

impl StdError for Error {}

/// Returns the text of a panic, shortened and escaped, for logs and errors.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    printable(text.unwrap_or("without a text").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_causes_are_escaped() {
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
        assert!(error.cause().is_some() && error.source().is_none());
    }

    #[test]
    fn each_part_is_written_once_and_the_context_last() {
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
        assert!(refused.cause().unwrap().is::<Error>());
    }

    /// An error whose text does not include its source.
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
    fn omitted_causes_are_written() {
        let inner = Error::new(ErrorKind::Io, "inner").caused_by("root");
        let error = Error::new(ErrorKind::Io, "top").caused_by(Outer(inner));
        assert_eq!(error.to_string(), "top: outer: inner: root");
    }
}
