//! The keys of plans, and errors in them.

use std::time::Duration;

use proptest::prelude::*;
use wasmcloud_host::Restart;

use super::faults::{CRASH, DELAY, DROP, FAULTS};
use super::schema::{ACTOR, HOST, HTTP, LOAD, PLAN, RESTART};
use super::*;
use crate::lab::expectation::{self, Scope};

fn read(text: &str) -> Result<Plan, String> {
    let path = Path::new("folder/storm.yaml");
    Plan::of_text(path, text.to_owned(), Format::Yaml).map_err(|error| error.to_string())
}

const LOADS: &str = "manifest: m.yaml\nloads: [{actor: echo, operation: Echo, calls: 1}]\n";

fn with(text: &str) -> Result<Plan, String> {
    read(&format!("{LOADS}{text}"))
}

fn load(text: &str) -> Result<Load, String> {
    read(&format!("manifest: m.yaml\nloads: [{text}]")).map(|plan| plan.loads[0].clone())
}

#[test]
fn a_plan_has_defaults() {
    let plan = read(LOADS).unwrap();
    assert_eq!((plan.name.as_str(), plan.seed, plan.runs, plan.warm_up), ("storm", 1, 1, 0));
    assert_eq!(plan.manifest, Path::new("folder/m.yaml"));
    assert!(plan.source.digest.starts_with("sha256:") && plan.source.file == "storm.yaml");
    let load = &plan.loads[0];
    assert_eq!((load.name.as_str(), load.callers, load.pace), ("echo Echo", 1, Pace::Closed { pause: Duration::ZERO }));
    assert_eq!((load.end, load.start, &load.answer), (End::Calls(1), Duration::ZERO, &None));
}

#[test]
fn loads_wait_for_answers_or_have_a_rate() {
    let open = load("{actor: a, operation: B, rate: 0.5, duration: 5s, start: 1s, payload: {zeros: 64}}").unwrap();
    assert_eq!((open.pace, open.callers), (Pace::Open { rate: 0.5 }, 256));
    assert_eq!((open.end, open.start), (End::After(Duration::from_secs(5)), Duration::from_secs(1)));
    assert!(matches!(open.target, Target::Actor { payload, .. } if payload == [0; 64]));
    let http =
        load("{http: {url: 'http://a/', method: PUT, headers: {a: 1}, body: b}, status: 204, calls: 1}").unwrap();
    let Target::Http { method, headers, body, status, .. } = http.target else { panic!("it is HTTP") };
    assert_eq!((method.as_str(), status, body.as_slice()), ("PUT", Some(204), b"b".as_slice()));
    assert_eq!(headers, [("a".to_owned(), "1".to_owned())]);
    for (payload, bytes) in [
        ("hello", b"hello".as_slice()),
        ("{text: hello}", b"hello"),
        ("{base64: aGVsbG8=}", b"hello"),
        ("{msgpack: '[1, \"a\"]'}", b"\x92\x01\xa1a"),
        ("''", b""),
    ] {
        let load = load(&format!("{{actor: a, operation: B, calls: 1, answer: {payload}}}")).unwrap();
        assert_eq!(load.answer.as_deref(), Some(bytes), "{payload}");
    }
}

#[test]
fn faults_become_an_experiment() {
    let plan = with(
        "faults: [{actor: echo, crash: [{nth: 3}, {every: 50}, {probability: 1%}], drop: {nth: 7}, \
         delay: {from: 1ms, to: 5ms, probability: 0.5}, slow_start: 2s}]",
    )
    .unwrap();
    let ms = Duration::from_millis;
    let expected = Experiment::seeded(9)
        .crash_nth(3)
        .crash_every(50)
        .crash_with_probability(0.01)
        .drop_nth(7)
        .delay(ms(1)..=ms(5), 0.5)
        .slow_start(ms(2000));
    assert_eq!(plan.faults[0].experiment(9), expected);
    let provider = with("faults: [{provider: 'builtin:keyvalue', link_name: b, delay: {to: 5ms}}]").unwrap();
    let name = EntityName::Provider { name: "builtin:keyvalue".to_owned(), link_name: "b".to_owned() };
    assert_eq!(provider.faults[0].entity, name);
    assert_eq!(provider.faults[0].experiment(1), Experiment::seeded(1).delay(ms(5)..=ms(5), 1.0));
}

