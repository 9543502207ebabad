//! What a connection is about, and how long it may stay so.
//!
//! One timer for each connection is set at most as often as it runs out: a connection that is busy changes its phase with
//! every request and never touches it.

mod observed_stream;
mod response_in_flight;
mod timer;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use crate::connection_table::ConnectionHandle;
pub(crate) use observed_stream::ObservedStream;
use response_in_flight::Progress;
pub(crate) use response_in_flight::ResponseInFlight;
pub(crate) use timer::{ConnectionEnd, run_with_timeouts};

/// How a client of HTTP/2 begins.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0";

/// How long a connection may stay about one thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionTimeouts {
    /// Without a request on it.
    pub(crate) idle: Duration,
    /// While the head of a request arrives.
    pub(crate) head: Duration,
    /// While the client accepts next to nothing of an answer.
    pub(crate) write: Duration,
    /// Without a request on it, once it is to end.
    pub(crate) end: Duration,
}

impl ConnectionTimeouts {
    pub(crate) const DEFAULT: ConnectionTimeouts = ConnectionTimeouts {
        idle: Duration::from_secs(75),
        head: Duration::from_secs(10),
        write: Duration::from_secs(30),
        end: Duration::from_secs(1),
    };
}

/// What one connection is about. Shared by its stream, which sees bytes, and its service, which sees requests.
#[derive(Debug)]
pub(crate) struct Activity {
    connection: Arc<ConnectionHandle>,
    timeouts: ConnectionTimeouts,
    phase: Cell<Phase>,
    /// How many requests are being served: their answers have not been sent to their end.
    requests: Cell<usize>,
    /// Whether requests come side by side (HTTP/2): then bytes without a request are no slow head, but housekeeping.
    multiplexed: Cell<bool>,
    /// Since when the connection is to end.
    ending: Cell<Option<Instant>>,
    /// Since when the client has taken nothing of what is to be written.
    stalled: Cell<Option<Instant>>,
    /// The answers that are being sent.
    answers: RefCell<Slab<Progress>>,
    /// When these are looked at next, while there are any.
    review: Cell<Option<Instant>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is asked, since then.
    Idle(Instant),
    /// A request has begun to arrive, then.
    Head(Instant),
    /// A request is being served, which has limits of its own.
    Serving,
}

/// What a connection deserves whose time for something is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeoutAction {
    /// It may go on until then.
    Continue(Option<Instant>),
    /// It is to end, with the requests that its client may just be sending.
    CloseGracefully,
    CloseNow,
}

impl Activity {
    pub(crate) fn new(timeouts: ConnectionTimeouts, connection: Arc<ConnectionHandle>) -> Rc<Activity> {
        Rc::new(Activity {
            connection,
            timeouts,
            phase: Cell::new(Phase::Idle(Instant::now())),
            requests: Cell::default(),
            multiplexed: Cell::default(),
            ending: Cell::default(),
            stalled: Cell::default(),
            answers: RefCell::default(),
            review: Cell::default(),
        })
    }

    /// A request has arrived. It is being served as long as what this returns is kept.
    pub(crate) fn begin_request(self: &Rc<Activity>, multiplexed: bool) -> RequestInFlight {
        self.multiplexed.set(multiplexed);
        self.requests.set(self.requests.get() + 1);
        self.phase.set(Phase::Serving);
        self.connection.set_busy();
        RequestInFlight(self.clone())
    }

    /// The client is to send no more requests.
    fn end(&self, now: Instant) {
        if self.ending.get().is_none() {
            self.ending.set(Some(now));
        }
    }

    fn on_read(&self, bytes: &[u8]) {
        if let Phase::Idle(_) = self.phase.get()
            && !self.multiplexed.get()
        {
            if bytes.starts_with(HTTP_2) {
                return self.multiplexed.set(true);
            }
            let now = Instant::now();
            self.phase.set(Phase::Head(now));
            self.connection.set_receiving_head(now.into_std());
        }
    }

    fn on_written(&self) {
        self.stalled.set(None);
    }

    fn on_write_blocked(&self) {
        if self.stalled.get().is_none() {
            self.stalled.set(Some(Instant::now()));
        }
    }

    /// Sees to it that answers which could not be sent at once are looked at later.
    fn watch_answers(&self) {
        match (self.answers.borrow().is_empty(), self.review.get()) {
            (true, Some(_)) => self.review.set(None),
            (false, None) => self.review.set(Some(Instant::now() + self.review_period())),
            _ => {}
        }
    }

    /// A part of the patience for writing, so that what is decided at its end is not late by much.
    fn review_period(&self) -> Duration {
        self.timeouts.write / response_in_flight::REVIEWS
    }

    /// When the connection has to be looked at if it goes on like this.
    fn deadline(&self) -> Option<Instant> {
        let write = self.stalled.get().map(|since| since + self.timeouts.write);
        earlier(self.phase_deadline(), earlier(write, self.review.get()))
    }

    fn phase_deadline(&self) -> Option<Instant> {
        match (self.phase.get(), self.ending.get()) {
            (Phase::Idle(since), Some(ending)) => Some(since.max(ending) + self.timeouts.end),
            (Phase::Idle(since), None) => Some(since + self.timeouts.idle),
            (Phase::Head(since), _) => Some(since + self.timeouts.head),
            (Phase::Serving, _) => None,
        }
    }

    /// What is to be done now.
    fn timeout_action(&self, now: Instant) -> TimeoutAction {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.stalled.get().map(|since| since + self.timeouts.write)) {
            return TimeoutAction::CloseNow;
        }
        if is_over(self.review.get()) {
            if self.answers.borrow_mut().iter_mut().any(|(_, progress)| progress.review()) {
                return TimeoutAction::CloseNow;
            }
            self.review.set(Some(now + self.review_period()));
        }
        match (is_over(self.phase_deadline()), self.phase.get(), self.ending.get()) {
            (false, ..) => TimeoutAction::Continue(self.deadline()),
            (true, Phase::Idle(_), None) => TimeoutAction::CloseGracefully,
            _ => TimeoutAction::CloseNow,
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A request that is being served.
#[derive(Debug)]
pub(crate) struct RequestInFlight(Rc<Activity>);

impl RequestInFlight {
    pub(crate) fn connection(&self) -> &Arc<ConnectionHandle> {
        &self.0.connection
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        let requests = self.0.requests.get() - 1;
        self.0.requests.set(requests);
        if requests == 0 {
            let now = Instant::now();
            self.0.phase.set(Phase::Idle(now));
            self.0.connection.set_idle(now.into_std());
            self.0.connection.table.on_idle(&self.0.connection);
        }
    }
}
