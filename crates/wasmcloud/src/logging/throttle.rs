//! Limits the lines of a kind: an actor that fails over and over must not fill the log, nor must another host or client.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, Record};
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

/// The fields that name what a line is about: an actor, a provider, or the place of a panic.
const SUBJECTS: [&str; 3] = ["actor", "provider", "place"];

/// The limits of all actors, providers and kinds of lines.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Limiters>);

#[derive(Debug, Default)]
struct Limiters {
    all: HashMap<Pair, LineLimiter>,
    /// When limits that are not needed any more were last searched for.
    searched: Option<Instant>,
}

/// What lines are about, and their kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    /// `None` for lines about nothing in particular.
    pub(super) subject: Option<Subject>,
    /// `None` for the rest, for which there were too many pairs.
    pub(super) kind: Option<Kind>,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    /// The name of the field.
    pub(super) field: &'static str,
    pub(super) value: String,
}

/// The lines that one statement of the program writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) target: String,
    pub(super) level: Level,
    /// The line of the program.
    pub(super) line: Option<u32>,
}

/// How many lines were left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) pair: Pair,
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
        limiters.all.retain(|pair, limiter| {
            let count = limiter.take_left_out();
            if count > 0 {
                all.push(LeftOut { pair: pair.clone(), count });
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
        let pair = if has_room { pair } else { Pair { subject: None, kind: None } };
        let times = if pair.subject.is_some() { 1 } else { 5 };
        self.all.entry(pair).or_insert_with(|| LineLimiter::new(times * LINES_PER_SECOND, times * BURST, now))
    }
}

impl Pair {
    fn of(record: &Record<'_>) -> Pair {
        let fields = record.key_values();
        let subject = SUBJECTS.iter().find_map(|field| {
            let value = fields.get((*field).into())?.to_borrowed_str()?.to_owned();
            Some(Subject { field, value })
        });
        let kind = Kind { target: record.target().to_owned(), level: record.level(), line: record.line() };
        Pair { subject, kind: Some(kind) }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut { pair: Pair { subject, kind }, count } = self;
        let Some(Kind { target, level, line }) = kind else {
            return write!(f, "{count} further line(s) were left out: there are too many, and of too many kinds");
        };
        write!(f, "{count} further line(s) of the level {level}")?;
        if let Some(Subject { field, .. }) = subject {
            write!(f, " about this {field}")?;
        }
        write!(f, " were left out: there are too many from {target}")?;
        line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

#[cfg(test)]
mod tests {
    use log::kv::Value;

    use super::*;

    fn admit(throttle: &Throttle, field: &str, value: &str, line: u32, now: Instant) -> bool {
        let fields = [(field, Value::from(value))];
        let mut record = Record::builder();
        record.level(Level::Warn).target("t").line(Some(line));
        throttle.admit(&record.key_values(&fields).build(), now)
    }

    #[test]
    fn lines_of_each_actor_and_kind_have_a_limit_of_their_own() {
        let throttle = Throttle::default();
        let now = Instant::now();
        assert_eq!((0..1000).filter(|_| admit(&throttle, "actor", "M1", 1, now)).count(), 100);
        assert!(admit(&throttle, "actor", "M2", 1, now) && admit(&throttle, "actor", "M1", 2, now));
        let left_out = throttle.take_left_out(now);
        let [only] = left_out.as_slice() else { panic!("{left_out:?}") };
        assert_eq!(only.pair.subject, Some(Subject { field: "actor", value: "M1".into() }));
        assert_eq!(
            only.to_string(),
            "900 further line(s) of the level WARN about this actor were left out: there are too many from t:1"
        );
        assert_eq!(throttle.take_left_out(now), []);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| admit(&throttle, "actor", "M1", 1, later)).count(), 10);
        assert_eq!((0..1000).filter(|_| throttle.admit(&Record::builder().build(), now)).count(), 500);
    }

    #[test]
    fn panics_at_one_place_hide_none_at_another() {
        let throttle = Throttle::default();
        let now = Instant::now();
        assert_eq!((0..1000).filter(|_| admit(&throttle, "place", "provider.rs:1:2", 1, now)).count(), 100);
        assert!(admit(&throttle, "place", "host.rs:1:2", 1, now));
    }

    #[test]
    fn the_number_of_limits_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let admitted = |number: &usize| admit(&throttle, "actor", &number.to_string(), 1, now);
        assert_eq!((0..2 * MOST_PAIRS).filter(admitted).count(), MOST_PAIRS + 5 * BURST as usize);
        assert_eq!(throttle.0.lock().unwrap().all.len(), MOST_PAIRS + 1);
        let later = now + Duration::from_secs(60);
        assert!(admit(&throttle, "actor", "another", 1, later), "limits that are as new make room");
        let left_out = throttle.take_left_out(later);
        assert!(left_out[0].pair.kind.is_none() && left_out[0].to_string().contains("too many kinds"), "{left_out:?}");
        assert_eq!(throttle.0.lock().unwrap().all.len(), 1);
    }
}
