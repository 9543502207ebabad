//! The last minute of an actor or provider: its calls and errors second by second, and how long its calls took.

use std::collections::VecDeque;

use wasmcloud_telemetry::state::{Latency as ToldLatency, Rate};

use crate::instruments::{Latency, Reading};

/// The seconds of a row.
pub(super) const SECONDS: usize = 60;

/// The seconds between two marks of the latency.
const MARK: u64 = 10;

/// The marks of the last minute.
const MARKS: usize = SECONDS / MARK as usize;

/// A number for each of the last seconds, the oldest first.
#[derive(Debug, Clone)]
pub(super) struct Row(VecDeque<u64>);

impl Default for Row {
    fn default() -> Row {
        Row(vec![0; SECONDS].into())
    }
}

impl Row {
    /// Adds what happened in the last `seconds`.
    pub(super) fn add(&mut self, number: u64, seconds: u64) {
        let seconds = seconds.max(1);
        for second in (0..seconds.min(SECONDS as u64)).rev() {
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
    /// Records the figures that were read after another `seconds`. Returns the calls since the last time.
    pub(super) fn record(&mut self, reading: &Reading, seconds: u64) -> u64 {
        let calls = reading.outcomes.calls();
        let errors = reading.outcomes.errors();
        // Figures begin anew with a new start.
        let new_calls = calls.saturating_sub(self.calls);
        self.rate.add(new_calls, seconds);
        self.errors_row.add(errors.saturating_sub(self.errors), seconds);
        (self.calls, self.errors) = (calls, errors);
        if self.marks.is_empty() {
            self.marks.push_back(Latency::default());
        }
        let before = self.seconds / MARK;
        self.seconds += seconds;
        for _ in (before..self.seconds / MARK).take(MARKS) {
            self.marks.push_back(self.latency);
        }
        while self.marks.len() > MARKS {
            self.marks.pop_front();
        }
        self.latency = reading.latency;
        new_calls
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
    let micros = |fraction| {
        let time = latency.quantile(fraction)?;
        Some(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1))
    };
    Some(ToldLatency { p50: micros(0.5)?, p99: micros(0.99)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::Outcome;

    fn reading(ok: u64, errors: u64) -> Reading {
        let mut reading = Reading::default();
        reading.outcomes.add(Outcome::Ok, ok);
        reading.outcomes.add(Outcome::Error, errors);
        reading.latency.buckets[3] = ok;
        reading
    }

    #[test]
    fn a_row_holds_the_last_minute() {
        let mut row = Row::default();
        (1..=70).for_each(|number| row.add(number, 1));
        assert_eq!(row.told(), (11..=70).collect::<Rate>());
        row.add(7, 3);
        assert_eq!(row.told()[56..], [70, 2, 2, 3]);
        row.add(5, 1_000_000);
        assert_eq!((row.sum(), row.told().len()), (5, SECONDS));
    }

    #[test]
    fn figures_are_of_the_last_minute() {
        let mut history = History::default();
        assert_eq!(history.record(&reading(100, 5), 1), 105);
        assert_eq!((history.errors_last_minute(), told_latency(&history.last_minute()).is_some()), (5, true));
        for _ in 0..70 {
            assert_eq!(history.record(&reading(100, 5), 1), 0);
        }
        assert_eq!((history.calls, history.errors), (105, 5));
        assert_eq!((history.errors_last_minute(), history.rate.sum()), (0, 0));
        assert_eq!(told_latency(&history.last_minute()), None);
        assert!(history.marks.len() <= MARKS);
    }

    #[test]
    fn a_new_start_begins_anew() {
        let mut history = History::default();
        history.record(&reading(100, 0), 1);
        assert_eq!(history.record(&reading(3, 0), 1), 0);
        assert_eq!(history.record(&reading(5, 0), 1), 2);
    }
}
