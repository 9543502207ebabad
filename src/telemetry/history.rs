//! The last minute of an actor or provider: its calls and errors second by second, and how long its calls took.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wasmcloud_telemetry::state::{Latency as ToldLatency, Rate};

use super::micros;
use crate::instruments::{Latency, Reading};

/// The seconds of a row.
pub(super) const SECONDS: usize = 60;

/// The seconds between two marks of the latency.
const MARK: u64 = 10;

/// The marks of the last minute.
const MARKS: usize = SECONDS / MARK as usize;

/// The time between two records of a second. A tick may be a little early.
const SHORTEST: Duration = Duration::from_millis(950);

/// The seconds between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elapsed(Option<u64>);

impl Elapsed {
    /// What has happened since the record before is not all of the last minute, or there is none.
    pub(super) const TOO_LONG: Elapsed = Elapsed(None);

    /// Returns the seconds between two times. `None` if it is the same second.
    pub(super) fn between(before: Instant, now: Instant) -> Option<Elapsed> {
        let elapsed = now.saturating_duration_since(before);
        (elapsed >= SHORTEST).then(|| Elapsed::seconds(elapsed.as_secs_f64().round().max(1.0) as u64))
    }

    fn seconds(seconds: u64) -> Elapsed {
        Elapsed((seconds <= SECONDS as u64).then_some(seconds))
    }
}

/// A number for each of the last seconds, the oldest first.
#[derive(Debug, Clone)]
pub(super) struct Row(VecDeque<u64>);

impl Default for Row {
    fn default() -> Row {
        Row(vec![0; SECONDS].into())
    }
}

impl Row {
    /// Adds what has happened since the record before. Nothing is known of seconds too long ago.
    pub(super) fn add(&mut self, number: u64, elapsed: Elapsed) {
        let Elapsed(Some(seconds)) = elapsed else {
            *self = Row::default();
            return;
        };
        for second in (0..seconds).rev() {
            self.0.pop_front();
            // What does not divide evenly belongs to the newest second.
            let rest = if second == 0 { number % seconds } else { 0 };
            self.0.push_back(number / seconds + rest);
        }
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn told(&self) -> Rate {
        self.0.iter().copied().collect()
    }
}

/// The last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The number of the start whose figures these are.
    start: u64,
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) rate: Row,
    errors_row: Row,
    latency: Latency,
    /// The latency at the end of each ten seconds, the oldest first.
    marks: VecDeque<Latency>,
    seconds: u64,
}

impl History {
    /// Records figures. Returns the calls of the last minute since the record before.
    pub(super) fn record(&mut self, reading: &Reading, elapsed: Elapsed) -> u64 {
        if self.start != reading.start {
            *self = History { start: reading.start, ..History::default() };
        }
        let calls = reading.outcomes.calls();
        let errors = reading.outcomes.errors();
        let new_calls = elapsed.0.map_or(0, |_| calls.saturating_sub(self.calls));
        self.rate.add(new_calls, elapsed);
        self.errors_row.add(errors.saturating_sub(self.errors), elapsed);
        (self.calls, self.errors) = (calls, errors);
        self.mark(reading.latency, elapsed);
        new_calls
    }

    fn mark(&mut self, latency: Latency, elapsed: Elapsed) {
        let Elapsed(Some(seconds)) = elapsed else {
            self.marks = [latency].into();
            self.latency = latency;
            return;
        };
        if self.marks.is_empty() {
            self.marks.push_back(Latency::default());
        }
        let before = self.seconds / MARK;
        self.seconds += seconds;
        for _ in before..self.seconds / MARK {
            self.marks.push_back(self.latency);
        }
        while self.marks.len() > MARKS {
            self.marks.pop_front();
        }
        self.latency = latency;
    }

    pub(super) fn errors_last_minute(&self) -> u64 {
        self.errors_row.sum()
    }

    /// Returns how long the calls of the last minute took.
    pub(super) fn last_minute(&self) -> Latency {
        self.marks.front().map_or(self.latency, |mark| self.latency.since(mark))
    }
}

/// Returns the quantiles that viewers are told. `None` without calls.
pub(super) fn told_latency(latency: &Latency) -> Option<ToldLatency> {
    let within = |fraction| Some(micros(latency.quantile(fraction)?).max(1));
    Some(ToldLatency { p50: within(0.5)?, p99: within(0.99)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::Outcome;

    const SECOND: Elapsed = Elapsed(Some(1));

    fn reading(ok: u64, errors: u64) -> Reading {
        let mut reading = Reading { start: 1, ..Reading::default() };
        reading.outcomes.add(Outcome::Ok, ok);
        reading.outcomes.add(Outcome::Error, errors);
        reading.latency.buckets[3] = ok;
        reading
    }

    #[test]
    fn records_are_a_second_apart_and_a_minute_at_most() {
        let start = Instant::now();
        let after = |millis| Elapsed::between(start, start + Duration::from_millis(millis));
        assert_eq!((after(900), after(960), after(1_400)), (None, Some(SECOND), Some(SECOND)));
        assert_eq!((after(60_400), after(61_000)), (Some(Elapsed(Some(60))), Some(Elapsed::TOO_LONG)));
    }

    #[test]
    fn a_row_holds_the_last_minute() {
        let mut row = Row::default();
        (1..=70).for_each(|number| row.add(number, SECOND));
        assert_eq!(row.told(), (11..=70).collect::<Rate>());
        row.add(7, Elapsed::seconds(3));
        assert_eq!(row.told()[56..], [70, 2, 2, 3]);
        // Of an hour without a record, nothing is known to be of the last minute.
        row.add(3_599, Elapsed::seconds(3_600));
        assert_eq!((row.sum(), row.told().len()), (0, SECONDS));
    }

    #[test]
    fn figures_are_of_the_last_minute() {
        let mut history = History::default();
        assert_eq!(history.record(&reading(100, 5), SECOND), 105);
        assert_eq!((history.errors_last_minute(), told_latency(&history.last_minute()).is_some()), (5, true));
        for _ in 0..70 {
            assert_eq!(history.record(&reading(100, 5), SECOND), 0);
        }
        assert_eq!((history.calls, history.errors), (105, 5));
        assert_eq!((history.errors_last_minute(), history.rate.sum()), (0, 0));
        assert_eq!(told_latency(&history.last_minute()), None);
        assert!(history.marks.len() <= MARKS);
    }

    #[test]
    fn what_was_counted_before_the_first_record_is_not_of_the_last_minute() {
        let mut history = History::default();
        assert_eq!(history.record(&reading(1_000, 7), Elapsed::TOO_LONG), 0);
        assert_eq!((history.calls, history.rate.sum(), history.errors_last_minute()), (1_007, 0, 0));
        assert_eq!(told_latency(&history.last_minute()), None);
        assert_eq!(history.record(&reading(1_002, 8), SECOND), 3);
        assert_eq!((history.rate.sum(), history.errors_last_minute(), history.last_minute().count()), (3, 1, 2));
    }

    #[test]
    fn a_new_start_begins_anew() {
        let mut history = History::default();
        history.record(&reading(100, 0), SECOND);
        let again = |calls| Reading { start: 2, ..reading(calls, 0) };
        assert_eq!(history.record(&again(3), SECOND), 3);
        assert_eq!((history.calls, history.rate.sum(), history.last_minute().count()), (3, 3, 3));
        assert_eq!(history.record(&again(5), SECOND), 2);
    }
}
