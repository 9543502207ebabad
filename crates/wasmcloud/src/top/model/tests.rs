//! What is known after answers, silence and new starts.

use wasmcloud_telemetry::state::{ActorState, Lifecycle};

use super::*;

fn event(sequence: u64, at: u64) -> EventRecord {
    EventRecord { sequence, at, kind: "crashed".into(), ..EventRecord::default() }
}

fn told(host: &str, started_at: u64, events: &[(u64, u64)]) -> Update {
    let mut state = HostState::default();
    state.host.id = host.to_owned();
    state.host.started_at = started_at;
    state.events = events.iter().map(|(sequence, at)| event(*sequence, *at)).collect();
    Update::State { host: host.to_owned(), state: Box::new(state), has_telemetry: true }
}

#[test]
fn events_of_all_hosts_are_kept_once_and_the_newest_is_first() {
    let now = Instant::now();
    let mut model = Model::new("default");
    model.take(told("N1", 5, &[(1, 10), (2, 30)]), now);
    model.take(told("N2", 5, &[(1, 20)]), now);
    model.take(told("N1", 5, &[(2, 30), (3, 40)]), now);
    let listed: Vec<(&str, u64)> = model.events().iter().map(|event| (event.host.as_str(), event.at)).collect();
    assert_eq!(listed, [("N1", 40), ("N1", 30), ("N2", 20), ("N1", 10)]);
    model.take(told("N1", 6, &[(1, 50)]), now);
    assert_eq!(model.events().iter().filter(|event| event.host == "N1").count(), 1, "it counts anew");
    let many: Vec<(u64, u64)> = (0..600).map(|number| (number + 2, number + 100)).collect();
    model.take(told("N1", 6, &many), now);
    assert_eq!((model.events().len(), model.events()[0].at), (MOST_EVENTS, 699));
}

#[test]
fn a_host_that_answers_no_more_is_gone_and_comes_first() {
    let now = Instant::now();
    let mut model = Model::new("default");
    model.take(told("N1", 5, &[]), now);
    model.take(told("N2", 5, &[]), now);
    assert_eq!(model.hosts().iter().map(|host| (host.id, host.word)).collect::<Vec<_>>(), [("N1", "up"), ("N2", "up")]);
    model.take(Update::Silent { host: "N2".into(), reason: "no host answers".into() }, now);
    let words: Vec<(&str, &str)> = model.hosts().iter().map(|host| (host.id, host.word)).collect();
    assert_eq!(words, [("N2", "gone"), ("N1", "up")]);
    assert_eq!((model.totals().hosts, model.totals().hosts_gone), (2, 1));
    let later = now + Duration::from_secs(9);
    assert_eq!(model.age(later), Some(Duration::from_secs(9)), "the age is that of the last answer");
    model.take(told("N2", 5, &[]), later);
    assert_eq!(model.hosts()[0].word, "up");
}

#[test]
fn hosts_that_only_others_know_are_listed() {
    let mut state = HostState::default();
    state.host.id = "N1".into();
    state.hosts = vec![LatticeHost { id: "N3".into(), state: "down".into(), heard_at: 4, ..LatticeHost::default() }];
    let mut model = Model::new("default");
    let update = Update::State { host: "N1".into(), state: Box::new(state), has_telemetry: true };
    model.take(update, Instant::now());
    assert_eq!(
        model.hosts().iter().map(|host| (host.id, host.word)).collect::<Vec<_>>(),
        [("N3", "down"), ("N1", "up")]
    );
}

#[test]
fn a_late_answer_and_one_without_figures_lose_no_events() {
    let now = Instant::now();
    let mut model = Model::new("default");
    model.take(told("N1", 5, &[(1, 10), (2, 20)]), now);
    model.take(Update::Late { host: "N1".into(), reason: "no answer in time".into() }, now);
    assert!(model.hosts()[0].word == "up" && model.hosts()[0].known.unwrap().lateness.is_some());
    let Update::State { host, state, .. } = told("N1", 7, &[]) else { unreachable!() };
    model.take(Update::State { host, state, has_telemetry: false }, now);
    model.take(told("N1", 5, &[]), now);
    assert_eq!(model.hosts()[0].known.unwrap().lateness, None);
    assert_eq!(model.events().len(), 2);
    model.take(told("N1", 7, &[]), now);
    assert_eq!(model.events().len(), 0, "it was started again");
}

/// An answer of a host with an actor that has this many calls.
fn busy(host: &str, calls: u64, lifecycle: Lifecycle) -> Update {
    let Update::State { host, mut state, .. } = told(host, 5, &[]) else { unreachable!() };
    let mut actor = ActorState { id: "M1".into(), ..ActorState::default() };
    actor.activity.rate = vec![calls];
    actor.activity.state = lifecycle;
    actor.trust.trusted = true;
    state.actors.push(actor);
    Update::State { host, state, has_telemetry: true }
}

#[test]
fn what_a_gone_host_ran_counts_no_more() {
    let now = Instant::now();
    let mut model = Model::new("default");
    model.take(busy("N1", 3, Lifecycle::Running), now);
    model.take(busy("N2", 5000, Lifecycle::Running), now);
    model.take(busy("N3", 70, Lifecycle::Failed), now);
    let totals = model.totals();
    assert_eq!((totals.calls, totals.actors, totals.failing), (5073, 3, 1));
    for host in ["N2", "N3"] {
        model.take(Update::Silent { host: host.into(), reason: "no host answers".into() }, now);
    }
    let totals = model.totals();
    assert_eq!((totals.calls, totals.actors, totals.failing, totals.troubled), (3, 1, 1, 1));
    model.take(Update::Forgotten { host: "N2".into() }, now);
    let totals = model.totals();
    assert_eq!((totals.hosts, totals.hosts_forgotten, totals.troubled), (2, 1, 0));
}

#[test]
fn a_host_speaks_for_itself_alone() {
    let mut model = Model::new("default");
    let Update::State { mut state, .. } = busy("N1", 1, Lifecycle::Failed) else { unreachable!() };
    state.host.id = "N2".into();
    model.take(Update::State { host: "N1".into(), state, has_telemetry: true }, Instant::now());
    let hosts: Vec<&str> = model.items().map(|item| item.host.as_str()).collect();
    assert_eq!(hosts, ["N1"]);
}
