//! The answers to the calls of this host. They arrive on one subject, each for the call that its last token numbers.
//!
//! A call waits for one thing alone: its answer, the end of its host, or the end of the connection, whichever is told first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_nats::client::PublishErrorKind;
use async_nats::{Message, StatusCode, Subject as RequestSubject};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Inner;
use super::listening::{self, Until};
use crate::connection::{Mark, Subject};

/// The end of a request.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The payload of the answer.
    Answer(Bytes),
    /// The subject has no subscriber: nothing received the request.
    NoSubscriber,
}

/// What a call that waits is told.
#[derive(Debug)]
enum News {
    Answer(Bytes),
    NoSubscriber,
    HostLost,
    ConnectionLost,
}

/// The calls that wait.
#[derive(Debug)]
pub(super) struct Answers {
    calls: Mutex<Calls>,
    /// The subject of answers without its last token, as soon as it is subscribed to.
    inbox: watch::Sender<Option<Arc<str>>>,
}

#[derive(Debug, Default)]
struct Calls {
    last: u64,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    host: Option<Arc<str>>,
    mark: Mark,
    news: oneshot::Sender<News>,
}

/// The number of a call that waits. Dropping it ends the wait.
struct Number<'a> {
    answers: &'a Answers,
    number: u64,
}

impl Drop for Number<'_> {
    fn drop(&mut self) {
        self.answers.calls().waiting.remove(&self.number);
    }
}

impl Default for Answers {
    fn default() -> Answers {
        Answers { calls: Mutex::default(), inbox: watch::Sender::new(None) }
    }
}

impl Answers {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, host: Option<&Arc<str>>, mark: Mark) -> (Number<'_>, oneshot::Receiver<News>) {
        let (news, receiver) = oneshot::channel();
        let mut calls = self.calls();
        calls.last += 1;
        let number = calls.last;
        calls.waiting.insert(number, Waiting { host: host.cloned(), mark, news });
        (Number { answers: self, number }, receiver)
    }

    /// Hands an answer to the call that waits for it.
    fn arrived(&self, message: Message) {
        let number = message.subject.rsplit('.').next().and_then(|number| number.parse().ok());
        let waiting = number.and_then(|number: u64| self.calls().waiting.remove(&number));
        if let Some(waiting) = waiting {
            let is_unheard = message.status == Some(StatusCode::NO_RESPONDERS);
            let news = if is_unheard { News::NoSubscriber } else { News::Answer(message.payload) };
            // A call that no longer waits needs no answer.
            let _ = waiting.news.send(news);
        }
    }

    /// Tells the calls to a host that it is lost.
    pub(super) fn host_lost(&self, host: &str) {
        let is_to = |waiting: &Waiting| waiting.host.as_deref() == Some(host);
        self.end(is_to, || News::HostLost);
    }

    fn end(&self, is_over: impl Fn(&Waiting) -> bool, news: impl Fn() -> News) {
        for (_, waiting) in self.calls().waiting.extract_if(|_, waiting| is_over(waiting)) {
            // A call that no longer waits needs no news.
            let _ = waiting.news.send(news());
        }
    }

    /// Returns how many calls wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.calls().waiting.len()
    }

    /// Returns the subject of answers. Before the first subscription it waits until the deadline.
    async fn inbox(&self, deadline: Instant) -> Option<Arc<str>> {
        if let Some(inbox) = &*self.inbox.borrow() {
            return Some(inbox.clone());
        }
        let mut known = self.inbox.subscribe();
        let known = Box::pin(tokio::time::timeout_at(deadline.into(), known.wait_for(Option::is_some))).await;
        known.ok().and_then(|known| known.ok().and_then(|inbox| inbox.clone()))
    }
}

impl Inner {
    /// Sends a request to a host, or to any, and waits for one answer.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the request was not sent; `MessageTooLarge` beyond the server's limit; `OutcomeUnknown` if no
    /// answer came in time, the connection was lost after the request was sent, or the host was lost.
    pub(super) async fn exchange(
        &self,
        subject: &RequestSubject,
        payload: Bytes,
        host: Option<&Arc<str>>,
        deadline: Instant,
    ) -> Result<Exchange> {
        let mark = self.connection.mark()?;
        let unsent = |why: &str| Error::new(ErrorKind::LatticeUnavailable, format!("a call was not sent: {why}"));
        let inbox = self.answers.inbox(deadline).await;
        let inbox = inbox.ok_or_else(|| unsent("the server has not confirmed the subscription for answers"))?;
        let (number, news) = self.answers.wait(host, mark);
        let reply = [&inbox, ".", &number.number.to_string()].concat();
        let client = self.connection.client()?;
        // Boxed, since it is large and waits only if the connection is slow.
        let sent = Box::pin(client.publish_with_reply(subject.clone(), reply, payload)).await;
        sent.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => {
                let message = format!("a call on {subject} is larger than the NATS server accepts");
                Error::new(ErrorKind::MessageTooLarge, message).caused_by(error)
            }
            _ => unsent("the connection is closed").caused_by(error),
        })?;
        let unknown = |reason: &str| {
            let message = format!("{reason} before a call on {subject} was answered: it may have been executed");
            Err(Error::new(ErrorKind::OutcomeUnknown, message))
        };
        match tokio::time::timeout_at(deadline.into(), news).await {
            Ok(Ok(News::Answer(payload))) => Ok(Exchange::Answer(payload)),
            Ok(Ok(News::NoSubscriber)) => Ok(Exchange::NoSubscriber),
            Ok(Ok(News::HostLost)) => unknown("the other host was lost"),
            Ok(Ok(News::ConnectionLost) | Err(_)) => unknown("the connection with the NATS server was lost"),
            Err(_) => unknown("the deadline passed"),
        }
    }
}

/// Receives answers until the connection is closed.
pub(super) async fn serve(rpc: Arc<Inner>) {
    while rpc.connection.joined().await {
        let Ok(client) = rpc.connection.client() else { continue };
        let inbox: Arc<str> = client.new_inbox().into();
        let subject = Subject::new(format!("{inbox}.*"));
        let subscribed = || {
            rpc.answers.inbox.send_replace(Some(inbox.clone()));
        };
        let until = Until::Closed;
        listening::listen(&rpc, subject, until, subscribed, |rpc, message| rpc.answers.arrived(message)).await;
    }
}

/// Tells the calls that wait when the connection is lost, until it is closed.
pub(super) async fn follow_connection(rpc: Arc<Inner>) {
    let mut status = rpc.connection.watch();
    loop {
        if status.changed().await.is_err() {
            return;
        }
        status.borrow_and_update();
        rpc.answers.end(|waiting| !rpc.connection.is_unbroken(waiting.mark), || News::ConnectionLost);
        if rpc.connection.joined().now_or_never() == Some(false) {
            rpc.is_over.send_replace(true);
            return;
        }
    }
}