#[test]
fn policies_are_those_of_manifests() {
    let plan = with(
        "host: {shards: 2, call_deadline: 5s, restart: {restart: temporary, intensity: 3, period: 4s, in_a_row: 5}}\n\
         actors: [{image_ref: echo.wasm, instances: 2, restart: {in_a_row: 1}}]",
    )
    .unwrap();
    let policy = RestartPolicy::new().restart(Restart::Temporary).intensity(3, Duration::from_secs(4)).in_a_row(5);
    assert_eq!(plan.host.restart_policy(), policy);
    assert_eq!((plan.host.shards, plan.host.call_deadline), (Some(2), Some(Duration::from_secs(5))));
    assert_eq!((plan.actors[0].instances, plan.actors[0].restart.in_a_row), (Some(2), Some(1)));
    assert_eq!(HostChange::default().restart_policy(), RestartPolicy::new());
}

#[test]
fn expectations_are_those_of_the_plan_its_loads_and_its_faults() {
    let plan = read(
        "manifest: m\nexpect: {lost: 0, ActorTrapped: '>= 1'}\n\
         loads: [{name: l, actor: a, operation: B, calls: 1, expect: {p99: <= 20ms}}]\n\
         faults: [{actor: a, expect: {restarts: 1..3}}]",
    )
    .unwrap();
    let words: Vec<String> = plan.expect.iter().map(Expectation::in_words).collect();
    assert_eq!(words, ["lost = 0", "ActorTrapped >= 1", "p99 <= 20ms of l", "restarts in 1..3 of a"]);
}

