//! Asks the hosts of a lattice what they run, again and again. A host that does not answer holds up no other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc::Sender;
use tokio::task::{JoinError, JoinSet};
use wasmcloud_control::ControlClient;
use wasmcloud_control::message::HostSummary;
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_telemetry::state::HostState;

use super::inventory::state_of;
use super::schedule::{MOST_AT_ONCE, MOST_HOSTS, Question, Schedule, Verdict};
use crate::outcome::{CommandError, CommandResult};

/// How often hosts are asked whether there are others.
const DISCOVERY: Duration = Duration::from_secs(5);

/// What was learned.
#[derive(Debug)]
pub(super) enum Update {
    /// These hosts are there.
    Hosts(Vec<HostSummary>),
    /// The state of a host. One without telemetry tells no figures.
    State { host: String, state: Box<HostState>, has_telemetry: bool },
    /// A host that answered before has not answered the last question, for this reason.
    Late { host: String, reason: String },
    /// A host does not answer, for this reason.
    Silent { host: String, reason: String },
    /// A host has not answered for so long that it is not asked any more.
    Forgotten { host: String },
}

/// What is asked, and how often.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    client: ControlClient,
    /// The only host.
    only: Option<String>,
    interval: Duration,
}

/// What came of a question.
#[derive(Debug)]
enum Answer {
    Hosts(Vec<HostSummary>),
    State { host: String, state: Box<HostState>, has_telemetry: bool },
    Failed { host: String, error: Error },
}

/// The questions in progress, and what follows from their answers.
#[derive(Debug)]
struct Asking<'a> {
    feed: &'a Feed,
    schedule: Schedule,
    questions: JoinSet<Answer>,
    /// When hosts are next asked whether there are others. `None` if they are not.
    discovery: Option<Instant>,
    /// The hosts of which others have said that they left.
    left: BTreeSet<String>,
}

impl Feed {
    pub(super) fn new(client: ControlClient, only: Option<String>, interval: Duration) -> Feed {
        Feed { client, only, interval }
    }

    /// Returns whether all hosts are asked.
    pub(super) fn is_for_all(&self) -> bool {
        self.only.is_none()
    }

    /// Asks each host once.
    ///
    /// # Errors
    /// `Unreachable` if the connection is lost.
    pub(super) async fn read_once(&self) -> CommandResult<Vec<Update>> {
        let mut updates = Vec::new();
        let hosts = match &self.only {
            Some(host) => vec![host.clone()],
            None => {
                let summaries = self.client.hosts().await?;
                let hosts = summaries.iter().map(|host| host.id.clone()).collect();
                updates.push(Update::Hosts(summaries));
                hosts
            }
        };
        let question = |host: String| Question { host, after: None, had_telemetry: false };
        let asked = hosts.into_iter().take(MOST_HOSTS).map(|host| read(self.client.clone(), question(host)));
        let answers: Vec<Answer> = stream::iter(asked).buffered(MOST_AT_ONCE).collect().await;
        updates.extend(answers.into_iter().map(|answer| answer.told(Verdict::Silent)));
        Ok(updates)
    }

