//! What a connection is about, and how long it may stay so.
//!
//! One timer for each connection is set at most as often as it runs out: a connection that is busy changes its phase with
//! every request and never touches it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long a connection may stay about one thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Without a request on it.
    idle: Duration,
    /// While the head of a request arrives.
    head: Duration,
    /// While the client accepts nothing of an answer.
    write: Duration,
}

impl Patience {
    pub(crate) const DEFAULT: Patience =
        Patience { idle: Duration::from_secs(75), head: Duration::from_secs(10), write: Duration::from_secs(30) };
}

/// What one connection is about. Shared by its stream, which sees bytes, and its service, which sees requests.
#[derive(Debug)]
pub(crate) struct Activity {
    patience: Patience,
    phase: Cell<Phase>,
    /// How many requests are being served.
    requests: Cell<usize>,
    /// Whether requests come side by side (HTTP/2): then bytes without a request are no slow head, but housekeeping.
    multiplexed: Cell<bool>,
    /// Since when the client has taken nothing of what is to be sent.
    stalled: Cell<Option<Instant>>,
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

impl Activity {
    pub(crate) fn new(patience: Patience) -> Rc<Activity> {
        Rc::new(Activity {
            patience,
            phase: Cell::new(Phase::Idle(Instant::now())),
            requests: Cell::default(),
            multiplexed: Cell::default(),
            stalled: Cell::default(),
        })
    }

    /// A request has arrived. It is being served as long as what this returns is kept.
    pub(crate) fn begin_request(self: &Rc<Activity>, multiplexed: bool) -> Serving {
        self.multiplexed.set(multiplexed);
        self.requests.set(self.requests.get() + 1);
        self.phase.set(Phase::Serving);
        Serving(self.clone())
    }

    fn has_read(&self) {
        if let Phase::Idle(_) = self.phase.get()
            && !self.multiplexed.get()
        {
            self.phase.set(Phase::Head(Instant::now()));
        }
    }

    fn has_written(&self) {
        self.stalled.set(None);
        if let Phase::Idle(_) = self.phase.get() {
            self.phase.set(Phase::Idle(Instant::now()));
        }
    }

    fn cannot_write(&self) {
        if self.stalled.get().is_none() {
            self.stalled.set(Some(Instant::now()));
        }
    }

    /// When the connection is to be cut if it goes on like this.
    fn deadline(&self) -> Option<Instant> {
        let Patience { idle, head, write } = self.patience;
        let phase = match self.phase.get() {
            Phase::Idle(since) => Some(since + idle),
            Phase::Head(since) => Some(since + head),
            Phase::Serving => None,
        };
        let write = self.stalled.get().map(|since| since + write);
        phase.into_iter().chain(write).min()
    }
}

/// A request that is being served.
#[derive(Debug)]
pub(crate) struct Serving(Rc<Activity>);

impl Drop for Serving {
    fn drop(&mut self) {
        let requests = self.0.requests.get() - 1;
        self.0.requests.set(requests);
        if requests == 0 {
            self.0.phase.set(Phase::Idle(Instant::now()));
        }
    }
}

/// Runs a connection to its end, or until it has taken too long over something: then there is nothing.
pub(crate) async fn in_time<T>(connection: impl Future<Output = T>, activity: &Activity) -> Option<T> {
    let mut connection = pin!(connection);
    let mut timer = pin!(tokio::time::sleep(activity.patience.idle));
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        if let Some(deadline) = activity.deadline()
            && deadline < timer.deadline()
        {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            let now = Instant::now();
            match activity.deadline() {
                Some(deadline) if deadline <= now => return Poll::Ready(None),
                later => timer.as_mut().reset(later.unwrap_or(now + activity.patience.idle)),
            }
        }
    })
    .await
}

/// A stream that tells what it sees.
pub(crate) struct Watched<S> {
    pub(crate) stream: S,
    pub(crate) activity: Rc<Activity>,
}

impl<S> Watched<S> {
    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(_) => self.activity.has_written(),
            Poll::Pending => self.activity.cannot_write(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.activity.has_read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_pending() {
            self.activity.cannot_write();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        if shut.is_pending() {
            self.activity.cannot_write();
        }
        shut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Patience = Patience {
        idle: Duration::from_millis(400),
        head: Duration::from_millis(100),
        write: Duration::from_millis(200),
    };

    /// How long an endless connection lasts that does this first.
    async fn lasts(begin: impl FnOnce(&Rc<Activity>)) -> Duration {
        let activity = Activity::new(SHORT);
        let begun = Instant::now();
        begin(&activity);
        assert_eq!(in_time(std::future::pending::<()>(), &activity).await, None);
        begun.elapsed()
    }

    #[tokio::test]
    async fn a_connection_is_cut_by_what_it_waits_for() {
        let idle = lasts(|_| {}).await;
        assert!(idle >= SHORT.idle, "{idle:?}");
        let head = lasts(|activity| activity.has_read()).await;
        assert!((SHORT.head..SHORT.idle).contains(&head), "{head:?}");
        let write = lasts(|activity| activity.cannot_write()).await;
        assert!((SHORT.write..SHORT.idle).contains(&write), "{write:?}");
        let answered = lasts(|activity| drop(activity.begin_request(false))).await;
        assert!(answered >= SHORT.idle, "{answered:?}");
    }

    #[tokio::test]
    async fn housekeeping_of_a_multiplexed_connection_is_no_slow_head() {
        let lasted = lasts(|activity| {
            drop(activity.begin_request(true));
            activity.has_read();
        });
        assert!(lasted.await >= SHORT.idle);
    }

    #[tokio::test]
    async fn a_request_that_is_being_served_has_its_own_limits() {
        let activity = Activity::new(SHORT);
        let (one, two) = (activity.begin_request(true), activity.begin_request(true));
        let served = async {
            tokio::time::sleep(SHORT.idle * 2).await;
            drop(one);
            tokio::time::sleep(SHORT.idle * 2).await;
            drop(two);
        };
        assert_eq!(in_time(served, &activity).await, Some(()));
    }
}