/// Reads each text, and expects an error that names a key and a reason.
fn refused<const N: usize>(read: impl Fn(&str) -> Result<Plan, String>, cases: [(&str, &str, &str); N]) {
    for (text, key, reason) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(key) && error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_plan_is_said_with_its_place() {
    let missing = [
        ("manifest: m", "loads", "without a load, nothing is called"),
        ("loads: [{actor: a, operation: b, calls: 1}]", "manifest", "missing"),
        ("manifst: m", "line 1, column 1", "did you mean manifest?"),
    ];
    refused(read, missing);
    let others = [
        ("host: {restart: {intensity: 3}}", "host.restart", "give both"),
        ("runs: 101", "runs", "1 to 100"),
        ("expect: {lost: [0]}", "expect.lost", "a list"),
        ("expect: [lost]", "expect", "a mapping"),
        ("name: '${LAB_TEST_UNSET}'", "name", "LAB_TEST_UNSET"),
    ];
    refused(with, others);
    let many = format!("manifest: m\nloads: [{}]", "{actor: a, operation: b, calls: 1}, ".repeat(33));
    assert!(read(&many).unwrap_err().contains("the limit is 32"));
}

#[test]
fn what_is_wrong_with_a_load_is_said_with_its_place() {
    let of_load = |text: &str| read(&format!("manifest: m\nloads: [{text}]"));
    let ways = [
        ("{actor: a, operation: b}", "loads[0] (line 2, column 9)", "calls or duration"),
        ("{actor: a, calls: 1}", "loads[0]", "actor and operation"),
        ("{http: u, payload: b, calls: 1}", "loads[0]", "either"),
        ("{actor: a, operation: b, status: 200, calls: 1}", "loads[0]", "either"),
        ("{actor: a, operation: b, calls: 1, rate: 1, pause: 1s}", "loads[0]", "both"),
    ];
    refused(of_load, ways);
    let called = |text: &str| of_load(&format!("{{actor: a, operation: b, {text}}}"));
    let values = [
        ("calls: 0", "loads[0].calls", "at least 1"),
        ("calls: 1, callers: 10001", "loads[0].callers", "10000"),
        ("calls: 1, rate: -1", "loads[0].rate", "per second"),
        ("duration: 18446744073709551s", "loads[0].duration", "168h"),
        ("calls: 1, rate: 0.0001", "loads[0].rate", "0.001"),
        ("calls: 1}, {actor: a, operation: b, calls: 1", "loads[1].name", "same name"),
    ];
    refused(called, values);
    let paid = |text: &str| called(&format!("calls: 1, payload: {{{text}}}"));
    let payloads = [
        ("text: a, zeros: 1", "loads[0].payload", "one of"),
        ("file: none", "loads[0].payload", "none"),
        ("zeros: 9GiB", "loads[0].payload", "more than"),
    ];
    refused(paid, payloads);
}

#[test]
fn what_is_wrong_with_faults_is_said_with_its_place() {
    let cases = [
        ("{actor: a, provider: b}", "faults[0]", "either"),
        ("{actor: a, link_name: b}", "faults[0]", "either"),
        ("{actor: a}, {actor: a}", "faults[1]", "one entry"),
        ("{actor: a, crash: {nth: 1, every: 2}}", "faults[0].crash", "one of nth, every or probability"),
        ("{actor: a, crash: {probability: 2}}", "faults[0].crash.probability", "0 to 1"),
        ("{actor: a, drop: {every: 2}}", "faults[0].drop.every", "unknown"),
        ("{actor: a, delay: {from: 5ms, to: 1ms}}", "faults[0].delay", "not above"),
        ("{actor: a, expect: {p99: 1ms}}", "faults[0].expect.p99", "unknown"),
    ];
    refused(|text| with(&format!("faults: [{text}]")), cases);
}

/// A device or a pipe has no size that could be asked for before.
#[cfg(unix)]
#[test]
fn a_payload_from_a_file_without_an_end_is_refused() {
    let load = "{actor: a, operation: b, calls: 1, payload: {file: /dev/zero}}";
    let error = read(&format!("manifest: m\nloads: [{load}]")).unwrap_err();
    assert!(error.contains("loads[0].payload") && error.contains("more than"), "{error}");
}

/// The reader takes every key that it knows: none is accepted and ignored.
#[test]
fn every_known_key_has_an_effect() {
    let full = "name: n\nmanifest: m\nseed: 2\nruns: 3\nwarm_up: 4\n\
        host: {shards: 1, call_deadline: 1s, restart: {restart: transient, intensity: 1, period: 1s, in_a_row: 1, second_delay: 1s, longest_delay: 2s}}\n\
        actors: [{image_ref: a, instances: 1, restart: {in_a_row: 1}}]\n\
        loads:\n- {name: x, actor: a, operation: b, payload: c, answer: d, callers: 2, pause: 1s, calls: 1, start: 1s, expect: {lost: 0}}\n\
        - {http: {url: u, method: m, headers: {a: b}, body: c}, status: 200, rate: 1, duration: 1s}\n\
        faults:\n- {actor: a, crash: [{nth: 1}, {every: 1}, {probability: 1}], drop: [{nth: 1}, {probability: 1}], delay: {from: 1s, to: 1s, probability: 1}, slow_start: 1s, expect: {crashes: 1}}\n\
        - {provider: p, link_name: l}\n\
        expect: {lost: 0}";
    // The text of the plan is part of it, and always differs.
    let shown = |plan: Plan| format!("{:?}", Plan { source: SourceFile::default(), ..plan });
    let plan = shown(read(full).unwrap());
    let keys = [&PLAN[..], &HOST, &ACTOR, &RESTART, &LOAD, &HTTP, &FAULTS, &CRASH, &DROP, &DELAY].concat();
    for key in keys {
        let (before, after) = full.split_once(&format!("{key}:")).unwrap_or_else(|| panic!("{key} is not in the plan"));
        let Some(after) = after.strip_prefix(' ').filter(|after| !after.starts_with(['{', '['])) else { continue };
        let value: String = after.chars().take_while(|character| !",}\n".contains(*character)).collect();
        let other = match value.as_str() {
            "1s" => "3s",
            "2s" => "4s",
            "transient" => "permanent",
            number if number.parse::<u32>().is_ok_and(|number| number < 5) => "0",
            "200" => "201",
            _ => "other",
        };
        let changed = format!("{before}{key}: {other}{}", &after[value.len()..]);
        // Another value makes another plan, or none.
        assert!(read(&changed).map_or(true, |changed| shown(changed) != plan), "{key} has no effect");
    }
}

/// What plans are made of.
const PIECES: [&str; 30] = [
    "manifest: m\n",
    "loads:\n",
    "- ",
    "  ",
    "{actor: a, operation: b, calls: 1}",
    "{http: u, rate: 1, duration: 1s}",
    "expect: ",
    "{lost: 0}",
    "faults: ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\n",
    "actor: a",
    "crash: ",
    "{every: 2}",
    "{probability: 1%}",
    "delay: ",
    "{from: 1ms}",
    "payload: ",
    "{msgpack: '[1]'}",
    "{base64: '?'}",
    "callers: ",
    "99999999999999999999",
    "-1",
    "host: ",
    "a",
    "${A:b}",
];

proptest! {
    /// Nothing panics.
    #[test]
    fn any_pieces_are_a_plan_or_refused(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..30)) {
        let _ = read(&pieces.concat());
    }

    #[test]
    fn any_expectation_is_read_or_refused(name in "[a-z0-9_]{0,8}|p99|lost|answered|throughput|crashes", text in any::<String>()) {
        for scope in [Scope::All, Scope::Load(String::new()), Scope::Entity(EntityName::Actor(String::new()))] {
            let _ = expectation::read(&scope, &name, &text);
        }
    }
}
