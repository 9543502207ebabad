//! Tests of spans: who is sampled, what they tell of calls that were given up, and the texts in them.

use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

#[test]
fn as_many_traces_are_sampled_as_their_share_says() {
    let sampled = |share: f64| {
        let tracing = Tracing::new("N", share);
        (0..10_000).filter(|_| tracing.is_sampled()).count()
    };
    assert_eq!([0.0, -1.0, f64::NAN, 1.0, 7.0].map(sampled), [0, 0, 0, 10_000, 10_000]);
    let half = sampled(0.5);
    assert!((4_000..6_000).contains(&half), "{half}");
}

/// A subscriber that keeps the outcomes of spans.
#[derive(Default)]
struct Outcomes(Arc<Mutex<Vec<String>>>);

impl Subscriber for Outcomes {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if field.name() == "outcome" {
                self.0.lock().unwrap().push(format!("{value:?}"));
            }
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn the_outcome_tells_who_gave_up() {
    let outcomes = Outcomes::default();
    let kept = Arc::clone(&outcomes.0);
    tracing::subscriber::with_default(outcomes, || {
        let begin = |deadline: Instant| {
            let make = |host: &str| call_span!("wasmcloud::call", "call", "internal", host, "a",);
            Tracing::new("N", 1.0).begin(None, deadline, make).unwrap().span
        };
        let later = Instant::now() + std::time::Duration::from_secs(3600);
        drop(begin(later));
        drop(begin(Instant::now()));
        begin(later).moved();
        begin(Instant::now()).end_with(None);
    });
    assert_eq!(*kept.lock().unwrap(), ["\"cancelled\"", "\"error\"", "\"moved\"", "\"ok\""]);
}

#[test]
fn text_in_spans_is_short_and_without_control_characters() {
    assert_eq!(Shown("a\n\u{1b}[31m").to_string(), "a\\n\\u{1b}[31m");
    assert_eq!(Shown(&"é".repeat(1000)).to_string(), "é".repeat(256));
}
