//! The one timer of a connection, and what it is asked for by others.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use tokio::time::Instant;

use super::{Activity, Verdict};
use crate::connection_table::Asked;

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended<T> {
    ByItself(T),
    /// It had taken too long over something, or others needed what it held.
    Cut,
}

/// Runs a connection to its end, or until it is to be cut. `end` is called once when it is to end with the requests that are
/// under way.
pub(crate) async fn in_time<C: Future>(
    mut connection: Pin<&mut C>,
    mut end: impl FnMut(Pin<&mut C>),
    activity: &Activity,
) -> Ended<C::Output> {
    let mut timer = pin!(tokio::time::sleep(activity.patience.idle));
    poll_fn(|context| {
        activity.peer.wake_when_asked(context.waker());
        loop {
            match activity.peer.asked() {
                Asked::Nothing => {}
                Asked::ToBeCut => return Poll::Ready(Ended::Cut),
                Asked::ToEnd => end_once(activity, || end(connection.as_mut())),
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(Ended::ByItself(ended));
            }
            activity.watch_answers();
            if let Some(deadline) = activity.deadline()
                && deadline < timer.deadline()
            {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(context));
            let now = Instant::now();
            match activity.verdict(now) {
                Verdict::GoesOn(deadline) => timer.as_mut().reset(deadline.unwrap_or(now + activity.patience.idle)),
                Verdict::Ends => end_once(activity, || end(connection.as_mut())),
                Verdict::IsCut => return Poll::Ready(Ended::Cut),
            }
        }
    })
    .await
}

fn end_once(activity: &Activity, end: impl FnOnce()) {
    if activity.ending.get().is_none() {
        activity.end(Instant::now());
        end();
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use super::super::{Patience, Sending};
    use super::*;
    use crate::connection_table::{Admission, ConnectionTable};

    /// Times so far from each other that a busy machine does not bring them into another order.
    const SHORT: Patience = Patience {
        idle: Duration::from_millis(400),
        head: Duration::from_millis(100),
        write: Duration::from_millis(200),
        end: Duration::from_millis(10),
    };

    async fn connection() -> (Admission, Rc<Activity>) {
        let admission = ConnectionTable::new().admit(0, [127, 0, 0, 1].into()).await;
        let activity = Activity::new(SHORT, admission.0.clone());
        (admission, activity)
    }

    /// How long an endless connection lasts that does this first, and how often it was told to end before.
    async fn lasts<T>(begin: impl FnOnce(&Rc<Activity>) -> T) -> (Duration, u32) {
        let (_admission, activity) = connection().await;
        let begun = Instant::now();
        let _kept = begin(&activity);
        let mut told = 0;
        let ended = in_time(pin!(std::future::pending::<()>()), |_| told += 1, &activity).await;
        assert_eq!(ended, Ended::Cut);
        (begun.elapsed(), told)
    }

    #[tokio::test]
    async fn a_connection_is_cut_by_what_it_waits_for() {
        let (idle, told) = lasts(|_| {}).await;
        assert!(idle >= SHORT.idle && told == 1, "{idle:?}");
        let (head, told) = lasts(|activity| activity.has_read(b"GET")).await;
        assert!((SHORT.head..SHORT.idle).contains(&head) && told == 0, "{head:?}");
        let (write, told) = lasts(|activity| activity.cannot_write()).await;
        assert!((SHORT.write..SHORT.idle).contains(&write) && told == 0, "{write:?}");
        let (answered, told) = lasts(|activity| drop(activity.begin_request(false))).await;
        assert!(answered >= SHORT.idle && told == 1, "{answered:?}");
        let (asked, told) = lasts(|activity| activity.peer.table.ask(&activity.peer, Asked::ToEnd)).await;
        assert!((SHORT.end..SHORT.idle).contains(&asked) && told == 1, "{asked:?}");
        let (cut, told) = lasts(|activity| activity.peer.table.ask(&activity.peer, Asked::ToBeCut)).await;
        assert!(cut < SHORT.idle && told == 0, "{cut:?}");
    }

    #[tokio::test]
    async fn housekeeping_of_a_multiplexed_connection_is_no_slow_head_and_no_request() {
        let after_a_request = lasts(|activity| {
            drop(activity.begin_request(true));
            activity.has_read(b"");
        });
        assert!(after_a_request.await.0 >= SHORT.idle);
        assert!(lasts(|activity| activity.has_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).await.0 >= SHORT.idle);
        // However often it is written to, it is closed.
        let (_admission, activity) = connection().await;
        activity.has_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut pinged = tokio::time::interval(SHORT.idle / 10);
        let pings = pin!(poll_fn(|context| {
            ready!(pinged.poll_tick(context));
            activity.has_written();
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert_eq!(in_time(pings, |_| {}, &activity).await, Ended::Cut);
    }

    #[tokio::test]
    async fn a_request_that_is_being_served_has_its_own_limits() {
        let (_admission, activity) = connection().await;
        let (one, two) = (activity.begin_request(true), activity.begin_request(true));
        let served = pin!(async {
            tokio::time::sleep(SHORT.idle * 2).await;
            drop(one);
            tokio::time::sleep(SHORT.idle * 2).await;
            drop(two);
        });
        assert_eq!(in_time(served, |_| {}, &activity).await, Ended::ByItself(()));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_cuts_the_connection_whatever_else_it_does() {
        let (_admission, activity) = connection().await;
        let stuck = Sending::begin(activity.begin_request(true), None);
        let moving = Sending::begin(activity.begin_request(true), None);
        let mut ticks = tokio::time::interval(SHORT.write / 20);
        let busy = pin!(poll_fn(|context| {
            ready!(ticks.poll_tick(context));
            // Everything but that one answer is well.
            activity.has_written();
            activity.has_read(b"PING");
            stuck.has_sent(1);
            moving.has_sent(1 << 20);
            drop(activity.begin_request(true));
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert_eq!(in_time(busy, |_| {}, &activity).await, Ended::Cut);
    }

    #[tokio::test]
    async fn what_is_in_flight_when_a_connection_is_to_end_has_its_time() {
        let (_admission, activity) = connection().await;
        let serving = activity.begin_request(true);
        activity.peer.table.ask(&activity.peer, Asked::ToEnd);
        let served = pin!(async {
            tokio::time::sleep(SHORT.end * 10).await;
            drop(serving);
            std::future::pending::<()>().await;
        });
        let begun = Instant::now();
        assert_eq!(in_time(served, |_| {}, &activity).await, Ended::Cut);
        assert!(begun.elapsed() >= SHORT.end * 11);
    }
}
