//! The health of actors and providers, and the payloads of health checks.

use serde::{Deserialize, Deserializer};

use crate::error::{Error, ErrorKind};
use crate::text::printable;

/// The last answer of an actor or provider to a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It is healthy.
    Healthy,
    /// It reports that it is unhealthy, failed to answer, or has crashed.
    Unhealthy {
        /// Its report, or how it failed.
        reason: String,
    },
    /// It is serving calls, or is being stopped or updated, so it was not checked: calls take precedence.
    Busy,
    /// It did not answer the check in time.
    Unanswered,
}

impl Health {
    /// Returns the health that a failed check means.
    #[doc(hidden)]
    pub fn of_failure(error: &Error) -> Health {
        match error.kind() {
            // A check ends with this error if its target is being stopped or updated.
            ErrorKind::Busy | ErrorKind::ActorStopped => Health::Busy,
            ErrorKind::DeadlineExceeded => Health::Unanswered,
            _ => Health::Unhealthy { reason: error.to_string() },
        }
    }
}

/// The operation of health checks.
pub const HEALTH_REQUEST: &str = "HealthRequest";

/// The payload of `HealthRequest`: `{placeholder: false}`. It has no meaning, but existing actors and providers expect
/// it.
const PLACEHOLDER: &[u8] = b"\x81\xabplaceholder\xc2";

/// The answer to `HealthRequest`.
#[derive(Deserialize)]
struct HealthResponse {
    healthy: bool,
    #[serde(default, deserialize_with = "nil_is_empty")]
    message: String,
}

fn nil_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Returns the payload of `HealthRequest`.
pub fn health_request() -> Vec<u8> {
    PLACEHOLDER.to_vec()
}

/// Reads the answer to `HealthRequest`. An answer of another form counts as healthy.
///
/// # Errors
/// Returns the report if the actor or provider is unhealthy.
pub fn read_health(answer: &[u8]) -> Result<(), String> {
    match rmp_serde::from_slice(answer) {
        Ok(HealthResponse { healthy: false, message }) => Err(printable(message.as_bytes())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_an_explicit_report_is_unhealthy() {
        assert_eq!(read_health(b"\x82\xa7healthy\xc3\xa7message\xa0"), Ok(()));
        assert_eq!(read_health(b"\x82\xa7healthy\xc2\xa7message\xa3low"), Err("low".to_owned()));
        assert_eq!(read_health(b"\x81\xa7healthy\xc2"), Err(String::new()));
        assert_eq!(read_health(b"\x92\xc2\xa3low"), Err("low".to_owned()), "a struct as an array");
        assert_eq!(read_health(b"\x82\xa7healthy\xc2\xa7message\xa3a\nb"), Err("a\\nb".to_owned()));
        assert_eq!(read_health(b"\x82\xa7healthy\xc2\xa7message\xc0"), Err(String::new()), "nil is no message");
        for something_else in [b"".as_slice(), b"\xc0", &health_request(), b"\xdf\xff\xff\xff\xff", b"\xff"] {
            assert_eq!(read_health(something_else), Ok(()), "{something_else:?}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_can_be_read(answer: Vec<u8>) {
            let _ = read_health(&answer);
        }
    }
}
