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
    callers: Option<Arc<Caller>>,
}

/// A caller that waits for the answer, and those that wait for it in turn.
#[derive(Debug)]
struct Caller {
    kind: CallerKind,
    given_up: AtomicBool,
    before: Option<Arc<Caller>>,
    /// How many actors wait, this one included.
    depth: usize,
}

/// Who waits for the call.
#[derive(Debug)]
enum CallerKind {
    Outside,
    Actor(CallingActor),
    Provider(InstanceNumber),
}

/// An actor that waits for the call, and its instance.
#[derive(Debug)]
struct CallingActor {
    key: Arc<str>,
    instance: InstanceNumber,
}

/// Kept by a caller for as long as it waits for an answer. When it is dropped before, whoever works on the call learns
/// that nobody wants the answer any more.
#[derive(Debug)]
pub(crate) struct Attendance(Option<Arc<Caller>>);

impl Attendance {
    /// The answer has come.
    pub(crate) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        if let Some(caller) = &self.0 {
            caller.given_up.store(true, Ordering::Relaxed);
        }
    }
}

impl CallContext {
    /// The context of a call that begins a chain.
    pub(crate) fn begin(limit: Duration) -> CallContext {
        let now = Instant::now();
        let deadline = now.checked_add(limit).unwrap_or_else(|| now + LONG);
        CallContext { deadline, callers: None }
    }

    /// The same call, made by somebody who may give up.
    pub(crate) fn attended(self) -> (CallContext, Attendance) {
        let depth = self.depth();
        self.attended_by(CallerKind::Outside, depth)
    }

    /// The context of a call that an instance of `actor` makes while it serves this one. The instance may be lost before
    /// it has its answer.
    pub(crate) fn through(self, actor: &Arc<str>, instance: InstanceNumber) -> (CallContext, Attendance) {
        let depth = self.depth() + 1;
        self.attended_by(CallerKind::Actor(CallingActor { key: actor.clone(), instance }), depth)
    }

    fn attended_by(self, kind: CallerKind, depth: usize) -> (CallContext, Attendance) {
        let caller = Arc::new(Caller { kind, given_up: AtomicBool::new(false), before: self.callers, depth });
        (CallContext { callers: Some(caller.clone()), ..self }, Attendance(Some(caller)))
    }

    /// Whether somebody who waited for this call, or for one that it is part of, has given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.callers().any(|caller| caller.given_up.load(Ordering::Relaxed))
    }

    /// The deadline for somebody who takes the call now and may work on it so long.
    pub(crate) fn deadline_within(&self, limit: Duration, now: Instant) -> Instant {
        now.checked_add(limit).map_or(self.deadline, |own| own.min(self.deadline))
    }

    /// The same call with another deadline.
    pub(crate) fn until(self, deadline: Instant) -> CallContext {
        CallContext { deadline, ..self }
    }

    /// The same call, made by an instance of a provider, which may give up.
    pub(crate) fn through_provider(self, instance: InstanceNumber) -> (CallContext, Attendance) {
        let depth = self.depth();
        self.attended_by(CallerKind::Provider(instance), depth)
    }

    /// Whether an instance of a provider waits for this call, or for one that it is part of.
    pub(crate) fn is_awaited_by(&self, instance: InstanceNumber) -> bool {
        self.callers().any(|caller| matches!(caller.kind, CallerKind::Provider(provider) if provider == instance))
    }

    /// Whether this instance of `actor` waits for this call already: it could never answer it.
    pub(crate) fn waits(&self, actor: &str, instance: InstanceNumber) -> bool {
        self.waiting().any(|waiting| waiting.instance == instance && *waiting.key == *actor)
    }

    /// Where `actor` waits for this call already: the way the call has come, from that actor on.
    pub(crate) fn cycle_through(&self, actor: &str) -> Option<String> {
        let steps = self.waiting().position(|waiting| *waiting.key == *actor)?;
        let callers = self.waiting().take(steps + 1).map(|waiting| &*waiting.key);
        let mut way: Vec<&str> = std::iter::once(actor).chain(callers).collect();
        way.reverse();
        Some(way.join(" -> "))
    }

    /// How many actors wait for this call.
    pub(crate) fn depth(&self) -> usize {
        self.callers.as_ref().map_or(0, |caller| caller.depth)
    }

    /// The actors that wait for this call, the last one first.
    fn waiting(&self) -> impl Iterator<Item = &CallingActor> {
        self.callers().filter_map(|caller| match &caller.kind {
            CallerKind::Actor(actor) => Some(actor),
            CallerKind::Outside | CallerKind::Provider(_) => None,
        })
    }

    /// Those that wait for this call, the last one first.
    fn callers(&self) -> impl Iterator<Item = &Caller> {
        std::iter::successors(self.callers.as_deref(), |caller| caller.before.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_works_on_a_call_learns_that_a_caller_has_given_up() {
        let (outer, outer_attendance) = CallContext::begin(Duration::from_secs(1)).attended();
        let (calling, calling_attendance) = outer.clone().through(&"a".into(), InstanceNumber(0));
        let (inner, inner_attendance) = calling.attended();
        let (further, further_attendance) = inner.through(&"b".into(), InstanceNumber(0));
        assert!(!further.is_given_up());
        further_attendance.end();
        inner_attendance.end();
        calling_attendance.end();
        assert!(!further.is_given_up());
        drop(outer_attendance);
        assert!(further.is_given_up());
        assert!(outer.is_given_up());
    }

    #[test]
    fn whoever_works_on_a_call_learns_that_the_calling_instance_is_lost() {
        let (outer, _attendance) = CallContext::begin(Duration::from_secs(1)).attended();
        let (inner, lost) = outer.clone().through(&"a".into(), InstanceNumber(0));
        let (further, _waits) = inner.attended();
        assert!(!further.is_given_up());
        drop(lost);
        assert!(further.is_given_up());
        assert!(!outer.is_given_up(), "the one who called the lost instance waits still");
    }

    #[test]
    fn a_call_is_awaited_by_the_providers_that_it_has_come_through() {
        let [first, second, other] = [1, 2, 3].map(InstanceNumber);
        let (outer, _first_waits) = CallContext::begin(Duration::from_secs(1)).through_provider(first);
        let (calling, _actor_waits) = outer.clone().through(&"a".into(), second);
        let (inner, _second_waits) = calling.clone().through_provider(second);
        assert!(inner.is_awaited_by(first) && inner.is_awaited_by(second) && !inner.is_awaited_by(other));
        assert!(!calling.is_awaited_by(second), "an actor of that number is no provider");
        assert_eq!(inner.depth(), 1);
    }

    #[test]
    fn a_cycle_is_named_from_the_actor_that_waits() {
        let context = CallContext::begin(Duration::from_secs(1));
        assert_eq!(context.cycle_through("a"), None);
        let mut attendances = Vec::new();
        let context = ["x", "a", "b"].into_iter().fold(context, |context, actor| {
            let (context, attendance) = context.through(&actor.into(), InstanceNumber(0));
            attendances.push(attendance);
            // A provider in between is no actor.
            let (context, attendance) = context.attended();
            attendances.push(attendance);
            context
        });
        assert_eq!(context.depth(), 3);
        assert_eq!(context.cycle_through("a").unwrap(), "a -> b -> a");
        assert_eq!(context.cycle_through("b").unwrap(), "b -> b");
        assert_eq!(context.cycle_through("c"), None);
        assert!(context.waits("a", InstanceNumber(0)));
        assert!(!context.waits("a", InstanceNumber(1)));
    }
}
