//! A load: callers that make calls, and record what becomes of each.
//!
//! A caller that waits for an answer makes no other call meanwhile. With a rate, calls are due at fixed times: a call that no
//! caller was free to make on time counts from when it was due, so that a target that falls behind is not measured less often. Only
//! the inexactness of timers does not count: a caller that wakes up much later shows that the machine is busy.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

use super::plan::{End, Load, Pace};
use super::recorder::{CallOutcome, Recorder};
use super::report::{LoadReport, microseconds};
use super::target::Caller;

/// How long after the end of a load calls are begun that were due before it.
const GRACE: Duration = Duration::from_secs(10);

/// How much later than asked for a timer may wake a caller. Timers have ticks of a millisecond.
const TIMER: Duration = Duration::from_millis(2);

/// Ends all loads before their time.
#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: Cell<bool>,
    changed: Notify,
}

impl Stop {
    /// Asks all loads to end with the calls in progress.
    pub(super) fn ask(&self) {
        self.asked.set(true);
        self.changed.notify_waiters();
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.get()
    }

    /// Waits until a time. Returns at once when the end is asked for.
    async fn sleep_until(&self, at: Instant) {
        let changed = self.changed.notified();
        if !self.asked.get() {
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(at.into()) => {}
            }
        }
    }
}

/// Counts the calls of all loads while they are made.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: Cell<u64>,
    pub(super) bad: Cell<u64>,
}

/// What loads share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session<'a> {
    pub(super) stop: &'a Stop,
    pub(super) tally: &'a Tally,
    /// When the run began.
    pub(super) began: Instant,
}

/// Makes a number of calls that are not recorded.
pub(super) async fn warm_up(calls: u64, caller: &Caller, stop: &Stop) {
    for _ in 0..calls {
        if stop.is_asked() {
            return;
        }
        caller.call(None).await;
        consume_budget().await;
    }
}

/// Runs a load to its end, and returns its record.
pub(super) async fn run(load: &Load, caller: &Caller, session: Session<'_>) -> LoadReport {
    session.stop.sleep_until(session.began + load.start).await;
    let first = Instant::now();
    let recorder = RefCell::new(Recorder::new(first));
    let (next, latest_wake) = (Cell::new(0), Cell::new(Duration::ZERO));
    let running = Running { load, caller, session, first, next, latest_wake, recorder };
    join_all((0..load.callers).map(|number| running.make_calls(number))).await;
    let latest_wake_us = microseconds(running.latest_wake.get());
    let report = running.recorder.into_inner().finish();
    LoadReport {
        name: load.name.clone(),
        target: caller.to_string(),
        pace: pace(load),
        began_us: microseconds(first.saturating_duration_since(session.began)),
        latest_wake_us,
        not_begun: planned(load).map_or(0, |planned| planned.saturating_sub(report.calls)),
        ..report
    }
}

/// Returns how many calls a load makes, if that is known before.
fn planned(load: &Load) -> Option<u64> {
    match (load.pace, load.end) {
        (_, End::Calls(calls)) => Some(calls),
        // A product that is not exact must not add a call.
        (Pace::Open { rate }, End::After(duration)) => Some((rate * duration.as_secs_f64() - 1e-6).ceil() as u64),
        (Pace::Closed { .. }, End::After(_)) => None,
    }
}

/// Returns how calls are made, in words.
pub(super) fn pace(load: &Load) -> String {
    let callers = if load.callers == 1 { "1 caller".to_owned() } else { format!("{} callers", load.callers) };
    match load.pace {
        Pace::Closed { pause: Duration::ZERO } => format!("{callers}, call after call"),
        Pace::Closed { pause } => format!("{callers}, with pauses of {pause:?}"),
        Pace::Open { rate } => format!("{rate} calls per second, at most {} at a time", load.callers),
    }
}

/// Returns the time from which a call counts whose caller slept until it was due.
fn counts_from(due: Instant, woke: Instant) -> Instant {
    if woke.saturating_duration_since(due) <= TIMER { woke } else { due }
}

struct Running<'a> {
    load: &'a Load,
    caller: &'a Caller,
    session: Session<'a>,
    first: Instant,
    /// The number of the next call, from 0.
    next: Cell<u64>,
    /// How much later than a call was due a caller woke up.
    latest_wake: Cell<Duration>,
    recorder: RefCell<Recorder>,
}

impl Running<'_> {
    /// Makes the calls of one caller.
    async fn make_calls(&self, number: usize) {
        if let Pace::Closed { pause } = self.load.pace {
            // The callers are out of phase.
            let share = number as f64 / self.load.callers as f64;
            self.session.stop.sleep_until(self.first + pause.mul_f64(share)).await;
        }
        while let Some(call) = self.take() {
            let Some(begin) = self.begin(call).await else { return };
            let outcome = self.caller.call(self.load.answer.as_deref()).await;
            self.record(begin, outcome);
            if let Pace::Closed { pause } = self.load.pace
                && !pause.is_zero()
            {
                self.session.stop.sleep_until(Instant::now() + pause).await;
            }
            // A call that is refused at once must not keep the others from being made.
            consume_budget().await;
        }
    }

    /// Takes the number of the next call, unless the load has ended.
    fn take(&self) -> Option<u64> {
        let call = self.next.get();
        let is_over = match self.load.end {
            End::Calls(calls) => call >= calls,
            // Calls that are due are begun, even if all callers were busy until the end.
            End::After(duration) => match self.due(call) {
                Some(due) => due >= self.first + duration || self.first.elapsed() >= duration + GRACE,
                None => self.first.elapsed() >= duration,
            },
        };
        if is_over || self.session.stop.is_asked() {
            return None;
        }
        self.next.set(call + 1);
        Some(call)
    }

    /// Returns when a call is due, if the load has a rate.
    fn due(&self, call: u64) -> Option<Instant> {
        match self.load.pace {
            Pace::Open { rate } => Some(self.first + Duration::from_secs_f64(call as f64 / rate)),
            Pace::Closed { .. } => None,
        }
    }

    /// Waits until a call is due, and returns the time from which it counts. `None` if the end is asked for.
    async fn begin(&self, call: u64) -> Option<Instant> {
        let now = Instant::now();
        let Some(due) = self.due(call) else { return Some(now) };
        if due <= now {
            return Some(due);
        }
        self.session.stop.sleep_until(due).await;
        if self.session.stop.is_asked() {
            return None;
        }
        let woke = Instant::now();
        self.latest_wake.set(self.latest_wake.get().max(woke.saturating_duration_since(due)));
        Some(counts_from(due, woke))
    }

    fn record(&self, begin: Instant, outcome: CallOutcome) {
        let Tally { calls, bad } = self.session.tally;
        calls.set(calls.get() + 1);
        if outcome != CallOutcome::Answered {
            bad.set(bad.get() + 1);
        }
        let now = Instant::now();
        self.recorder.borrow_mut().record(now.saturating_duration_since(begin), now, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_inexactness_of_timers_is_forgiven() {
        let due = Instant::now();
        let after = |micros: u64| due + Duration::from_micros(micros);
        assert_eq!(counts_from(due, after(0)), due);
        assert_eq!(counts_from(due, after(1_500)), after(1_500), "the timer");
        assert_eq!(counts_from(due, after(2_000)), after(2_000));
        assert_eq!(counts_from(due, after(2_001)), due, "the machine was busy, and users would have felt it");
        assert_eq!(counts_from(due, after(50_000)), due);
    }
}
