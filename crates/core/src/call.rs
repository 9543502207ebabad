//! A call: its request, its deadline, its chain of callers, and its cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::identity::InstanceNumber;
use crate::trace::{CallId, CallSpan, LazyCallId, Node, Trace, Tracing, is_listening};

/// The time limit of a call whose own limit exceeds the range of the clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An operation and its payload, as an actor or a provider receives them.
#[derive(Debug, Default)]
pub struct Request {
    /// The name of the operation.
    pub operation: String,
    /// The payload, in the encoding of the contract.
    pub payload: Vec<u8>,
}

impl Request {
    /// Returns a request with copies of an operation and a payload.
    pub fn new(operation: &str, payload: &[u8]) -> Request {
        Request { operation: operation.to_owned(), payload: payload.to_vec() }
    }
}

/// A call that a guest makes, in waPC's terms.
#[derive(Debug)]
pub struct GuestCall {
    /// The link name. Empty for the default one.
    pub binding: String,
    /// The contract, public key or call alias that is called.
    pub namespace: String,
    /// The name of the operation.
    pub operation: String,
    /// The payload, in the encoding of the contract.
    pub payload: Vec<u8>,
}

/// The context of one call. All calls of a chain share one deadline.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// When the call fails if it has not been answered.
    pub deadline: Instant,
    callers: Option<Arc<Caller>>,
    trace: Option<Arc<Node>>,
}

/// A caller that waits for the answer, and the callers that wait for it in turn.
#[derive(Debug)]
struct Caller {
    kind: CallerKind,
    is_cancelled: AtomicBool,
    before: Option<Arc<Caller>>,
    /// The number of actors that wait, including this one.
    depth: usize,
    /// The identifier of the chain. That of the first caller counts.
    id: LazyCallId,
}

#[derive(Debug)]
enum CallerKind {
    Outside,
    Actor(WaitingActor),
    Provider(InstanceNumber),
}

/// An actor that waits for a call, and its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingActor {
    /// The actor's public key.
    pub key: Arc<str>,
    /// The instance that waits. Its number is unique within its host.
    pub instance: InstanceNumber,
    /// The public key of the host that it runs on. `None` for this host.
    pub host: Option<Arc<str>>,
}

/// Cancels a call when it is dropped before the answer has arrived. The caller keeps it while it waits.
#[derive(Debug)]
#[must_use = "dropping the guard cancels the call"]
pub struct CancellationGuard(Option<Arc<Caller>>);

