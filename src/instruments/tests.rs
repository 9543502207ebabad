//! What is counted is read, and by whom.

use std::time::Instant;

use wasmcloud_core::error::{Error, Result};

use super::*;

fn answered(instance: &InstanceInstruments, operation: &str, answer: &Result<()>) {
    let begun = instance.begin(operation, Instant::now);
    instance.end(begun, answer, || Some(operation.to_owned()), Instant::now);
}

fn failed(kind: ErrorKind) -> Result<()> {
    Err(Error::new(kind, "deliberately"))
}

#[test]
fn the_counts_of_all_instances_are_added_and_outlast_them() {
    let instruments = Instruments::on();
    let actor = instruments.actor(&"M".into());
    let [first, second] = [2, 3].map(|backlog| actor.guest_instance(move || backlog));
    answered(&first, "A", &Ok(()));
    answered(&second, "A", &failed(ErrorKind::DeadlineExceeded));
    answered(&second, "B", &failed(ErrorKind::ActorFailed));
    first.suspend();
    let reading = instruments.read_actor("M").unwrap();
    assert_eq!((reading.outcomes.calls(), reading.latency.count()), (3, 3));
    assert_eq!((reading.in_flight, reading.mailbox), (1, 4));

    drop(first);
    actor.count_unserved(Some("B"), ErrorKind::Busy);
    actor.count_crash();
    actor.count_restart();
    let reading = instruments.read_actor("M").unwrap();
    let [ok, timeout, busy] =
        [Outcome::Ok, Outcome::Timeout, Outcome::Busy].map(|outcome| reading.outcomes.of(outcome));
    assert_eq!((ok, timeout, busy), (1, 1, 1));
    assert_eq!((reading.crashes, reading.restarts, reading.in_flight, reading.mailbox), (1, 1, 0, 3));
    let names: Vec<_> = reading.operations.iter().map(|operation| operation.name.as_deref()).collect();
    assert_eq!(names, [Some("A"), Some("B")]);
}

#[test]
fn an_operation_that_is_not_served_takes_no_slot() {
    let instruments = Instruments::on();
    let provider = instruments.provider(&ProviderKey::new("V", "default"));
    let instance = provider.provider_instance(ProviderFigures::default);
    for number in 0..100 {
        answered(&instance, &format!("Invented{number}"), &failed(ErrorKind::UnknownOperation));
    }
    answered(&instance, "Known", &Ok(()));
    let reading = instruments.read_provider(&ProviderKey::new("V", "default")).unwrap();
    let counts: Vec<_> =
        reading.operations.iter().map(|operation| (operation.name.as_deref(), operation.outcomes.calls())).collect();
    assert_eq!(counts, [(Some("Known"), 1), (None, 100)]);
}

#[test]
fn figures_end_with_their_actor_and_a_later_start_begins_anew() {
    let instruments = Instruments::on();
    let first = instruments.actor(&"M".into());
    answered(&first.guest_instance(|| 0), "A", &Ok(()));
    drop(first);
    assert!(instruments.read_actor("M").is_none());
    let second = instruments.actor(&"M".into());
    let reading = instruments.read_actor("M").unwrap();
    assert_eq!((reading.start, reading.outcomes.calls()), (2, 0));
    drop(second);
    // Ended ones do not pile up.
    for number in 0..10_000 {
        drop(instruments.actor(&format!("M{number}").into()));
    }
    assert!(instruments.0.unwrap().actors.0.lock().unwrap().entities.len() < 100);
}

#[test]
fn a_host_without_metrics_counts_nothing() {
    let instruments = Instruments::off();
    let actor = instruments.actor(&"M".into());
    let instance = actor.guest_instance(|| 0);
    answered(&instance, "A", &Ok(()));
    actor.count_unserved(None, ErrorKind::Busy);
    assert!(instruments.read_actor("M").is_none() && instance.usage().is_none());
}
