//! Expectations, and whether runs meet them.

use super::super::report::{Latency, Outcome};
use super::*;

fn run() -> RunReport {
    let load = |name: &str, p99| LoadReport {
        name: name.to_owned(),
        calls: 100,
        answered: 98,
        failed: 2,
        latency: Latency { p99_us: Some(p99), ..Default::default() },
        outcomes: vec![Outcome {
            kind: "ActorTrapped".to_owned(),
            count: 2,
            first_us: 0.0,
            example: String::new(),
            is_loss: false,
        }],
        ..LoadReport::default()
    };
    let counts = EventCounts { crashes: 4, ..EventCounts::default() };
    let entity = EntityReport { name: "echo".to_owned(), counts, ..EntityReport::default() };
    RunReport { loads: vec![load("a", 900.0), load("b", 20_500.0)], entities: vec![entity], ..RunReport::default() }
}

fn judge(scope: Scope, name: &str, text: &str, run: RunReport) -> (bool, String) {
    let expectation = read(&scope, name, text).unwrap();
    let verdict = expectation.judge(&[run], |name| (name.as_str() == "echo").then_some(0));
    (verdict.met, verdict.found.concat())
}

#[test]
fn figures_are_compared_in_their_units() {
    let load = |name: &str| Scope::Load(name.to_owned());
    for (scope, name, text, met, found) in [
        (Scope::All, "calls", "200", true, "200"),
        (Scope::All, "answered", ">= 98%", true, "98%"),
        (Scope::All, "answered", "> 98%", false, "98%"),
        (Scope::All, "lost", "= 0", true, "0"),
        (Scope::All, "failed", "3..5", true, "4"),
        (Scope::All, "failed", "5..9", false, "4"),
        (load("a"), "ActorTrapped", "2", true, "2"),
        (load("a"), "Busy", "0", true, "0"),
        (Scope::All, "p99", "<= 20ms", false, "20.5ms"),
        (load("a"), "p99", "< 1ms", true, "900us"),
        (load("a"), "p50", "< 1s", false, "unknown"),
        (Scope::Entity(EntityName::Actor("echo".to_owned())), "crashes", "<= 4", true, "4"),
        (Scope::Entity(EntityName::Actor("nobody".to_owned())), "crashes", "0", false, "unknown"),
    ] {
        assert_eq!(judge(scope, name, text, run()), (met, found.to_owned()), "{name} {text}");
    }
    let missed = RunReport { events_missed: 1, ..run() };
    assert_eq!(judge(Scope::All, "crashes", ">= 0", missed), (false, "unknown".to_owned()));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let refused = |scope: Scope, name: &str, text: &str| read(&scope, name, text).unwrap_err();
    assert!(refused(Scope::All, "answerd", "1").contains("did you mean answered?"));
    assert!(refused(Scope::Load("a".to_owned()), "crashes", "1").contains("ActorTrapped"));
    assert!(refused(Scope::All, "ActorTraped", "1").contains("unknown"));
    for (name, text) in [
        ("p99", "20"),
        ("p99", "-1ms"),
        ("p99", "5%"),
        ("lost", "none"),
        ("lost", ""),
        ("lost", "1e9"),
        ("answered", "101%"),
        ("calls", "50%"),
        ("failed", "9..5"),
        ("failed", "1..5%"),
        ("throughput", "1ms"),
    ] {
        assert!(read(&Scope::All, name, text).is_err(), "{name} {text}");
    }
}

#[test]
fn expectations_are_written_as_they_are_read() {
    for (name, text, shown) in [
        ("lost", "0", "lost = 0"),
        ("p99", "<=0.5ms", "p99 <= 500us"),
        ("answered", ">= 99.5%", "answered >= 99.5%"),
        ("throughput", "> 100/s", "throughput > 100/s"),
        ("restarts", "1..3", "restarts in 1..3"),
    ] {
        assert_eq!(read(&Scope::All, name, text).unwrap().to_string(), shown);
    }
}

#[test]
fn a_load_without_an_answer_leaves_the_worst_latency_unknown() {
    let mut unanswered = run();
    unanswered.loads.push(LoadReport { name: "c".to_owned(), calls: 5, failed: 5, ..LoadReport::default() });
    assert_eq!(judge(Scope::All, "p99", "<= 1s", unanswered.clone()), (false, "unknown".to_owned()));
    assert_eq!(judge(Scope::Load("c".to_owned()), "p99", "<= 1s", unanswered.clone()), (false, "unknown".to_owned()));
    assert_eq!(judge(Scope::Load("a".to_owned()), "p99", "<= 1s", unanswered), (true, "900us".to_owned()));
    let mut idle = run();
    idle.loads.push(LoadReport { name: "c".to_owned(), ..LoadReport::default() });
    assert_eq!(judge(Scope::All, "p99", "<= 1s", idle), (true, "20.5ms".to_owned()), "it has made no calls");
}

#[test]
fn answers_per_second_of_all_loads_are_those_of_the_run() {
    let load = |name: &str, answered: u64, throughput: f64| LoadReport {
        name: name.to_owned(),
        calls: answered,
        answered,
        throughput,
        ..LoadReport::default()
    };
    // 2 s at 500 per second beside 10 s at 100 per second.
    let loads = vec![load("short", 1_000, 500.0), load("long", 1_000, 100.0)];
    let run = RunReport { duration_us: 10e6, loads, ..RunReport::default() };
    assert_eq!(judge(Scope::All, "throughput", ">= 1", run.clone()), (true, "200/s".to_owned()));
    assert_eq!(judge(Scope::Load("short".to_owned()), "throughput", ">= 1", run), (true, "500/s".to_owned()));
    assert_eq!(RunReport::default().throughput(), 0.0);
}
