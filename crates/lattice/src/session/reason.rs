//! The reasons for which handshakes and calls are refused.

use std::fmt;

use crate::wire::Retry;

/// The reason for which a message of a handshake is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It is not a message of a handshake.
    Malformed,
    /// No such handshake is under way, or it is at another step.
    Unknown,
    /// It does not decrypt, or does not prove the key of a host.
    Forged,
    /// It is of another host than the one that the handshake is with.
    WrongHost,
    /// The host is not trusted.
    Untrusted,
    /// Too many handshakes are under way or begin, or there are too many sessions.
    TooMany,
    /// This host cannot process it, for want of random numbers or of a seed.
    Failed,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandshakeError::Malformed => "the message of a handshake is malformed",
            HandshakeError::Unknown => "the message belongs to no handshake that is under way",
            HandshakeError::Forged => "the message of a handshake does not prove the key of a host",
            HandshakeError::WrongHost => "the message of a handshake is of another host",
            HandshakeError::Untrusted => "the host that wants a session is not trusted",
            HandshakeError::TooMany => "too many handshakes or sessions exist",
            HandshakeError::Failed => "the handshake cannot be computed",
        })
    }
}

impl std::error::Error for HandshakeError {}

impl From<snow::Error> for HandshakeError {
    fn from(error: snow::Error) -> HandshakeError {
        match error {
            snow::Error::Decrypt | snow::Error::Dh | snow::Error::Input => HandshakeError::Forged,
            _ => HandshakeError::Failed,
        }
    }
}

/// The reason for which a session does not authenticate a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallRefusal {
    /// The call names no session of this host, and its sender has none with this host.
    NoSession,
    /// The call names no session of this host, although its sender has one.
    SessionNotUsed,
    /// The MAC does not verify, or the session is of another host.
    Forged,
    /// The session has ended, by its age or its number of calls.
    Expired,
    /// The call has been accepted before, or is too old to tell.
    Replayed,
}

impl CallRefusal {
    /// Returns what the caller does next. `None` if the call is not to be answered in good faith.
    pub fn retry(self) -> Option<Retry> {
        match self {
            CallRefusal::NoSession => Some(Retry::WithToken),
            CallRefusal::SessionNotUsed | CallRefusal::Expired => Some(Retry::AfterHandshake),
            CallRefusal::Forged | CallRefusal::Replayed => None,
        }
    }
}

impl fmt::Display for CallRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CallRefusal::NoSession => "its sender has no session with this host",
            CallRefusal::SessionNotUsed => "its sender has a session with this host and did not use it",
            CallRefusal::Forged => "it was not authenticated by the host that it names as its sender",
            CallRefusal::Expired => "its session has ended",
            CallRefusal::Replayed => "it has been accepted before",
        })
    }
}

impl std::error::Error for CallRefusal {}
