//! The phase of a connection, and its timeouts.
//!
//! Each connection has one timer, which is reset only when it fires. A busy connection changes its phase with every request
//! without touching the timer.

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

/// The beginning of the HTTP/2 connection preface (RFC 9113, section 3.4).
const HTTP_2: &[u8] = b"PRI * HTTP/2.0";

/// The timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionTimeouts {
    /// Time without a request after which the connection is closed.
    pub(crate) idle: Duration,
    /// Maximum time for the head of a request to arrive.
    pub(crate) head: Duration,
    /// Maximum time that the client reads less than 8 KiB of a response.
    pub(crate) write: Duration,
    /// Time without a request after which a connection that is to close is closed.
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

/// The activity of a connection. Shared by its stream, which reports bytes, and its service, which reports requests.
#[derive(Debug)]
pub(crate) struct Activity {
    connection: Arc<ConnectionHandle>,
    timeouts: ConnectionTimeouts,
    phase: Cell<Phase>,
    /// Number of requests whose response has not been sent completely.
    requests: Cell<usize>,
    /// Whether the connection is multiplexed (HTTP/2). Bytes that are not part of a request are then control frames rather than a slow head.
    multiplexed: Cell<bool>,
    /// The time at which the connection was requested to close.
    ending: Cell<Option<Instant>>,
    /// The time since which writes have been blocked.
    stalled: Cell<Option<Instant>>,
    /// The progress of the responses that are being sent.
    answers: RefCell<Slab<Progress>>,
    /// The time of the next review of these, if there are any.
    review: Cell<Option<Instant>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No request since this time.
    Idle(Instant),
    /// The head of a request has been arriving since this time.
    Head(Instant),
    /// A request is being served, which has timeouts of its own.
    Serving,
}

/// The action when the timer of a connection fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeoutAction {
    /// Continue until this time.
    Continue(Option<Instant>),
    /// Close after the requests that the client may be sending.
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

    /// Reports that a request has arrived. Dropping the returned guard ends the request.
    pub(crate) fn begin_request(self: &Rc<Activity>, multiplexed: bool) -> RequestInFlight {
        self.multiplexed.set(multiplexed);
        self.requests.set(self.requests.get() + 1);
        self.phase.set(Phase::Serving);
        self.connection.set_busy();
        RequestInFlight(self.clone())
    }

    /// Records that the connection is to close.
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

    /// Schedules the review of responses that could not be sent at once.
    fn watch_answers(&self) {
        match (self.answers.borrow().is_empty(), self.review.get()) {
            (true, Some(_)) => self.review.set(None),
            (false, None) => self.review.set(Some(Instant::now() + self.review_period())),
            _ => {}
        }
    }

    /// Returns a fraction of the write timeout, so that the decision at its end is not late by much.
    fn review_period(&self) -> Duration {
        self.timeouts.write / response_in_flight::REVIEWS
    }

    /// Returns the earliest time at which a timeout expires.
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

    /// Returns the action to take now.
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

/// A request that is being served, until its response has been sent.
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
