//! The identifier of a chain of calls in log lines.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{TraceContext, random_id};

/// The identifier of a chain of calls, for log lines: 16 hexadecimal digits.
///
/// In a chain with a trace, the identifier is the second half of that of the trace, which clients may choose. Other chains
/// get a random one when it is first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl log::kv::ToValue for CallId {
    fn to_value(&self) -> log::kv::Value<'_> {
        log::kv::Value::from_display(self)
    }
}

impl CallId {
    pub(crate) fn of_trace(context: &TraceContext) -> CallId {
        let trace_id = u128::from_be_bytes(context.trace_id());
        CallId(trace_id as u64)
    }

    pub(crate) fn random() -> CallId {
        CallId(u64::from_be_bytes(random_id()))
    }
}

/// A place for the identifier of a chain, which is made when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct LazyCallId(AtomicU64);

impl LazyCallId {
    pub(crate) fn get(&self) -> CallId {
        let new = CallId::random();
        match self.0.compare_exchange(0, new.0, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => new,
            Err(present) => CallId(present),
        }
    }
}
