//! Whose time passes while a guest serves a call: its own, while it computes, or that of others, while it waits for them.
//!
//! Only its own time can be held against a guest. One that is ended because its deadline has passed while it waited, or
//! while its shard was busy with others, has not crashed: it would have answered if it had not been kept waiting.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use wasmcloud_engine::Fault;

/// What a guest does with the time of a call. It is told of each step of the guest.
#[derive(Debug)]
pub(crate) struct Clock {
    /// How long the guest may take for a call that it gets in time.
    allotted: Cell<Duration>,
    deadline: Cell<Instant>,
    /// How long it has computed for the call.
    computed: Cell<Duration>,
    /// Since when it computes; nothing while it is suspended.
    computes_since: Cell<Option<Instant>>,
    /// Whether it is suspended in a call of its own.
    is_waiting: Cell<bool>,
    /// Whether it was still waiting when the deadline passed.
    was_kept_waiting: Cell<bool>,
}

/// A call of the guest's own, for as long as the guest waits for it.
pub(super) struct Waiting<'a>(&'a Clock);

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            allotted: Cell::default(),
            deadline: Cell::new(Instant::now()),
            computed: Cell::default(),
            computes_since: Cell::default(),
            is_waiting: Cell::default(),
            was_kept_waiting: Cell::default(),
        }
    }

    /// Begins to count for a call whose first step is made now.
    pub(super) fn begin(&self, now: Instant, deadline: Instant, allotted: Duration) {
        self.allotted.set(allotted);
        self.deadline.set(deadline);
        self.computed.set(Duration::ZERO);
        self.computes_since.set(Some(now));
        self.is_waiting.set(false);
        self.was_kept_waiting.set(false);
    }

    /// The guest goes on.
    pub(super) fn resume(&self) {
        if !self.is_waiting.get() {
            self.computes_since.set(Some(Instant::now()));
        }
    }

    /// The guest is suspended, or has ended.
    pub(super) fn pause(&self) {
        if let Some(since) = self.computes_since.take() {
            self.computed.set(self.computed.get() + since.elapsed());
        }
    }

    /// The guest makes a call of its own, and waits for it until the result is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.pause();
        self.is_waiting.set(true);
        Waiting(self)
    }

    /// Counts the time of work that is polled.
    pub(super) async fn count<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.resume();
            let polled = work.as_mut().poll(context);
            self.pause();
            polled
        })
        .await
    }

    /// Why a fault that ends the call is not the guest's own, if it is not. A guest is to blame for a deadline that it has
    /// computed beyond: for most of the time that it may take for a call, up to the end.
    pub(super) fn excuse(&self, fault: &Fault) -> Option<String> {
        let (computed, allotted) = (self.computed.get(), self.allotted.get());
        if self.was_kept_waiting.get() || (self.is_waiting.get() && matches!(fault, Fault::Deadline)) {
            Some("its time was up while it waited for a call of its own".to_owned())
        } else if matches!(fault, Fault::Deadline) && computed < allotted / 4 * 3 {
            Some(format!("its time was up when it had computed for {computed:.0?} of the {allotted:?} that it may"))
        } else {
            None
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let (clock, now) = (self.0, Instant::now());
        clock.is_waiting.set(false);
        clock.was_kept_waiting.set(now >= clock.deadline.get());
        clock.computes_since.set(Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOTTED: Duration = Duration::from_secs(10);

    /// A clock of a call that was begun so long ago, and has so long left.
    fn clock(computed: Duration, left: Duration) -> Clock {
        let (clock, now) = (Clock::new(), Instant::now());
        clock.begin(now - computed, now + left, ALLOTTED);
        clock
    }

    fn trap() -> Fault {
        Fault::trapped("deliberately")
    }

    #[test]
    fn whoever_computes_to_the_end_is_to_blame() {
        let clock = clock(ALLOTTED, Duration::ZERO);
        clock.pause();
        assert_eq!(clock.excuse(&Fault::Deadline), None);
        assert_eq!(clock.excuse(&trap()), None);
    }

    #[test]
    fn whoever_waits_when_the_time_is_up_is_not() {
        for computed in [Duration::ZERO, ALLOTTED] {
            let clock = clock(computed, Duration::ZERO);
            let waiting = clock.wait();
            assert!(clock.excuse(&Fault::Deadline).is_some());
            assert_eq!(clock.excuse(&trap()), None, "it does not wait any more when it traps");
            // It goes on, with an error that it was not made for.
            drop(waiting);
            assert!(clock.excuse(&Fault::Deadline).is_some() && clock.excuse(&trap()).is_some());
        }
    }

    #[test]
    fn time_that_others_take_is_not_that_of_the_guest() {
        let clock = clock(ALLOTTED / 2, ALLOTTED);
        clock.pause();
        // Its shard serves others here.
        clock.resume();
        drop(clock.wait());
        clock.pause();
        assert!(clock.computed.get() >= ALLOTTED / 2 && clock.computed.get() < ALLOTTED / 4 * 3);
        assert!(clock.excuse(&Fault::Deadline).unwrap().contains("of the 10s"));
        assert_eq!(clock.excuse(&trap()), None);
    }

    #[test]
    fn each_call_is_counted_anew() {
        let clock = clock(ALLOTTED, Duration::ZERO);
        drop(clock.wait());
        let now = Instant::now();
        clock.begin(now, now + ALLOTTED, ALLOTTED);
        clock.pause();
        assert_eq!(clock.excuse(&trap()), None);
        assert!(clock.computed.get() < ALLOTTED);
    }
}
