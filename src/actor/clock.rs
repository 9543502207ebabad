//! The time that a guest uses during a call: its own while it computes, or that of others while it waits for them.
//!
//! A guest is responsible for its own time only. A guest that is ended because its deadline passed while it waited, or
//! while its shard was busy with other guests, has not crashed: without the wait it would have answered in time.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use wasmcloud_engine::Fault;

/// Measures a guest's use of a call's time. The guest's actor reports each step to it.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The time that the guest may take for a call that reaches it at once.
    allotted: Cell<Duration>,
    deadline: Cell<Instant>,
    /// The time that it has computed for the call.
    computed: Cell<Duration>,
    /// The time since which it has computed. `None` while it is suspended.
    computes_since: Cell<Option<Instant>>,
    /// Whether it is suspended in a call of its own.
    is_waiting: Cell<bool>,
    /// Whether its own call lasted until after the deadline.
    waited_past_deadline: Cell<bool>,
}

/// The guest's wait for a call of its own. The wait ends when this is dropped.
pub(super) struct GuestWait<'a>(&'a Clock);

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            allotted: Cell::default(),
            deadline: Cell::new(Instant::now()),
            computed: Cell::default(),
            computes_since: Cell::default(),
            is_waiting: Cell::default(),
            waited_past_deadline: Cell::default(),
        }
    }

    /// Starts the measurement of a call, with its first step.
    pub(super) fn begin(&self, now: Instant, deadline: Instant, allotted: Duration) {
        self.allotted.set(allotted);
        self.deadline.set(deadline);
        self.computed.set(Duration::ZERO);
        self.computes_since.set(Some(now));
        self.is_waiting.set(false);
        self.waited_past_deadline.set(false);
    }

    /// Records that the guest continues to compute.
    pub(super) fn resume(&self) {
        if !self.is_waiting.get() {
            self.computes_since.set(Some(Instant::now()));
        }
    }

    /// Records that the guest is suspended or has ended.
    pub(super) fn pause(&self) {
        if let Some(since) = self.computes_since.take() {
            self.computed.set(self.computed.get() + since.elapsed());
        }
    }

    /// Records that the guest waits for a call of its own, until the result is dropped.
    pub(super) fn wait(&self) -> GuestWait<'_> {
        self.pause();
        self.is_waiting.set(true);
        GuestWait(self)
    }

    /// Measures the time of work whenever it is polled.
    pub(super) async fn measure<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.resume();
            let polled = work.as_mut().poll(context);
            self.pause();
            polled
        })
        .await
    }

    /// Returns the cause of an interruption if the guest is not responsible for the fault that ends its call. It is
    /// responsible for an exceeded deadline if it has computed up to the deadline, for most of the time that it may
    /// take.
    pub(super) fn interruption(&self, fault: &Fault) -> Option<String> {
        let computed = self.computed.get();
        let allotted = self.allotted.get();
        if self.waited_past_deadline.get() || (self.is_waiting.get() && matches!(fault, Fault::Deadline)) {
            Some("its deadline passed while it waited for a call of its own".to_owned())
        } else if matches!(fault, Fault::Deadline) && computed < allotted / 4 * 3 {
            Some(format!(
                "its deadline passed when it had computed for {computed:.0?} of the {allotted:?} that it may take"
            ))
        } else {
            None
        }
    }
}

impl Drop for GuestWait<'_> {
    fn drop(&mut self) {
        let clock = self.0;
        let now = Instant::now();
        clock.is_waiting.set(false);
        clock.waited_past_deadline.set(now >= clock.deadline.get());
        clock.computes_since.set(Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOTTED: Duration = Duration::from_secs(10);

    /// Returns the clock of a call that began `computed` ago and has `left` until its deadline.
    fn clock(computed: Duration, left: Duration) -> Clock {
        let (clock, now) = (Clock::new(), Instant::now());
        clock.begin(now - computed, now + left, ALLOTTED);
        clock
    }

    fn trap() -> Fault {
        Fault::trapped("deliberately")
    }

    #[test]
    fn a_guest_that_computes_past_its_deadline_is_responsible() {
        let clock = clock(ALLOTTED, Duration::ZERO);
        clock.pause();
        assert_eq!(clock.interruption(&Fault::Deadline), None);
        assert_eq!(clock.interruption(&trap()), None);
    }

    #[test]
    fn a_guest_that_waits_past_its_deadline_is_not_responsible() {
        for computed in [Duration::ZERO, ALLOTTED] {
            let clock = clock(computed, Duration::ZERO);
            let waiting = clock.wait();
            assert!(clock.interruption(&Fault::Deadline).is_some());
            assert_eq!(clock.interruption(&trap()), None, "it does not wait when it traps");
            // The guest continues, with an error that its wait has caused.
            drop(waiting);
            assert!(clock.interruption(&Fault::Deadline).is_some() && clock.interruption(&trap()).is_some());
        }
    }

    #[test]
    fn time_that_other_guests_take_is_not_counted() {
        let clock = clock(ALLOTTED / 2, ALLOTTED);
        clock.pause();
        // Its shard serves other guests here.
        clock.resume();
        drop(clock.wait());
        clock.pause();
        assert!(clock.computed.get() >= ALLOTTED / 2 && clock.computed.get() < ALLOTTED / 4 * 3);
        assert!(clock.interruption(&Fault::Deadline).unwrap().contains("of the 10s"));
        assert_eq!(clock.interruption(&trap()), None);
    }

    #[test]
    fn each_call_is_measured_from_zero() {
        let clock = clock(ALLOTTED, Duration::ZERO);
        drop(clock.wait());
        let now = Instant::now();
        clock.begin(now, now + ALLOTTED, ALLOTTED);
        clock.pause();
        assert_eq!(clock.interruption(&trap()), None);
        assert!(clock.computed.get() < ALLOTTED);
    }
}
