//! What an actor can ask for, and what travels with a call: the time it has left, and who waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::actor::mailbox::InstanceNumber;

/// A limit so long that no clock can tell its end is taken for this.
const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What somebody is asked.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) operation: String,
    pub(crate) payload: Vec<u8>,
}

/// A call that an actor makes, in waPC's terms.
#[derive(Debug)]
pub(crate) struct ActorCall {
    pub(crate) binding: String,
    pub(crate) namespace: String,
    pub(crate) operation: String,
    pub(crate) message: Vec<u8>,
}

/// The context of one call. A call chain shares one deadline.
#[derive(Debug, Clone)]
pub(crate) struct CallContext {
    pub(crate) deadline: Instant,
    waiting: Option<Arc<Waiting>>,
    attended: Option<Arc<Attended>>,
}

/// Whether somebody still waits for the answer, and for those of the calls that it is part of.
#[derive(Debug)]
struct Attended {
    given_up: AtomicBool,
    before: Option<Arc<Attended>>,
}

/// Kept by a caller for as long as it waits for an answer. When it is dropped before, whoever works on the call learns
/// that nobody wants the answer any more.
#[derive(Debug)]
pub(crate) struct Attendance(Option<Arc<Attended>>);

impl Attendance {
    /// The answer has come.
    pub(crate) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        if let Some(attended) = &self.0 {
            attended.given_up.store(true, Ordering::Relaxed);
        }
    }
}

/// An actor that waits for the call, and those that wait for it in turn.
#[derive(Debug)]
struct Waiting {
    actor: Arc<str>,
    instance: InstanceNumber,
    before: Option<Arc<Waiting>>,
    /// How many actors wait, this one included.
    depth: usize,
}

impl CallContext {
    /// The context of a call that begins a chain.
    pub(crate) fn begin(limit: Duration) -> CallContext {
        let now = Instant::now();
        let deadline = now.checked_add(limit).unwrap_or_else(|| now + LONG);
        CallContext { deadline, waiting: None, attended: None }
    }

    /// The same call, made by somebody who may give up.
    pub(crate) fn attended(self) -> (CallContext, Attendance) {
        let attended = Arc::new(Attended { given_up: AtomicBool::new(false), before: self.attended });
        (CallContext { attended: Some(attended.clone()), ..self }, Attendance(Some(attended)))
    }

    /// Whether somebody who waited for this call, or for one that it is part of, has given up.
    pub(crate) fn is_given_up(&self) -> bool {
        std::iter::successors(self.attended.as_deref(), |attended| attended.before.as_deref())
            .any(|attended| attended.given_up.load(Ordering::Relaxed))
    }

    /// The deadline for somebody who takes the call now and may work on it so long.
    pub(crate) fn deadline_within(&self, limit: Duration, now: Instant) -> Instant {
        now.checked_add(limit).map_or(self.deadline, |own| own.min(self.deadline))
    }

    /// The same call with another deadline.
    pub(crate) fn until(self, deadline: Instant) -> CallContext {
        CallContext { deadline, ..self }
    }

    /// The context of a call that an instance of `actor` makes while it serves this one.
    pub(crate) fn through(&self, actor: &Arc<str>, instance: InstanceNumber) -> CallContext {
        let waiting = Waiting { actor: actor.clone(), instance, before: self.waiting.clone(), depth: self.depth() + 1 };
        CallContext { deadline: self.deadline, waiting: Some(Arc::new(waiting)), attended: self.attended.clone() }
    }

    /// Whether this instance of `actor` waits for this call already: it could never answer it.
    pub(crate) fn waits(&self, actor: &str, instance: InstanceNumber) -> bool {
        self.waiting().any(|waiting| waiting.instance == instance && *waiting.actor == *actor)
    }

    /// Where `actor` waits for this call already: the way the call has come, from that actor on.
    pub(crate) fn cycle_through(&self, actor: &str) -> Option<String> {
        let steps = self.waiting().position(|waiting| *waiting.actor == *actor)?;
        let callers = self.waiting().take(steps + 1).map(|waiting| &*waiting.actor);
        let mut way: Vec<&str> = std::iter::once(actor).chain(callers).collect();
        way.reverse();
        Some(way.join(" -> "))
    }

    /// How many actors wait for this call.
    pub(crate) fn depth(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.depth)
    }

    /// Those that wait for this call, the last one first.
    fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        std::iter::successors(self.waiting.as_deref(), |waiting| waiting.before.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_works_on_a_call_learns_that_a_caller_has_given_up() {
        let (outer, outer_attendance) = CallContext::begin(Duration::from_secs(1)).attended();
        let (inner, inner_attendance) = outer.through(&"a".into(), InstanceNumber(0)).attended();
        let further = inner.through(&"b".into(), InstanceNumber(0));
        assert!(!further.is_given_up());
        inner_attendance.end();
        assert!(!further.is_given_up());
        drop(outer_attendance);
        assert!(further.is_given_up());
        assert!(outer.is_given_up());
    }

    #[test]
    fn a_cycle_is_named_from_the_actor_that_waits() {
        let context = CallContext::begin(Duration::from_secs(1));
        assert_eq!(context.cycle_through("a"), None);
        let context = context
            .through(&"x".into(), InstanceNumber(0))
            .through(&"a".into(), InstanceNumber(0))
            .through(&"b".into(), InstanceNumber(0));
        assert_eq!(context.cycle_through("a").unwrap(), "a -> b -> a");
        assert_eq!(context.cycle_through("b").unwrap(), "b -> b");
        assert_eq!(context.cycle_through("c"), None);
        assert!(context.waits("a", InstanceNumber(0)));
        assert!(!context.waits("a", InstanceNumber(1)));
    }
}