impl CancellationGuard {
    /// Ends the wait without cancelling the call: the answer has arrived.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancellationGuard {
    fn drop(&mut self) {
        if let Some(caller) = &self.0 {
            caller.is_cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl CallContext {
    /// Returns the context of a call that begins a chain and may take `limit`.
    pub fn begin(limit: Duration) -> CallContext {
        let now = Instant::now();
        let deadline = now.checked_add(limit).unwrap_or_else(|| now + LONGEST);
        CallContext { deadline, callers: None, trace: None }
    }

    /// Returns the context of a call that continues a chain from another host and may take `limit`. `waiting` lists the
    /// actors that wait for it, the last one first.
    pub fn resume(limit: Duration, waiting: impl DoubleEndedIterator<Item = WaitingActor>) -> CallContext {
        waiting.rev().fold(CallContext::begin(limit), |context, actor| {
            let depth = context.depth() + 1;
            let (context, guard) = context.called_by(CallerKind::Actor(actor), depth);
            // The other host says when the call is cancelled.
            guard.disarm();
            context
        })
    }

    /// Returns the same call with a guard that cancels it.
    pub fn cancellable(self) -> (CallContext, CancellationGuard) {
        let depth = self.depth();
        self.called_by(CallerKind::Outside, depth)
    }

    /// Returns the context of a call that an instance of `actor` makes while it serves this one. The guard cancels the
    /// call when the instance is lost.
    pub fn through_actor(self, actor: &Arc<str>, instance: InstanceNumber) -> (CallContext, CancellationGuard) {
        let depth = self.depth() + 1;
        self.called_by(CallerKind::Actor(WaitingActor { key: actor.clone(), instance, host: None }), depth)
    }

    /// Returns the context of a call that an instance of a provider makes while it serves this one.
    pub fn through_provider(self, instance: InstanceNumber) -> (CallContext, CancellationGuard) {
        let depth = self.depth();
        self.called_by(CallerKind::Provider(instance), depth)
    }

    fn called_by(self, kind: CallerKind, depth: usize) -> (CallContext, CancellationGuard) {
        let caller = Caller {
            kind,
            is_cancelled: AtomicBool::new(false),
            before: self.callers,
            depth,
            id: LazyCallId::default(),
        };
        let caller = Arc::new(caller);
        (CallContext { callers: Some(caller.clone()), ..self }, CancellationGuard(Some(caller)))
    }

    /// Returns whether this call, or one that it is part of, has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.callers().any(|caller| caller.is_cancelled.load(Ordering::Relaxed))
    }

    /// Returns the deadline for a callee that takes the call at `now` and may work on it for `limit`.
    pub fn deadline_within(&self, limit: Duration, now: Instant) -> Instant {
        now.checked_add(limit).map_or(self.deadline, |own| own.min(self.deadline))
    }

    /// Returns the same call with another deadline.
    #[must_use]
    pub fn until(self, deadline: Instant) -> CallContext {
        CallContext { deadline, ..self }
    }

    /// Returns the trace that the call is part of, if there is one.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref().map(Node::trace)
    }

    /// Returns the same call as part of a trace.
    #[must_use]
    pub fn with_trace(self, trace: Trace) -> CallContext {
        CallContext { trace: Some(Node::of(trace)), ..self }
    }

    /// Begins a span of the call, if a subscriber wants it and the trace is sampled. Returns the same call inside of it.
    /// `make` makes the span, given the host's public key.
    #[inline]
    pub fn in_span(self, tracing: &Tracing, make: impl FnOnce(&str) -> tracing::Span) -> (CallContext, CallSpan) {
        if !is_listening() {
            return (self, CallSpan::none());
        }
        match tracing.begin(self.trace.as_ref(), self.deadline, make) {
            Some(begun) => (CallContext { trace: Some(begun.node), ..self }, begun.span),
            None => (self, CallSpan::none()),
        }
    }

    /// Returns the identifier of the chain in log lines. All calls of a chain have the same one. A context that no caller
    /// waits for, and without a trace, belongs to no chain yet, and has another one each time.
    pub fn call_id(&self) -> CallId {
        if let Some(trace) = self.trace() {
            return CallId::of_trace(&trace.context);
        }
        self.callers().last().map_or_else(CallId::random, |first| first.id.get())
    }

    /// Returns whether an instance of a provider waits for this call, or for one that it is part of.
    pub fn is_awaited_by_provider(&self, instance: InstanceNumber) -> bool {
        self.callers().any(|caller| matches!(caller.kind, CallerKind::Provider(provider) if provider == instance))
    }

    /// Returns whether this instance of `actor` already waits for this call. It could never answer the call.
    pub fn is_awaited_by_actor(&self, actor: &str, instance: InstanceNumber) -> bool {
        self.waiting().any(|waiting| waiting.host.is_none() && waiting.instance == instance && *waiting.key == *actor)
    }

    /// Returns the path of the call from `actor` back to it, where `actor` already waits for this call.
    pub fn cycle_through(&self, actor: &str) -> Option<String> {
        let steps = self.waiting().position(|waiting| *waiting.key == *actor)?;
        let callers = self.waiting().take(steps + 1).map(|waiting| &*waiting.key);
        let mut path: Vec<&str> = std::iter::once(actor).chain(callers).collect();
        path.reverse();
        Some(path.join(" -> "))
    }

    /// Returns how many actors wait for this call.
    pub fn depth(&self) -> usize {
        self.callers.as_ref().map_or(0, |caller| caller.depth)
    }

    /// Returns the actors that wait for this call, the last one first.
    pub fn waiting(&self) -> impl Iterator<Item = &WaitingActor> {
        self.callers().filter_map(|caller| match &caller.kind {
            CallerKind::Actor(actor) => Some(actor),
            CallerKind::Outside | CallerKind::Provider(_) => None,
        })
    }

    /// Returns the callers that wait for this call, the last one first.
    fn callers(&self) -> impl Iterator<Item = &Caller> {
        std::iter::successors(self.callers.as_deref(), |caller| caller.before.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callee_learns_that_a_caller_has_cancelled() {
        let (outer, outer_guard) = CallContext::begin(Duration::from_secs(1)).cancellable();
        let (calling, calling_guard) = outer.clone().through_actor(&"a".into(), InstanceNumber(0));
        let (inner, inner_guard) = calling.cancellable();
        let (further, further_guard) = inner.through_actor(&"b".into(), InstanceNumber(0));
        assert!(!further.is_cancelled());
        further_guard.disarm();
        inner_guard.disarm();
        calling_guard.disarm();
        assert!(!further.is_cancelled());
        drop(outer_guard);
        assert!(further.is_cancelled());
        assert!(outer.is_cancelled());
    }

    #[test]
    fn a_callee_learns_that_the_calling_instance_is_lost() {
        let (outer, _guard) = CallContext::begin(Duration::from_secs(1)).cancellable();
        let (inner, lost) = outer.clone().through_actor(&"a".into(), InstanceNumber(0));
        let (further, _waits) = inner.cancellable();
        assert!(!further.is_cancelled());
        drop(lost);
        assert!(further.is_cancelled());
        assert!(!outer.is_cancelled(), "the caller of the lost instance still waits");
    }

    #[test]
    fn a_call_is_awaited_by_the_providers_that_it_has_come_through() {
        let [first, second, other] = [1, 2, 3].map(InstanceNumber);
        let (outer, _first_waits) = CallContext::begin(Duration::from_secs(1)).through_provider(first);
        let (calling, _actor_waits) = outer.clone().through_actor(&"a".into(), second);
        let (inner, _second_waits) = calling.clone().through_provider(second);
        assert!(
            inner.is_awaited_by_provider(first)
                && inner.is_awaited_by_provider(second)
                && !inner.is_awaited_by_provider(other)
        );
        assert!(!calling.is_awaited_by_provider(second), "an actor of that number is no provider");
        assert_eq!(inner.depth(), 1);
    }

    #[test]
    fn all_calls_of_a_chain_have_one_identifier() {
        let (outer, _outer_waits) = CallContext::begin(Duration::from_secs(1)).cancellable();
        let (inner, _inner_waits) = outer.clone().through_actor(&"a".into(), InstanceNumber(0));
        let id = inner.call_id();
        assert_eq!(outer.call_id(), id);
        assert_eq!(inner.clone().until(Instant::now()).call_id(), id);
        assert_eq!(id.to_string().len(), 16);
        let (other, _other_waits) = CallContext::begin(Duration::from_secs(1)).cancellable();
        assert_ne!(other.call_id(), id);

        let trace = Trace::from_headers("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None).unwrap();
        let (traced, _waits) = inner.with_trace(trace.clone()).cancellable();
        assert_eq!(traced.trace(), Some(&trace));
        assert_eq!(traced.call_id().to_string(), "8448eb211c80319c");
    }

    #[test]
    fn a_cycle_is_named_from_the_actor_that_waits() {
        let context = CallContext::begin(Duration::from_secs(1));
        assert_eq!(context.cycle_through("a"), None);
        let mut guards = Vec::new();
        let context = ["x", "a", "b"].into_iter().fold(context, |context, actor| {
            let (context, guard) = context.through_actor(&actor.into(), InstanceNumber(0));
            guards.push(guard);
            // A caller that is not an actor.
            let (context, guard) = context.cancellable();
            guards.push(guard);
            context
        });
        assert_eq!(context.depth(), 3);
        assert_eq!(context.cycle_through("a").unwrap(), "a -> b -> a");
        assert_eq!(context.cycle_through("b").unwrap(), "b -> b");
        assert_eq!(context.cycle_through("c"), None);
        assert!(context.is_awaited_by_actor("a", InstanceNumber(0)));
        assert!(!context.is_awaited_by_actor("a", InstanceNumber(1)));
    }

    #[test]
    fn a_chain_from_another_host_continues() {
        let waiting = |key: &str, host: Option<&str>| WaitingActor {
            key: key.into(),
            instance: InstanceNumber(1),
            host: host.map(Arc::from),
        };
        let chain = [waiting("b", Some("N")), waiting("a", None), waiting("x", Some("N"))];
        let context = CallContext::resume(Duration::from_secs(1), chain.clone().into_iter());
        assert_eq!(context.depth(), 3);
        assert!(context.waiting().eq(&chain));
        assert_eq!(context.cycle_through("a").unwrap(), "a -> b -> a");
        assert!(context.is_awaited_by_actor("a", InstanceNumber(1)));
        assert!(!context.is_awaited_by_actor("b", InstanceNumber(1)), "it waits on another host");
        assert!(!context.is_cancelled());
    }
}
