//! How an order ended, or where to learn how it will.

use serde::{Deserialize, Serialize};
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// How long a host waits for the real outcome of an order before it acknowledges it as accepted. Unit: milliseconds.
pub(crate) const DEFAULT_WAIT: u64 = 1_500;

/// The longest wait that a request may ask for. Unit: milliseconds.
pub(crate) const LONGEST_WAIT: u64 = 10 * 60 * 1_000;

/// The outcome of an order, in the JSON of its acknowledgement. Any answer that is an error has these fields and no others.
///
/// In 2021 there was only `failure`. A host answers with the real outcome if it is known in time. Otherwise `accepted` is
/// true, and `event` names the event that will tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why the order failed. `None` if it succeeded or was accepted.
    #[serde(default)]
    pub failure: Option<String>,
    /// The name of the error's kind: see [`ErrorKind::name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether the order is being carried out, and its outcome is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// The kind of the event that will tell the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The identifier of the request, which that event repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// What a request may carry beside what it asks for. Hosts of 2021 ignore it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestOptions {
    /// The identifier of the request, which acknowledgements and events repeat. Default: the host makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// How long the host waits for the real outcome before it acknowledges the request as accepted. Maximum: 10 minutes.
    /// Default: 1.5 s. Unit: milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// How an order that did not fail stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an order that was accepted may still fail"]
pub enum Settled {
    /// The order has been carried out.
    Done,
    /// The order is being carried out. [`EventWatch::settle`](crate::EventWatch::settle) waits for its end.
    Accepted {
        /// The kind of the event that will tell the outcome.
        event: String,
        /// The identifier of the request.
        request: String,
    },
}

impl Outcome {
    /// Returns the outcome of an order that failed.
    pub fn failed(error: &Error) -> Outcome {
        let kind = Some(error.kind().name().to_owned());
        Outcome { failure: Some(error.to_string()), kind, ..Outcome::default() }
    }

    /// Returns the outcome of an order that is still being carried out.
    pub fn accepted(event: &str, request: &str) -> Outcome {
        Outcome {
            accepted: Some(true),
            event: Some(event.to_owned()),
            request: Some(request.to_owned()),
            ..Outcome::default()
        }
    }

    /// Returns how the order stands.
    ///
    /// # Errors
    /// The failure, with the kind that the host named. Hosts of 2021 name none: it is guessed from their text.
    pub fn settled(self) -> Result<Settled> {
        if let Some(failure) = self.failure {
            let named = self.kind.as_deref().and_then(ErrorKind::from_name);
            let kind = named.unwrap_or_else(|| kind_of_2021(&failure));
            return Err(Error::new(kind, failure));
        }
        match (self.accepted, self.event) {
            (Some(true), Some(event)) => Ok(Settled::Accepted { event, request: self.request.unwrap_or_default() }),
            _ => Ok(Settled::Done),
        }
    }
}

/// Returns the kind of an error that a host of 2021 tells as a text.
fn kind_of_2021(text: &str) -> ErrorKind {
    match text {
        text if text.contains("already running") && text.starts_with("Provider") => ErrorKind::ProviderAlreadyRunning,
        text if text.contains("already running") => ErrorKind::ActorAlreadyRunning,
        text if text.contains("not running") && text.starts_with("Provider") => ErrorKind::ProviderNotFound,
        text if text.contains("not running") => ErrorKind::ActorNotFound,
        _ => ErrorKind::OutcomeUnknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_without_additions_is_that_of_2021() {
        assert_eq!(serde_json::to_string(&Outcome::default()).unwrap(), r#"{"failure":null}"#);
        assert_eq!(Outcome::default().settled().unwrap(), Settled::Done);
    }

    #[test]
    fn a_failure_keeps_its_kind_on_the_way() {
        let outcome = Outcome::failed(&Error::new(ErrorKind::CapabilityDenied, "no"));
        let read: Outcome = serde_json::from_str(&serde_json::to_string(&outcome).unwrap()).unwrap();
        let error = read.settled().unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::CapabilityDenied, "no".to_owned()));
    }

    #[test]
    fn an_accepted_order_names_the_event_that_will_tell() {
        let settled = Outcome::accepted("request_finished", "7").settled().unwrap();
        assert_eq!(settled, Settled::Accepted { event: "request_finished".to_owned(), request: "7".to_owned() });
    }

    #[test]
    fn failures_of_2021_have_a_kind() {
        let kind =
            |text: &str| Outcome { failure: Some(text.to_owned()), ..Outcome::default() }.settled().unwrap_err().kind();
        let running = "Actor with image ref 'a/b:1' is already running on this host";
        assert_eq!(kind(running), ErrorKind::ActorAlreadyRunning);
        assert_eq!(kind("Provider V/default is not running on this host"), ErrorKind::ProviderNotFound);
        assert_eq!(kind("something else"), ErrorKind::OutcomeUnknown);
    }
}
