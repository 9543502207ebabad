//! Runs a connection with its timer and with requests to close it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use tokio::time::Instant;

use super::{Activity, TimeoutAction};
use crate::connection_table::CloseRequest;

/// The end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEnd<T> {
    Completed(T),
    /// A timeout expired, or other connections needed its slot or memory.
    Cut,
}

/// Runs a connection until it ends or has to be cut. Calls `end` once if it is to close after its requests in flight.
pub(crate) async fn run_with_timeouts<C: Future>(
    mut connection: Pin<&mut C>,
    mut end: impl FnMut(Pin<&mut C>),
    activity: &Activity,
) -> ConnectionEnd<C::Output> {
    let mut timer = pin!(tokio::time::sleep(activity.timeouts.idle));
    poll_fn(|context| {
        activity.connection.wake_on_close_request(context.waker());
        loop {
            match activity.connection.close_request() {
                CloseRequest::None => {}
                CloseRequest::Immediate => return Poll::Ready(ConnectionEnd::Cut),
                CloseRequest::Graceful => end_once(activity, || end(connection.as_mut())),
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(ConnectionEnd::Completed(ended));
            }
            activity.watch_answers();
            if let Some(deadline) = activity.deadline()
                && deadline < timer.deadline()
            {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(context));
            let now = Instant::now();
            match activity.timeout_action(now) {
                TimeoutAction::Continue(deadline) => {
                    timer.as_mut().reset(deadline.unwrap_or(now + activity.timeouts.idle))
                }
                TimeoutAction::CloseGracefully => end_once(activity, || end(connection.as_mut())),
                TimeoutAction::CloseNow => return Poll::Ready(ConnectionEnd::Cut),
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

    use super::super::{ConnectionTimeouts, ResponseInFlight};
    use super::*;
    use crate::connection_table::{ConnectionSlot, ConnectionTable};

    /// Timeouts that differ enough to keep their order on a busy machine.
    const SHORT: ConnectionTimeouts = ConnectionTimeouts {
        idle: Duration::from_millis(400),
        head: Duration::from_millis(100),
        write: Duration::from_millis(200),
        end: Duration::from_millis(10),
    };

    async fn connection() -> (ConnectionSlot, Rc<Activity>) {
        let slot = ConnectionTable::new().acquire_slot(0, [127, 0, 0, 1].into()).await;
        let activity = Activity::new(SHORT, slot.0.clone());
        (slot, activity)
    }

    /// Returns the duration of an endless connection after `begin`, and how often it was requested to close.
    async fn lasts<T>(begin: impl FnOnce(&Rc<Activity>) -> T) -> (Duration, u32) {
        let (_admission, activity) = connection().await;
        let begun = Instant::now();
        let _kept = begin(&activity);
        let mut told = 0;
        let ended = run_with_timeouts(pin!(std::future::pending::<()>()), |_| told += 1, &activity).await;
        assert_eq!(ended, ConnectionEnd::Cut);
        (begun.elapsed(), told)
    }

    #[tokio::test]
    async fn a_connection_is_cut_by_what_it_waits_for() {
        let (idle, told) = lasts(|_| {}).await;
        assert!(idle >= SHORT.idle && told == 1, "{idle:?}");
        let (head, told) = lasts(|activity| activity.on_read(b"GET")).await;
        assert!((SHORT.head..SHORT.idle).contains(&head) && told == 0, "{head:?}");
        let (write, told) = lasts(|activity| activity.on_write_blocked()).await;
        assert!((SHORT.write..SHORT.idle).contains(&write) && told == 0, "{write:?}");
        let (answered, told) = lasts(|activity| drop(activity.begin_request(false))).await;
        assert!(answered >= SHORT.idle && told == 1, "{answered:?}");
        let (asked, told) =
            lasts(|activity| activity.connection.table.request_close(&activity.connection, CloseRequest::Graceful))
                .await;
        assert!((SHORT.end..SHORT.idle).contains(&asked) && told == 1, "{asked:?}");
        let (cut, told) =
            lasts(|activity| activity.connection.table.request_close(&activity.connection, CloseRequest::Immediate))
                .await;
        assert!(cut < SHORT.idle && told == 0, "{cut:?}");
    }

    #[tokio::test]
    async fn housekeeping_of_a_multiplexed_connection_is_no_slow_head_and_no_request() {
        let after_a_request = lasts(|activity| {
            drop(activity.begin_request(true));
            activity.on_read(b"");
        });
        assert!(after_a_request.await.0 >= SHORT.idle);
        assert!(lasts(|activity| activity.on_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).await.0 >= SHORT.idle);
        // However often it is written to, it is closed.
        let (_admission, activity) = connection().await;
        activity.on_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut pinged = tokio::time::interval(SHORT.idle / 10);
        let pings = pin!(poll_fn(|context| {
            ready!(pinged.poll_tick(context));
            activity.on_written();
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert_eq!(run_with_timeouts(pings, |_| {}, &activity).await, ConnectionEnd::Cut);
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
        assert_eq!(run_with_timeouts(served, |_| {}, &activity).await, ConnectionEnd::Completed(()));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_cuts_the_connection_whatever_else_it_does() {
        let (_admission, activity) = connection().await;
        let stuck = ResponseInFlight::begin(activity.begin_request(true), None);
        let moving = ResponseInFlight::begin(activity.begin_request(true), None);
        let mut ticks = tokio::time::interval(SHORT.write / 20);
        let busy = pin!(poll_fn(|context| {
            ready!(ticks.poll_tick(context));
            // Everything makes progress but this one response.
            activity.on_written();
            activity.on_read(b"PING");
            stuck.record_sent(1);
            moving.record_sent(1 << 20);
            drop(activity.begin_request(true));
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert_eq!(run_with_timeouts(busy, |_| {}, &activity).await, ConnectionEnd::Cut);
    }

    #[tokio::test]
    async fn what_is_in_flight_when_a_connection_is_to_end_has_its_time() {
        let (_admission, activity) = connection().await;
        let request = activity.begin_request(true);
        activity.connection.table.request_close(&activity.connection, CloseRequest::Graceful);
        let served = pin!(async {
            tokio::time::sleep(SHORT.end * 10).await;
            drop(request);
            std::future::pending::<()>().await;
        });
        let begun = Instant::now();
        assert_eq!(run_with_timeouts(served, |_| {}, &activity).await, ConnectionEnd::Cut);
        assert!(begun.elapsed() >= SHORT.end * 11);
    }
}
