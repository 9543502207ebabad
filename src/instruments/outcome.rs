//! How a call ended.

use wasmcloud_core::error::{Error, ErrorKind};

/// How a call ended, as metrics tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Ok,
    /// The target failed.
    Error,
    /// The deadline passed.
    Timeout,
    /// A rule of the host did not let the call pass.
    Refused,
    /// The target or the host had no room for the call.
    Busy,
    /// The caller has ended the call.
    Cancelled,
}

impl Outcome {
    pub(crate) const ALL: [Outcome; 6] =
        [Outcome::Ok, Outcome::Error, Outcome::Timeout, Outcome::Refused, Outcome::Busy, Outcome::Cancelled];

    /// Returns the outcome of a call with this answer.
    pub(crate) fn of<T>(answer: &Result<T, Error>) -> Outcome {
        answer.as_ref().map_or_else(|error| Outcome::of_kind(error.kind()), |_| Outcome::Ok)
    }

    /// Returns the outcome of a call that failed with an error of this kind.
    pub(crate) fn of_kind(kind: ErrorKind) -> Outcome {
        match kind {
            ErrorKind::DeadlineExceeded => Outcome::Timeout,
            ErrorKind::Busy => Outcome::Busy,
            ErrorKind::CallerGone => Outcome::Cancelled,
            ErrorKind::CapabilityDenied
            | ErrorKind::NotLinked
            | ErrorKind::LinkRefused
            | ErrorKind::Unauthorized
            | ErrorKind::Untrusted
            | ErrorKind::Revoked
            | ErrorKind::TokenExpired
            | ErrorKind::TokenNotYetValid
            | ErrorKind::CallCycle
            | ErrorKind::ChainTooDeep
            | ErrorKind::MiddlewareRefused => Outcome::Refused,
            _ => Outcome::Error,
        }
    }

    /// Returns the value of the label `outcome`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Error => "error",
            Outcome::Timeout => "timeout",
            Outcome::Refused => "refused",
            Outcome::Busy => "busy",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// A number of calls for each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcomes([u64; Outcome::ALL.len()]);

impl Outcomes {
    pub(crate) fn add(&mut self, outcome: Outcome, calls: u64) {
        self.0[outcome as usize] += calls;
    }

    pub(crate) fn merge(&mut self, other: &Outcomes) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// Returns the number of calls with an outcome.
    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// Returns the number of all calls.
    pub(crate) fn calls(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the number of calls that failed for another reason than that their caller ended them.
    pub(crate) fn errors(&self) -> u64 {
        self.calls() - self.of(Outcome::Ok) - self.of(Outcome::Cancelled)
    }
}
