//! The states of a connection and of the lattice.

use std::fmt;
use std::time::SystemTime;

/// Whether a host is part of its lattice. Local work goes on in every state.
///
/// A host begins in `Joining`, or in `Alone` if no lattice is configured. It is `Alone` from the first failed attempt to
/// connect until the first successful one, and `Disconnected` from the loss of a connection until the next one. Attempts
/// never end before the host stops.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LatticeState {
    /// The host has never been part of the lattice.
    Alone {
        /// Why the last attempt to connect failed, or `None` if no lattice is configured.
        reason: Option<String>,
    },
    /// The first attempt is under way, or has succeeded and the host is being made known.
    Joining,
    /// The host is part of the lattice.
    Joined,
    /// The host was part of the lattice and has lost the connection.
    Disconnected {
        /// When the loss was noticed.
        since: SystemTime,
        /// Why the connection was lost, or why the last attempt to connect again failed.
        reason: String,
    },
}

impl LatticeState {
    /// Returns whether the host is part of the lattice.
    pub fn is_joined(&self) -> bool {
        *self == LatticeState::Joined
    }

    /// Returns the state of a host with two connections. The worse state counts.
    #[must_use]
    pub fn and(self, other: LatticeState) -> LatticeState {
        let rank = |state: &LatticeState| match state {
            LatticeState::Joined => 0,
            LatticeState::Joining => 1,
            LatticeState::Alone { .. } => 2,
            LatticeState::Disconnected { .. } => 3,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

impl fmt::Display for LatticeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LatticeState::Alone { reason: None } => f.write_str("alone"),
            LatticeState::Alone { reason: Some(reason) } => write!(f, "alone: {reason}"),
            LatticeState::Joining => f.write_str("joining"),
            LatticeState::Joined => f.write_str("joined"),
            LatticeState::Disconnected { reason, .. } => write!(f, "disconnected: {reason}"),
        }
    }
}

/// The state of a connection, and which connection it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// The state of the host with regard to this connection alone.
    pub state: LatticeState,
    /// The number of connections made so far, this one included.
    pub epoch: u64,
}

/// A moment of a connection. A request that is sent at a mark and finds the connection broken afterwards may have been
/// executed, and its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub(super) epoch: u64,
}

/// What the server that a host is connected with tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerFacts {
    /// The name of the server.
    pub name: String,
    /// The version of the server, such as `2.9.10`.
    pub version: String,
    /// The largest message. Unit: bytes.
    pub max_payload: usize,
    /// Whether the server has JetStream. The account of the host may still lack it.
    pub has_jetstream: bool,
    /// Whether messages may have headers.
    pub has_headers: bool,
}

impl ServerFacts {
    /// Returns whether the version of the server is at least this one.
    pub fn is_at_least(&self, major: u64, minor: u64) -> bool {
        let mut parts = self.version.trim_start_matches('v').split(['.', '-', '+']).map(str::parse::<u64>);
        let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
        let found = (next(), next());
        found >= (major, minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_states_counts() {
        let lost = LatticeState::Disconnected { since: SystemTime::UNIX_EPOCH, reason: "cut".to_owned() };
        let alone = LatticeState::Alone { reason: None };
        assert_eq!(LatticeState::Joined.and(lost.clone()), lost);
        assert_eq!(alone.clone().and(LatticeState::Joined), alone);
        assert_eq!(LatticeState::Joining.and(LatticeState::Joined), LatticeState::Joining);
        assert!(LatticeState::Joined.and(LatticeState::Joined).is_joined());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let server = |version: &str| ServerFacts {
            name: String::new(),
            version: version.to_owned(),
            max_payload: 0,
            has_jetstream: false,
            has_headers: false,
        };
        assert!(server("2.10.1").is_at_least(2, 9) && server("2.15.0-rc.1").is_at_least(2, 15));
        assert!(!server("2.9.10").is_at_least(2, 10) && !server("").is_at_least(1, 0));
    }
}
