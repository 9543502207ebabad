//! Chooses the host that is asked next (pure). Every host is asked in turn, also among thousands and among many silent ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The most hosts that are asked at a time.
pub(super) const MOST_AT_ONCE: usize = 64;

/// The most hosts that are asked at all. Further ones wait until others are forgotten.
pub(super) const MOST_HOSTS: usize = 10_000;

/// The longest time between two questions to a host that does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a host is asked that does not answer.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// The hosts that are asked.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    hosts: BTreeMap<String, Asked>,
    in_progress: usize,
}

/// A host that is asked.
#[derive(Debug)]
struct Asked {
    due: Instant,
    is_in_progress: bool,
    /// The sequence number of the last event that it told.
    after: Option<u64>,
    /// When it was started, as far as it told.
    started_at: Option<u64>,
    /// How many of the last questions it did not answer.
    failures: u32,
    has_answered: bool,
    /// When it last answered, or was found.
    heard: Instant,
}

/// A question to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) host: String,
    /// The sequence number of the last event that it told.
    pub(super) after: Option<u64>,
    /// Whether it has told figures before.
    pub(super) had_telemetry: bool,
}

/// What is to be thought of a host that has not answered a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answered the question before, and may be slow.
    Late,
    Silent,
}

impl Asked {
    fn new(now: Instant) -> Asked {
        Asked {
            due: now,
            is_in_progress: false,
            after: None,
            started_at: None,
            failures: 0,
            has_answered: false,
            heard: now,
        }
    }
}

impl Schedule {
    /// Returns a schedule by which each host is asked once in an interval, if it answers.
    pub(super) fn new(interval: Duration) -> Schedule {
        Schedule { interval, hosts: BTreeMap::new(), in_progress: 0 }
    }

    /// Notes that a host is there. A new one, or one that did not answer, is asked at once.
    pub(super) fn found(&mut self, host: &str, now: Instant) {
        let has_room = self.hosts.len() < MOST_HOSTS;
        match self.hosts.get_mut(host) {
            Some(asked) if asked.failures > 0 => (asked.due, asked.heard) = (now, now),
            Some(_) => {}
            None if !has_room => {}
            None => {
                self.hosts.insert(host.to_owned(), Asked::new(now));
            }
        }
    }

    /// Returns whether a host is asked at all.
    pub(super) fn knows(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    /// Returns the next question, if one is due: that which has been due longest.
    pub(super) fn next(&mut self, now: Instant) -> Option<Question> {
        if self.in_progress >= MOST_AT_ONCE {
            return None;
        }
        let waiting = self.hosts.iter_mut().filter(|(_, asked)| !asked.is_in_progress && asked.due <= now);
        let (host, asked) = waiting.min_by_key(|(_, asked)| asked.due)?;
        asked.is_in_progress = true;
        self.in_progress += 1;
        Some(Question { host: host.clone(), after: asked.after, had_telemetry: asked.started_at.is_some() })
    }

    /// Returns when the next question is due, if another may be asked before one is answered.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.hosts.values().filter(|asked| !asked.is_in_progress).map(|asked| asked.due);
        waiting.min().filter(|_| self.in_progress < MOST_AT_ONCE)
    }

    /// Notes an answer. `last_event` is the sequence number of the last event in it. `started_at` is when the host was started,
    /// and `None` if it has no telemetry.
    pub(super) fn answered(&mut self, host: &str, last_event: Option<u64>, started_at: Option<u64>, now: Instant) {
        let Some(asked) = Self::ended(&mut self.hosts, &mut self.in_progress, host) else { return };
        (asked.due, asked.heard, asked.failures, asked.has_answered) = (now + self.interval, now, 0, true);
        let Some(started_at) = started_at else { return };
        let is_another = asked.started_at.replace(started_at).is_some_and(|before| before != started_at);
        if is_another {
            // It counts its events anew, and has left out those up to the number that it was asked for.
            (asked.after, asked.due) = (None, now);
        } else {
            asked.after = last_event.or(asked.after);
        }
    }

    /// Notes that a host has not answered. `is_absent` says that it is known not to be there. It is asked again after pauses
    /// that grow.
    pub(super) fn failed(&mut self, host: &str, is_absent: bool, now: Instant) -> Verdict {
        let Some(asked) = Self::ended(&mut self.hosts, &mut self.in_progress, host) else { return Verdict::Silent };
        let is_late = asked.failures == 0 && asked.has_answered && !is_absent;
        let pause = self.interval.saturating_mul(1 << asked.failures.min(16));
        asked.due = now + pause.min(LONGEST_PAUSE.max(self.interval));
        asked.failures = asked.failures.saturating_add(1);
        if is_late {
            return Verdict::Late;
        }
        // One that comes back under the same key counts its events anew, and may have no telemetry.
        (asked.after, asked.started_at, asked.has_answered) = (None, None, false);
        Verdict::Silent
    }

    /// Forgets the hosts that have not answered for long, and those that do not answer and are known to have left. Returns
    /// them.
    pub(super) fn forget(&mut self, has_left: impl Fn(&str) -> bool, now: Instant) -> BTreeSet<String> {
        let is_lost = |host: &str, asked: &Asked| {
            let is_overdue = now.saturating_duration_since(asked.heard) >= PATIENCE;
            !asked.is_in_progress && asked.failures > 1 && (is_overdue || has_left(host))
        };
        let lost: BTreeSet<String> =
            self.hosts.iter().filter(|(host, asked)| is_lost(host, asked)).map(|(host, _)| host.clone()).collect();
        self.hosts.retain(|host, _| !lost.contains(host));
        lost
    }

