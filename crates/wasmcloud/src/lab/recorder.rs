//! What becomes of the calls of a load: counts by outcome, durations, and both over time. The size of a record does not grow with
//! the number of calls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::report::{BLOCKS, Figures, LoadReport, Outcome, Slots, microseconds};

/// The most slots of time. When there are more, slots are joined two by two.
const MOST_SLOTS: usize = 240;

/// The width of a slot at the beginning. A load whose calls are all refused at once may end within milliseconds.
const FIRST_WIDTH: Duration = Duration::from_micros(100);

/// The most kinds of outcomes that are told apart. A server can invent statuses, but no kinds of errors.
const MOST_KINDS: usize = 64;

/// The kind under which further kinds are counted.
const OTHER: &str = "Other";

/// Slots are joined at the end while there are more than this and few calls in each, whose quantiles would say little.
const FEW_SLOTS: usize = 60;
const FEW_CALLS: u64 = 30;

/// The longest text of an error that is kept. Unit: characters.
const LONGEST_EXAMPLE: usize = 400;

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallOutcome {
    Answered,
    /// The caller was told that it failed, and why.
    Failed {
        kind: String,
        text: String,
    },
    /// It never ended, or was answered with something else.
    Lost {
        kind: &'static str,
        text: String,
    },
}

/// Records the calls of a load.
#[derive(Debug)]
pub(super) struct Recorder {
    began: Instant,
    slots: Vec<Slot>,
    width: Duration,
    answered: Histogram,
    failed: Histogram,
    outcomes: BTreeMap<String, Kind>,
    lost: u64,
    ended: Duration,
}

/// The calls that ended within a stretch of time.
#[derive(Debug, Clone, Default)]
struct Slot {
    answered: Histogram,
    failed: u64,
    lost: u64,
}

/// The calls that failed or were lost in one way.
#[derive(Debug)]
struct Kind {
    count: u64,
    first: Duration,
    example: String,
    is_loss: bool,
}

impl Recorder {
    pub(super) fn new(began: Instant) -> Recorder {
        Recorder {
            began,
            slots: Vec::new(),
            width: FIRST_WIDTH,
            answered: Histogram::default(),
            failed: Histogram::default(),
            outcomes: BTreeMap::new(),
            lost: 0,
            ended: Duration::ZERO,
        }
    }

    /// Records a call that took a time and has ended now.
    pub(super) fn record(&mut self, took: Duration, now: Instant, outcome: CallOutcome) {
        let at = now.saturating_duration_since(self.began);
        self.ended = self.ended.max(at);
        let slot = self.slot(at);
        match outcome {
            CallOutcome::Answered => {
                slot.answered.record(took);
                self.answered.record(took);
            }
            CallOutcome::Failed { kind, text } => {
                slot.failed += 1;
                self.failed.record(took);
                self.count(kind, text, at, false);
            }
            CallOutcome::Lost { kind, text } => {
                slot.lost += 1;
                self.lost += 1;
                self.count(kind.to_owned(), text, at, true);
            }
        }
    }

    /// Returns how many calls have ended, and how many of them were not answered.
    pub(super) fn counts(&self) -> (u64, u64) {
        let bad = self.failed.total() + self.lost;
        (self.answered.total() + bad, bad)
    }

    fn slot(&mut self, at: Duration) -> &mut Slot {
        let mut number = at.as_nanos() / self.width.as_nanos();
        while number >= MOST_SLOTS as u128 {
            self.join();
            number = at.as_nanos() / self.width.as_nanos();
        }
        // Less than the most slots.
        let number = number as usize;
        if number >= self.slots.len() {
            self.slots.resize_with(number + 1, Slot::default);
        }
        &mut self.slots[number]
    }

    /// Joins slots two by two.
    fn join(&mut self) {
        self.slots = self.slots.chunks(2).map(Slot::sum).collect();
        self.width *= 2;
    }

    fn count(&mut self, kind: String, text: String, at: Duration, is_loss: bool) {
        let is_new = !self.outcomes.contains_key(&kind);
        let kind = if is_new && self.outcomes.len() >= MOST_KINDS { OTHER.to_owned() } else { kind };
        let kind = self.outcomes.entry(kind).or_insert_with(|| Kind {
            count: 0,
            first: at,
            example: text.chars().take(LONGEST_EXAMPLE).collect(),
            is_loss,
        });
        kind.count += 1;
    }

    /// Returns what was recorded. The names and counts of the load are filled in by its caller.
    pub(super) fn finish(mut self) -> LoadReport {
        let (calls, _) = self.counts();
        let blocks = blocks(&self.slots, self.width, self.ended);
        while self.slots.len() > FEW_SLOTS && calls / (self.slots.len() as u64) < FEW_CALLS {
            self.join();
        }
        let seconds = self.ended.as_secs_f64();
        LoadReport {
            duration_us: microseconds(self.ended),
            calls,
            answered: self.answered.total(),
            failed: self.failed.total(),
            lost: self.lost,
            throughput: if seconds > 0.0 { self.answered.total() as f64 / seconds } else { 0.0 },
            latency: (&self.answered).into(),
            failure_latency: (&self.failed).into(),
            blocks,
            slots: slots(&self.slots, self.width),
            outcomes: self.outcomes.into_iter().map(|(name, kind)| kind.outcome(name)).collect(),
            ..LoadReport::default()
        }
    }
}

