//! Requests that tell apart whether they were received.

use std::future::Future;
use std::time::Duration;

use async_nats::{Message, Request, RequestErrorKind};
use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Connection;
use super::subscription::unavailable;

/// The end of a request that was not answered with an error.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// The answer.
    Answer(Message),
    /// The subject has no subscriber: nothing received the request.
    NoSubscriber,
}

impl Connection {
    /// Sends a request and waits for one answer. `lost` ends the wait when the receiver is lost.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the request was not sent; `MessageTooLarge` beyond the server's limit; `OutcomeUnknown` if no
    /// answer came in time, the connection was lost after the request was sent, or the receiver was lost.
    pub(crate) async fn exchange(
        &self,
        subject: &str,
        payload: Bytes,
        limit: Duration,
        lost: impl Future<Output = ()>,
    ) -> Result<Exchange> {
        let mark = self.mark()?;
        let request = Request::new().payload(payload).timeout(Some(limit));
        let unknown = |reason: &str| {
            let message = format!("{reason} before a request on {subject} was answered: it may have been executed");
            Err(Error::new(ErrorKind::OutcomeUnknown, message))
        };
        let outcome = tokio::select! {
            biased;
            outcome = self.client()?.send_request(subject.to_owned(), request) => outcome,
            () = self.broken(mark) => return unknown("the connection with the NATS server was lost"),
            () = lost => return unknown("the other host was lost"),
        };
        match outcome {
            Ok(answer) => Ok(Exchange::Answer(answer)),
            Err(error) => match error.kind() {
                RequestErrorKind::NoResponders => Ok(Exchange::NoSubscriber),
                RequestErrorKind::TimedOut => unknown("the deadline passed"),
                RequestErrorKind::MaxPayloadExceeded => {
                    let message = format!("a request on {subject} is larger than the NATS server accepts");
                    Err(Error::new(ErrorKind::MessageTooLarge, message).caused_by(error))
                }
                _ => Err(unavailable(format!("the request on {subject} was not sent"), error)),
            },
        }
    }
}
