//! The trace that a call is part of, as the W3C defines it: <https://www.w3.org/TR/trace-context/>.
//!
//! A chain of calls that came with a trace passes it on in any case. Other chains get one when a subscriber of `tracing`
//! listens, and the trace is sampled.
//!
//! # Layout
//! - this file: the header `traceparent`
//! - `state`: the header `tracestate`
//! - `call_id`: the identifier of a chain of calls in log lines
//! - `span`: the spans of calls

mod call_id;
mod span;
mod state;

use std::fmt;
use std::hash::{BuildHasher, RandomState};

pub use call_id::CallId;
pub(crate) use call_id::LazyCallId;
pub(crate) use span::Node;
pub use span::{CallSpan, Failure, Shown, Tracing, is_listening};
pub use state::TraceState;
#[doc(hidden)]
pub use tracing;

/// The length of a `traceparent` of version 00. Unit: bytes.
const LENGTH: usize = 55;

/// The flags that are known: sampled, and that the identifier of the trace is random.
const KNOWN_FLAGS: u8 = 0b11;

/// The flag of a trace whose spans are recorded.
const SAMPLED: u8 = 0b01;

/// The flag of a trace with an identifier that is random.
const RANDOM: u8 = 0b10;

/// The position of a call in a trace: the content of a header `traceparent`.
///
/// ```
/// use wasmcloud_host::TraceContext;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = TraceContext::parse(header).unwrap();
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), header);
/// assert_eq!(TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Returns the context that a header `traceparent` states. A later version is read as far as version 00 goes. `None` if
    /// the header is malformed.
    pub fn parse(header: &str) -> Option<TraceContext> {
        let bytes = header.as_bytes();
        let (fixed, rest) = bytes.split_at_checked(LENGTH)?;
        let [version] = hexadecimal(&fixed[..2])?;
        let is_complete = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        let is_divided = [2, 35, 52].iter().all(|at| fixed[*at] == b'-');
        if !is_complete || !is_divided {
            return None;
        }
        let [flags] = hexadecimal(&fixed[53..])?;
        TraceContext::new(hexadecimal(&fixed[3..35])?, hexadecimal(&fixed[36..52])?, flags)
    }

    /// Returns the context of a span. Flags that are not known are cleared. `None` if an identifier is zero.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<TraceContext> {
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(TraceContext { trace_id, span_id, flags: flags & KNOWN_FLAGS })
    }

    /// Returns the context of a first span, of a trace with an identifier of its own.
    pub fn begin(is_sampled: bool) -> TraceContext {
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&random_id());
        trace_id[8..].copy_from_slice(&random_id());
        let flags = if is_sampled { RANDOM | SAMPLED } else { RANDOM };
        TraceContext { trace_id, span_id: random_id(), flags }
    }

    /// Returns the context of another span of the same trace, with an identifier of its own.
    #[must_use]
    pub fn child(&self) -> TraceContext {
        TraceContext { span_id: random_id(), ..*self }
    }

    /// Returns the identifier of the trace. It is not zero.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// Returns the identifier of the span. It is not zero.
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Returns the flags of the trace.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Returns whether the spans of the trace are recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl fmt::Display for TraceContext {
    /// Writes the header `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let span_id = u64::from_be_bytes(self.span_id);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", self.flags)
    }
}

/// The trace that a call is part of. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The span that the call belongs to.
    pub context: TraceContext,
    /// What other systems have added to the trace.
    pub state: Option<TraceState>,
}

impl Trace {
    /// Returns the trace that the headers of a request state. `None` without a valid `traceparent`. A malformed `tracestate`
    /// is ignored.
    pub fn from_headers(traceparent: &str, tracestate: Option<&str>) -> Option<Trace> {
        let context = TraceContext::parse(traceparent)?;
        Some(Trace { context, state: tracestate.and_then(TraceState::parse) })
    }
}

impl From<TraceContext> for Trace {
    fn from(context: TraceContext) -> Trace {
        Trace { context, state: None }
    }
}

/// Returns the bytes that hexadecimal digits stand for. `None` if one is no lower-case digit, or their number is wrong.
fn hexadecimal<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// Returns a random identifier that is not zero. It is no secret: others can tell the next one.
fn random_id() -> [u8; 8] {
    // The keys of the standard library's hash tables: random for each thread, and another one each time.
    let number = RandomState::new().hash_one(());
    number.max(1).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn malformed_headers_are_ignored() {
        for malformed in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01",
        ] {
            assert_eq!(TraceContext::parse(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn later_versions_are_read_and_passed_on_as_version_00() {
        for later in [
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what the future brings",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fd",
        ] {
            assert_eq!(TraceContext::parse(later).unwrap().to_string(), HEADER);
        }
    }

    #[test]
    fn a_trace_is_continued_by_other_spans() {
        let [first, other] = [TraceContext::begin(true), TraceContext::begin(false)];
        assert!(first.is_sampled() && !other.is_sampled());
        assert_ne!(first.trace_id(), other.trace_id());
        let child = first.child();
        assert_eq!((child.trace_id(), child.flags()), (first.trace_id(), first.flags()));
        assert_ne!(child.span_id(), first.span_id());
        assert_eq!(TraceContext::parse(&child.to_string()), Some(child));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) {
            let Some(context) = TraceContext::new(trace_id, span_id, flags) else {
                return Ok(());
            };
            let header = context.to_string();
            prop_assert_eq!(header.len(), LENGTH);
            prop_assert_eq!(TraceContext::parse(&header), Some(context));
        }

        #[test]
        fn any_text_is_refused_or_read_as_it_is_printed(text in "\\PC{0,80}|[0-9a-f]{2}-[0-9a-fA]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?") {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(&context.to_string()[2..53], &text[2..53]);
            }
        }

        #[test]
        fn one_wrong_character_is_refused(at in 0..LENGTH, wrong in "[^0-9a-f-]") {
            let mut text: Vec<char> = HEADER.chars().collect();
            text[at] = wrong.chars().next().unwrap();
            prop_assert_eq!(TraceContext::parse(&String::from_iter(text)), None);
        }
    }
}