impl Slot {
    fn sum(slots: &[Slot]) -> Slot {
        slots.iter().fold(Slot::default(), |mut sum, slot| {
            sum.answered.add(&slot.answered);
            sum.failed += slot.failed;
            sum.lost += slot.lost;
            sum
        })
    }
}

impl Kind {
    fn outcome(self, kind: String) -> Outcome {
        let Kind { count, first, example, is_loss } = self;
        Outcome { kind, count, first_us: microseconds(first), example, is_loss }
    }
}

fn slots(slots: &[Slot], width: Duration) -> Slots {
    let quantile = |share: f64| slots.iter().map(|slot| slot.answered.quantile(share).map(in_microseconds)).collect();
    Slots {
        width_us: microseconds(width),
        answered: slots.iter().map(|slot| slot.answered.total()).collect(),
        failed: slots.iter().map(|slot| slot.failed).collect(),
        lost: slots.iter().map(|slot| slot.lost).collect(),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        max_us: slots.iter().map(|slot| slot.answered.longest().map(in_microseconds)).collect(),
    }
}

fn in_microseconds(nanoseconds: f64) -> f64 {
    super::report::rounded(nanoseconds / 1000.0)
}

/// Returns the load in stretches of about the same number of whole slots, which hold all of them. Too few slots are no blocks.
fn blocks(slots: &[Slot], width: Duration, ended: Duration) -> Vec<Figures> {
    let whole = ((ended.as_nanos() / width.as_nanos()) as usize).min(slots.len());
    if whole < BLOCKS {
        return Vec::new();
    }
    let bounds = (0..BLOCKS).map(|number| number * whole / BLOCKS..(number + 1) * whole / BLOCKS);
    bounds.map(|bounds| block(&slots[bounds], width)).collect()
}

fn block(slots: &[Slot], width: Duration) -> Figures {
    // At most the most slots.
    let seconds = (width * slots.len() as u32).as_secs_f64();
    let Slot { answered, failed, lost } = Slot::sum(slots);
    let quantile = |share| answered.quantile(share).map(in_microseconds);
    Figures {
        answered: answered.total(),
        failed,
        lost,
        throughput: answered.total() as f64 / seconds,
        p50_us: quantile(0.5),
        p90_us: quantile(0.9),
        p99_us: quantile(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_long_load_keeps_a_bounded_number_of_slots_and_all_counts() {
        let began = Instant::now();
        let mut recorder = Recorder::new(began);
        for second in 0..3600 {
            let now = began + Duration::from_secs(second);
            recorder.record(milliseconds(2), now, CallOutcome::Answered);
            let failed = CallOutcome::Failed { kind: "Busy".to_owned(), text: "full".to_owned() };
            recorder.record(milliseconds(1), now, failed);
        }
        let report = recorder.finish();
        assert!(report.slots.answered.len() <= MOST_SLOTS, "{}", report.slots.answered.len());
        assert_eq!(report.slots.answered.iter().sum::<u64>(), 3600);
        assert_eq!(report.slots.failed.iter().sum::<u64>(), 3600);
        assert_eq!((report.calls, report.answered, report.failed, report.lost), (7200, 3600, 3600, 0));
        assert_eq!(report.blocks.len(), BLOCKS);
        assert!((report.blocks[3].throughput - 1.0).abs() < 0.2, "{:?}", report.blocks);
    }

    #[test]
    fn stretches_hold_all_whole_slots() {
        let mut slots = vec![Slot::default(); 19];
        slots.iter_mut().for_each(|slot| slot.failed = 1);
        slots[18].lost = 7;
        let blocks_of = |number: usize| blocks(&slots[..number], milliseconds(1), milliseconds(number as u64));
        for number in 10..=19 {
            let blocks = blocks_of(number);
            assert_eq!(blocks.len(), BLOCKS);
            assert_eq!(blocks.iter().map(|block| block.failed).sum::<u64>(), number as u64, "{number} slots");
        }
        assert_eq!(blocks_of(19)[9].lost, 7, "the end of a load is looked at");
        assert!(blocks_of(9).is_empty());
    }

    #[test]
    fn invented_kinds_of_failures_are_bounded() {
        let began = Instant::now();
        let mut recorder = Recorder::new(began);
        for status in 0..1000 {
            let failed = CallOutcome::Failed { kind: format!("Http{status}"), text: "x".repeat(100_000) };
            recorder.record(milliseconds(1), began, failed);
        }
        let report = recorder.finish();
        assert_eq!(report.outcomes.len(), MOST_KINDS + 1);
        assert_eq!(report.outcomes.iter().map(|outcome| outcome.count).sum::<u64>(), 1000);
        assert!(report.outcomes.iter().all(|outcome| outcome.example.len() <= LONGEST_EXAMPLE));
        assert!(report.blocks.is_empty(), "a load of no duration has no blocks");
    }
}
