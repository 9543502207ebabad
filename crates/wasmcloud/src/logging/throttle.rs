//! Limits the lines of a kind: an actor that fails over and over must not fill the log, nor must another host or client.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::Record;
use wasmcloud_core::line_limiter::LineLimiter;

/// How many lines of a kind about one actor or provider are logged each second. About none in particular it is five times as
/// many.
const LINES_PER_SECOND: u32 = 10;

/// How many lines of a kind about one actor or provider are logged at once after a pause. About none in particular it is five
/// times as many.
const BURST: u32 = 100;

/// The shortest time between two searches for limits that are not needed any more.
const BETWEEN_SEARCHES: Duration = Duration::from_secs(1);

/// The most pairs of an actor or provider and a kind of lines that are told apart. The rest shares one limit.
const MOST_PAIRS: usize = 4096;

/// The limits of all actors, providers and kinds of lines.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Limiters>);

#[derive(Debug, Default)]
struct Limiters {
    all: HashMap<Pair, LineLimiter>,
    /// When limits that are not needed any more were last searched for.
    searched: Option<Instant>,
}

/// An actor or provider, and a kind of lines: those that one statement of the program writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pair {
    /// The name of the field that names the actor or provider, and its key. `None` for lines about none in particular.
    subject: Option<(&'static str, String)>,
    target: String,
    statement: Option<u32>,
}

/// How many lines were left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// `actor` or `provider`, and its public key.
    pub(super) subject: Option<(&'static str, String)>,
    pub(super) target: String,
    pub(super) count: u64,
}

impl Throttle {
    /// Returns whether a record may be written.
    pub(super) fn admit(&self, record: &Record<'_>, now: Instant) -> bool {
        let pair = Pair::of(record);
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limiters.of(pair, now).admit(now)
    }

    /// Returns how many lines were left out since this was last asked.
    pub(super) fn take_left_out(&self, now: Instant) -> Vec<LeftOut> {
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        limiters.all.retain(|Pair { subject, target, .. }, limiter| {
            let count = limiter.take_left_out();
            if count > 0 {
                all.push(LeftOut { subject: subject.clone(), target: target.clone(), count });
            }
            !limiter.is_as_new(now)
        });
        all
    }
}

impl Limiters {
    /// Returns the limit of a pair. If there are too many pairs, it is a limit that others have too.
    fn of(&mut self, pair: Pair, now: Instant) -> &mut LineLimiter {
        let is_full = self.all.len() >= MOST_PAIRS && !self.all.contains_key(&pair);
        if is_full && self.searched.is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN_SEARCHES) {
            self.searched = Some(now);
            self.all.retain(|_, limiter| !limiter.is_as_new(now));
        }
        let has_room = self.all.len() < MOST_PAIRS || self.all.contains_key(&pair);
        let pair = if has_room { pair } else { Pair::others() };
        let times = if pair.subject.is_some() { 1 } else { 5 };
        self.all.entry(pair).or_insert_with(|| LineLimiter::new(times * LINES_PER_SECOND, times * BURST, now))
    }
}

impl Pair {
    fn of(record: &Record<'_>) -> Pair {
        let fields = record.key_values();
        let subject = |key: &'static str| Some((key, fields.get(key.into())?.to_borrowed_str()?.to_owned()));
        let subject = subject("actor").or_else(|| subject("provider"));
        Pair { subject, target: record.target().to_owned(), statement: record.line() }
    }

    fn others() -> Pair {
        Pair { subject: None, target: "wasmcloud".to_owned(), statement: None }
    }
}

#[cfg(test)]
mod tests {
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
        let left_out = LeftOut { subject: Some(("actor", "M1".into())), target: "t".into(), count: 900 };
        assert_eq!(throttle.take_left_out(now), [left_out]);
        assert_eq!(throttle.take_left_out(now), []);
        assert_eq!((0..1000).filter(|_| admit(&throttle, "M1", 1, now + Duration::from_secs(1))).count(), 10);
        assert_eq!((0..1000).filter(|_| throttle.admit(&Record::builder().build(), now)).count(), 500);
    }

    #[test]
    fn the_number_of_limits_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let admitted = (0..2 * MOST_PAIRS).filter(|number| admit(&throttle, &number.to_string(), 1, now)).count();
        assert_eq!(admitted, MOST_PAIRS + 5 * BURST as usize);
        assert_eq!(throttle.0.lock().unwrap().all.len(), MOST_PAIRS + 1);
        let later = now + Duration::from_secs(60);
        assert!(admit(&throttle, "another", 1, later), "limits that are as new make room");
        throttle.take_left_out(later);
        assert_eq!(throttle.0.lock().unwrap().all.len(), 1);
    }
}