    /// Asks the hosts until the receiver is gone.
    ///
    /// # Errors
    /// `Failed` if a question ended by a bug.
    pub(super) async fn run(&self, updates: Sender<Update>) -> CommandResult<()> {
        let mut asking = Asking::new(self);
        loop {
            let due = asking.ask(Instant::now());
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                Some(answer) = asking.questions.join_next() => {
                    for update in asking.take(completed(answer)?, Instant::now()) {
                        if updates.send(update).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

impl Asking<'_> {
    fn new(feed: &Feed) -> Asking<'_> {
        let now = Instant::now();
        let mut schedule = Schedule::new(feed.interval);
        feed.only.iter().for_each(|host| schedule.found(host, now));
        let discovery = feed.is_for_all().then_some(now);
        Asking { feed, schedule, questions: JoinSet::new(), discovery, left: BTreeSet::new() }
    }

    /// Asks what is due. Returns when more is.
    fn ask(&mut self, now: Instant) -> Instant {
        if let Some(due) = &mut self.discovery
            && *due <= now
        {
            *due = now + DISCOVERY;
            let client = self.feed.client.clone();
            // Without an answer, the hosts themselves show that they are gone.
            self.questions.spawn(async move { Answer::Hosts(client.hosts().await.unwrap_or_default()) });
        }
        while let Some(question) = self.schedule.next(now) {
            self.questions.spawn(read(self.feed.client.clone(), question));
        }
        let due = [self.schedule.next_due(), self.discovery];
        due.into_iter().flatten().min().unwrap_or(now + DISCOVERY)
    }

    /// Notes an answer, and returns what was learned from it.
    fn take(&mut self, mut answer: Answer, now: Instant) -> Vec<Update> {
        let mut forgotten = BTreeSet::new();
        let mut verdict = Verdict::Silent;
        match &mut answer {
            Answer::Hosts(hosts) => {
                hosts.iter().for_each(|host| self.schedule.found(&host.id, now));
                hosts.retain(|host| self.schedule.knows(&host.id));
                let left = std::mem::take(&mut self.left);
                forgotten = self.schedule.forget(|host| left.contains(host), now);
            }
            Answer::State { host, state, has_telemetry } => {
                let last_event = state.events.last().map(|event| event.sequence);
                let started_at = has_telemetry.then_some(state.host.started_at);
                self.schedule.answered(host, last_event, started_at, now);
                let left = state.hosts.iter().filter(|host| host.state == "left" && self.schedule.knows(&host.id));
                self.left.extend(left.map(|host| host.id.clone()));
            }
            Answer::Failed { host, error } => {
                verdict = self.schedule.failed(host, error.kind() == ErrorKind::LatticeUnavailable, now);
            }
        }
        let forgotten = forgotten.into_iter().map(|host| Update::Forgotten { host });
        std::iter::once(answer.told(verdict)).chain(forgotten).collect()
    }
}

impl Answer {
    /// Returns what was learned. `verdict` is what is thought of a host that has not answered.
    fn told(self, verdict: Verdict) -> Update {
        match self {
            Answer::Hosts(hosts) => Update::Hosts(hosts),
            Answer::State { host, state, has_telemetry } => Update::State { host, state, has_telemetry },
            Answer::Failed { host, error } => match verdict {
                Verdict::Late => Update::Late { host, reason: error.to_string() },
                Verdict::Silent => Update::Silent { host, reason: error.to_string() },
            },
        }
    }
}

/// Returns what came of a question.
///
/// # Errors
/// `Failed` if it ended by a bug, which has been printed.
fn completed(answer: Result<Answer, JoinError>) -> CommandResult<Answer> {
    answer.map_err(|_| CommandError::Failed("a question to the hosts ended by a bug".to_owned()))
}

/// Asks a host for its state. One without telemetry is asked for its inventory instead.
async fn read(client: ControlClient, question: Question) -> Answer {
    let Question { host, after, had_telemetry } = question;
    let error = match client.whole_state(&host, after).await {
        Ok(state) => return Answer::State { host, state: Box::new(state), has_telemetry: true },
        Err(error) => error,
    };
    if !may_lack_telemetry(error.kind(), had_telemetry) {
        return Answer::Failed { host, error };
    }
    match client.whole_inventory(&host).await {
        Ok(inventory) => Answer::State { host, state: Box::new(state_of(inventory, now())), has_telemetry: false },
        Err(error) => Answer::Failed { host, error },
    }
}

/// Returns whether a question for a state may have failed because the host has no telemetry. Hosts of 2021 do not answer it, and
/// others say that they do not support it, which is also the kind of an answer that cannot be read.
fn may_lack_telemetry(kind: ErrorKind, had_telemetry: bool) -> bool {
    match kind {
        ErrorKind::LatticeUnavailable => true,
        ErrorKind::Unsupported => !had_telemetry,
        _ => false,
    }
}

/// Returns the time by the clock here. Unit: milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_that_may_lack_telemetry_is_asked_for_its_inventory() {
        use ErrorKind::{DeadlineExceeded, LatticeUnavailable, MessageTooLarge, Unsupported};
        let asked = |had_telemetry: bool| {
            [LatticeUnavailable, Unsupported, DeadlineExceeded, MessageTooLarge]
                .map(|kind| may_lack_telemetry(kind, had_telemetry))
        };
        assert_eq!((asked(false), asked(true)), ([true, true, false, false], [true, false, false, false]));
    }

    #[tokio::test]
    async fn a_question_that_panics_ends_the_command() {
        let mut questions: JoinSet<Answer> = JoinSet::new();
        questions.spawn(async { panic!("a bug") });
        let failure = completed(questions.join_next().await.unwrap()).unwrap_err();
        assert!(matches!(failure, CommandError::Failed(_)), "{failure:?}");
    }
}
