//! Limits the lines about one actor or provider: an actor that fails over and over must not fill the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use log::Record;
use wasmcloud_core::line_limiter::LineLimiter;

/// How many lines of a kind about one actor or provider are logged each second.
pub(super) const LINES_PER_SECOND: u32 = 10;

/// How many lines of a kind about one actor or provider are logged at once after a pause.
const BURST: u32 = 100;

/// The most pairs of an actor or provider and a kind of lines that are told apart. The rest shares one limit.
const MOST_PAIRS: usize = 4096;

/// The limits of all actors, providers and kinds of lines.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<Pair, LineLimiter>>);

/// An actor or provider, and a kind of lines: those that one statement of the program writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pair {
    /// The name of the field that names the actor or provider.
    key: &'static str,
    subject: String,
    target: String,
    statement: Option<u32>,
}

/// How many lines were left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// `actor` or `provider`.
    pub(super) key: String,
    /// Its public key.
    pub(super) subject: String,
    pub(super) target: String,
    pub(super) count: u64,
}

impl Throttle {
    /// Returns whether a record may be written. One about no actor or provider always may.
    pub(super) fn admit(&self, record: &Record<'_>, now: Instant) -> bool {
        let Some(pair) = pair(record) else { return true };
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if limiters.len() >= MOST_PAIRS && !limiters.contains_key(&pair) {
            limiters.retain(|_, limiter| !limiter.is_as_new(now));
        }
        let pair = if limiters.len() < MOST_PAIRS || limiters.contains_key(&pair) { pair } else { others(pair.key) };
        limiters.entry(pair).or_insert_with(|| LineLimiter::new(LINES_PER_SECOND, BURST, now)).admit(now)
    }

    /// Returns how many lines were left out since this was last asked.
    pub(super) fn take_left_out(&self, now: Instant) -> Vec<LeftOut> {
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        limiters.retain(|Pair { key, subject, target, .. }, limiter| {
            let count = limiter.take_left_out();
            if count > 0 {
                all.push(LeftOut { key: (*key).to_owned(), subject: subject.clone(), target: target.clone(), count });
            }
            !limiter.is_as_new(now)
        });
        all
    }
}

fn pair(record: &Record<'_>) -> Option<Pair> {
    let fields = record.key_values();
    let subject = |key: &'static str| {
        let subject = fields.get(key.into())?.to_borrowed_str()?.to_owned();
        Some((key, subject))
    };
    let (key, subject) = subject("actor").or_else(|| subject("provider"))?;
    Some(Pair { key, subject, target: record.target().to_owned(), statement: record.line() })
}

fn others(key: &'static str) -> Pair {
    Pair { key, subject: "others".to_owned(), target: "wasmcloud".to_owned(), statement: None }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use log::kv::Value;

    use super::*;

    fn admit(throttle: &Throttle, actor: &str, line: u32, now: Instant) -> bool {
        let fields = [("actor", Value::from(actor))];
        let mut record = Record::builder();
        throttle.admit(&record.target("t").line(Some(line)).key_values(&fields).build(), now)
    }

    #[test]
    fn lines_of_each_actor_and_kind_have_a_limit_of_their_own() {
        let throttle = Throttle::default();
        let now = Instant::now();
        assert_eq!((0..1000).filter(|_| admit(&throttle, "M1", 1, now)).count(), 100);
        assert!(admit(&throttle, "M2", 1, now) && admit(&throttle, "M1", 2, now));
        let left_out = LeftOut { key: "actor".into(), subject: "M1".into(), target: "t".into(), count: 900 };
        assert_eq!(throttle.take_left_out(now), [left_out]);
        assert_eq!(throttle.take_left_out(now), []);
        assert_eq!((0..1000).filter(|_| admit(&throttle, "M1", 1, now + Duration::from_secs(1))).count(), 10);
        assert!((0..1000).all(|_| throttle.admit(&Record::builder().build(), now)), "lines about none have no limit");
    }

    #[test]
    fn the_number_of_limits_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let admitted = (0..2 * MOST_PAIRS).filter(|number| admit(&throttle, &number.to_string(), 1, now)).count();
        assert_eq!(admitted, MOST_PAIRS + BURST as usize);
        assert_eq!(throttle.0.lock().unwrap().len(), MOST_PAIRS + 1);
        let later = now + Duration::from_secs(60);
        assert!(admit(&throttle, "another", 1, later), "limits that are as new make room");
        throttle.take_left_out(later);
        assert_eq!(throttle.0.lock().unwrap().len(), 1);
    }
}