    /// Notes that a question has been answered, or will not be.
    fn ended<'a>(hosts: &'a mut BTreeMap<String, Asked>, in_progress: &mut usize, host: &str) -> Option<&'a mut Asked> {
        let asked = hosts.get_mut(host).filter(|asked| asked.is_in_progress)?;
        asked.is_in_progress = false;
        *in_progress -= 1;
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(hosts: usize, now: Instant) -> Schedule {
        let mut schedule = Schedule::new(2 * SECOND);
        (0..hosts).for_each(|number| schedule.found(&format!("N{number:04}"), now));
        schedule
    }

    fn due(schedule: &mut Schedule, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| schedule.next(now)).map(|question| question.host).collect()
    }

    #[test]
    fn each_of_many_hosts_has_its_turn() {
        let now = Instant::now();
        let mut schedule = schedule(200, now);
        let first = due(&mut schedule, now);
        assert_eq!((first.len(), schedule.next_due()), (MOST_AT_ONCE, None));
        // The next one is asked as soon as another has answered.
        let mut asked: BTreeSet<String> = first.iter().cloned().collect();
        let mut answering = first;
        while !answering.is_empty() {
            answering.iter().for_each(|host| schedule.answered(host, None, Some(1), now));
            answering = due(&mut schedule, now);
            asked.extend(answering.iter().cloned());
        }
        assert_eq!((asked.len(), schedule.next_due()), (200, Some(now + 2 * SECOND)));
    }

    #[test]
    fn silent_hosts_leave_the_others_their_turn() {
        let begin = Instant::now();
        let mut schedule = schedule(100, begin);
        let mut answers = 0;
        for second in 0..40 {
            let now = begin + second * SECOND;
            while let Some(question) = schedule.next(now) {
                // The first 80 never answer.
                if *question.host < *"N0080" {
                    schedule.failed(&question.host, false, now);
                } else {
                    schedule.answered(&question.host, None, None, now);
                    answers += 1;
                }
            }
        }
        assert_eq!(answers, 20 * 20, "each of the others is asked every other second");
    }

    #[test]
    fn a_host_is_late_once_and_then_silent() {
        let now = Instant::now();
        let mut schedule = schedule(1, now);
        let mut ask = |answer: fn(&mut Schedule, Instant) -> Option<Verdict>| {
            let at = schedule.next_due().unwrap();
            let question = schedule.next(at).unwrap();
            (question.after, question.had_telemetry, answer(&mut schedule, at))
        };
        let told = |schedule: &mut Schedule, now: Instant| {
            schedule.answered("N0000", Some(7), Some(1), now);
            None
        };
        let late = |schedule: &mut Schedule, now: Instant| Some(schedule.failed("N0000", false, now));
        let absent = |schedule: &mut Schedule, now: Instant| Some(schedule.failed("N0000", true, now));
        assert_eq!(ask(late), (None, false, Some(Verdict::Silent)));
        assert_eq!(ask(told), (None, false, None));
        assert_eq!(ask(late), (Some(7), true, Some(Verdict::Late)));
        assert_eq!(ask(told), (Some(7), true, None), "what it told before is remembered");
        assert_eq!(ask(late), (Some(7), true, Some(Verdict::Late)));
        assert_eq!(ask(late), (Some(7), true, Some(Verdict::Silent)));
        assert_eq!(ask(told), (None, false, None));
        assert_eq!(ask(absent), (Some(7), true, Some(Verdict::Silent)));
    }

    #[test]
    fn a_host_that_was_started_again_is_asked_for_all_its_events() {
        let now = Instant::now();
        let mut schedule = schedule(1, now);
        let mut ask = |last_event: Option<u64>, started_at: u64| {
            let question = schedule.next(now + SECOND * 60).unwrap();
            schedule.answered("N0000", last_event, Some(started_at), now);
            question.after
        };
        assert_eq!(
            [ask(Some(50), 1), ask(None, 1), ask(None, 2), ask(Some(3), 2), ask(None, 2)],
            [None, Some(50), Some(50), None, Some(3)]
        );
    }

    #[test]
    fn hosts_that_left_or_are_gone_for_long_are_forgotten() {
        let begin = Instant::now();
        let mut schedule = schedule(3, begin);
        let mut now = begin;
        let mut left = Vec::new();
        let mut gone = Vec::new();
        for _ in 0..1000 {
            now += 5 * SECOND;
            while let Some(question) = schedule.next(now) {
                match question.host.as_str() {
                    "N0000" => schedule.answered("N0000", None, Some(1), now),
                    host => drop(schedule.failed(host, true, now)),
                }
            }
            let forgotten = schedule.forget(|host| host == "N0001", now);
            left.extend(forgotten.iter().filter(|host| *host == "N0001").map(|_| now));
            gone.extend(forgotten.iter().filter(|host| *host == "N0002").map(|_| now));
        }
        assert_eq!((left.len(), gone.len(), schedule.hosts.len()), (1, 1, 1));
        assert!(left[0] <= begin + 60 * SECOND && gone[0] >= begin + PATIENCE, "{left:?} {gone:?}");
        schedule.found("N0001", now);
        assert_eq!(due(&mut schedule, now).iter().filter(|host| *host == "N0001").count(), 1, "it is found again");
    }
}
