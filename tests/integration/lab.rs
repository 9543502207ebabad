//! `wasmcloud lab`: plans are carried out, every call is accounted for, and reports can be read and compared.

mod browser;
mod comparison;
mod server;
mod unfinished;

use std::process::{Command, Output};

use serde_json::Value;
use wasmcloud_host::{Experiment, InjectedFault};

use crate::signing::sign;
use crate::workplace::Workplace;
use server::Server;

/// A folder with the actor `echo` and a manifest.
fn laboratory() -> Workplace {
    laboratory_with_name("Echo")
}

fn laboratory_with_name(name: &str) -> Workplace {
    let place = Workplace::new();
    let signing = sign("tiny_echo").alias("echo");
    let signing = signing.claims(|claims| claims.metadata.get_or_insert_default().name = Some(name.to_owned()));
    place.write("echo.wasm", signing.bytes());
    place.write("echo.yaml", "actors: [echo.wasm]\n");
    place
}

/// A plan with a load on the actor, and what else is written in it.
fn plan(load: &str, rest: &str) -> String {
    let load = format!("{{actor: echo, operation: Echo, payload: hello, answer: hello, {load}}}");
    format!("manifest: echo.yaml\nseed: 7\nhost: {{shards: 2, call_deadline: 2s}}\nloads: [{load}]\n{rest}\n")
}

struct Ended {
    code: i32,
    output: String,
    errors: String,
}

fn run(place: &Workplace, arguments: &str) -> Ended {
    ended(&mut place.command(arguments))
}

fn ended(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ended {
        code: status.code().unwrap(),
        output: String::from_utf8(stdout).unwrap(),
        errors: String::from_utf8(stderr).unwrap(),
    }
}

fn report(place: &Workplace, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(place.path(file)).unwrap()).unwrap()
}

/// The figures that a page holds.
fn report_of_page(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn each_call_of_a_plan_is_accounted_for() {
    let place = laboratory();
    place.write(
        "crashes.yaml",
        plan(
            "name: callers, callers: 4, calls: 1000",
            "name: every 50th call crashes\nfaults: [{actor: echo, crash: {every: 50}, expect: {injected: 20, restarts: 20}}]\n\
             expect: {lost: 0, failed: 20, ActorTrapped: 20, answered: 98%, given_up: 0}",
        ),
    );
    let Ended { code, output, errors } = run(&place, "lab run crashes.yaml --out page.html --json figures.json");
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
    assert!(!output.contains("NOT MET") && output.matches("met\n").count() == 7, "{output}");

    let figures = report(&place, "figures.json");
    let run = &figures["runs"][0];
    let load = &run["loads"][0];
    assert_eq!([&load["calls"], &load["answered"], &load["failed"], &load["lost"]], [1000, 980, 20, 0]);
    let sum = |values: &Value| values.as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum(&load["slots"]["answered"]), sum(&load["slots"]["failed"])), (980, 20));
    let buckets = load["latency"]["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().map(|bucket| bucket[2].as_u64().unwrap()).sum::<u64>(), 980);
    assert_eq!(load["outcomes"][0]["kind"], "ActorTrapped");
    assert!(load["outcomes"][0]["example"].as_str().unwrap().contains("an experiment's crash in call 50"));
    let echo = &run["entities"][0];
    assert_eq!((&echo["name"], &echo["state"]), (&Value::from("Echo"), &Value::from("running")));
    let kinds = run["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap());
    assert_eq!(kinds.filter(|kind| *kind == "crashed").count(), 20);

    // The page holds the same figures, and what is needed to do it again.
    assert_eq!(report_of_page(&std::fs::read_to_string(place.path("page.html")).unwrap()), figures);
    assert_eq!((&figures["seed"], &figures["version"]), (&Value::from(7), &Value::from(env!("CARGO_PKG_VERSION"))));
    let digest = |name: &str| {
        format!("sha256:{}", crate::signing::hash(&std::fs::read(place.path(name)).unwrap()).to_lowercase())
    };
    assert_eq!(figures["plan"]["digest"], digest("crashes.yaml"));
    assert_eq!(figures["manifest"]["digest"], digest("echo.yaml"));
    assert!(figures["machine"]["processors"].as_u64().unwrap() > 0);
}

#[test]
fn outcomes_follow_from_the_seed() {
    let place = laboratory();
    let faults = "faults: [{actor: echo, crash: {probability: 10%}, drop: {probability: 2%}, delay: {from: 1ms, to: 2ms, probability: 0.2}}]";
    place.write("storm.yaml", plan("callers: 1, calls: 150", faults));
    for seed in [1, 2] {
        let Ended { code, output, .. } = run(&place, &format!("lab run storm.yaml --seed {seed} --json - --runs 2"));
        assert_eq!(code, 0);
        let figures: Value = serde_json::from_str(&output).unwrap();
        let runs = figures["runs"].as_array().unwrap();
        // Each run has faults of its own, and the first one those of the plan's seed.
        let seeds: Vec<u64> = runs.iter().map(|run| run["seed"].as_u64().unwrap()).collect();
        assert!(seeds[0] == seed && seeds[1] != seed, "{seeds:?}");
        for (run, seed) in runs.iter().zip(seeds) {
            let faults = faults_of(seed);
            let crashes = faults.iter().filter(|fault| matches!(fault, InjectedFault::Crash { .. })).count();
            let drops = faults.iter().filter(|fault| matches!(fault, InjectedFault::Drop { .. })).count();
            assert!(crashes > 3, "{faults:?}");
            let load = &run["loads"][0];
            assert_eq!([&load["answered"], &load["failed"]], [150 - crashes - drops, crashes + drops], "seed {seed}");
            let counts = &run["entities"][0]["counts"];
            assert_eq!((&counts["injected"], &counts["crashes"]), (&Value::from(faults.len()), &Value::from(crashes)));
        }
    }
}

/// The faults of 150 calls.
fn faults_of(seed: u64) -> Vec<InjectedFault> {
    let ms = std::time::Duration::from_millis;
    let planned =
        Experiment::seeded(seed).crash_with_probability(0.1).drop_with_probability(0.02).delay(ms(1)..=ms(2), 0.2);
    (1..=150).filter_map(|call| planned.fault_of(call)).collect()
}

#[test]
fn a_broken_expectation_ends_with_1_and_a_report() {
    let place = laboratory();
    place.write(
        "doomed.yaml",
        plan(
            "name: callers, callers: 1, calls: 20, expect: {throughput: '>= 0.001'}",
            "actors: [{image_ref: echo.wasm, restart: {in_a_row: 2}}]\nfaults: [{actor: echo, crash: {every: 1}}]\n\
             expect: {given_up: 0, failed: 0, lost: 0}",
        ),
    );
    let Ended { code, output, errors } = run(&place, "lab run doomed.yaml --json figures.json --out page.html");
    assert_eq!(code, 1, "{output}");
    assert!(errors.contains("of 4 expectations are not met, first: given_up = 0"), "{errors}");
    assert!(output.contains("NOT MET"), "{output}");
    let figures = report(&place, "figures.json");
    let run = &figures["runs"][0];
    assert_eq!(
        (&run["entities"][0]["counts"]["given_up"], &run["entities"][0]["state"]),
        (&Value::from(1), &Value::from("failed"))
    );
    let kinds: Vec<&str> =
        run["loads"][0]["outcomes"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ActorTrapped", "ChildFailed"]);
    assert!(place.path("page.html").exists());
}

#[test]
fn a_wrong_answer_is_a_lost_call() {
    let place = laboratory();
    let load = "loads: [{actor: echo, operation: Echo, payload: hello, answer: other, calls: 3}]";
    place.write("wrong.yaml", format!("manifest: echo.yaml\n{load}\nexpect: {{lost: 3, WrongAnswer: 3}}\n"));
    let Ended { code, output, .. } = run(&place, "lab run wrong.yaml");
    assert_eq!(code, 0, "{output}");
}

#[test]
fn providers_can_be_made_to_fail() {
    let place = Workplace::new();
    let signing =
        sign("kvcounter").alias("counter").capability("wasmcloud:keyvalue").capability("wasmcloud:httpserver");
    place.write("counter.wasm", signing.bytes());
    place.write(
        "counter.yaml",
        "actors: [counter.wasm]\ncapabilities: [{image_ref: 'builtin:keyvalue'}]\nlinks:\n  - {actor: counter, contract_id: \
         'wasmcloud:keyvalue', provider_id: 'builtin:keyvalue', values: {PATH: counter.redb}}\n",
    );
    let request = r#"{"method":"GET","path":"/a","queryString":"","header":{},"body":{"$text":""}}"#;
    place.write(
        "provider.yaml",
        format!(
            "manifest: counter.yaml\nloads: [{{actor: counter, operation: HandleRequest, payload: {{msgpack: '{request}'}}, calls: 20}}]\n\
             faults: [{{provider: 'builtin:keyvalue', crash: {{every: 5}}, expect: {{injected: 4, crashes: 4, restarts: 4}}}}]\n\
             expect: {{lost: 0, calls: 20}}\n"
        ),
    );
    let Ended { code, output, errors } = run(&place, "lab run provider.yaml");
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
}

#[test]
fn requests_over_http_are_counted_by_their_status() {
    let place = laboratory();
    let server = Server::start();
    place.write(
        "http.yaml",
        format!(
            "manifest: echo.yaml\nloads: [{{http: '{}', calls: 30, callers: 3}}]\n\
             expect: {{answered: 20, Http503: 10, lost: 0}}\n",
            server.url("/a")
        ),
    );
    let Ended { code, output, errors } = run(&place, "lab run http.yaml");
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
}

#[test]
fn a_rate_is_kept_whether_calls_are_answered_or_not() {
    let place = laboratory();
    place.write(
        "rate.yaml",
        plan(
            "name: steady, rate: 200, duration: 1s",
            "faults: [{actor: echo, crash: {every: 20}}]\nexpect: {calls: 200, failed: 10}",
        ),
    );
    let Ended { code, output, .. } = run(&place, "lab run rate.yaml");
    assert_eq!(code, 0, "{output}");
}

#[test]
fn an_interrupted_experiment_is_reported_as_far_as_it_came() {
    let place = laboratory();
    let server = Server::start();
    let load = format!("{{http: '{}', duration: 1h, pause: 1ms}}", server.url("/a"));
    place.write("endless.yaml", format!("manifest: echo.yaml\nloads: [{load}]\n"));
    let mut staying = place.start("lab run endless.yaml --json figures.json");
    server.wait_for_requests(5);
    staying.signal("INT");
    assert_eq!(staying.code(), 1);
    assert!(staying.errors().contains("interrupted"), "{}", staying.errors());
    let figures = report(&place, "figures.json");
    assert_eq!(figures["interrupted"], true);
    assert!(figures["runs"][0]["loads"][0]["calls"].as_u64().unwrap() >= 5);
}

#[test]
fn what_is_no_plan_and_no_report_is_refused_with_its_place() {
    let place = laboratory();
    place.write("bad.yaml", "manifest: echo.yaml\nloads:\n  - {actor: echo, operation: Echo, cals: 1}\n");
    let Ended { code, errors, .. } = run(&place, "lab check bad.yaml");
    assert_eq!(code, 1);
    assert!(errors.contains("loads[0].cals (line 3, column 36)") && errors.contains("did you mean calls?"), "{errors}");
    place.write("good.yaml", plan("calls: 1", "faults: [{actor: nobody, crash: {nth: 1}}]"));
    let checked = run(&place, "lab check good.yaml");
    assert_eq!(checked.code, 0, "{}", checked.errors);
    assert!(checked.output.contains("is a plan: 1 run, 1 actor, 0 providers, 1 load"), "{}", checked.output);
    let Ended { code, errors, .. } = run(&place, "lab run good.yaml");
    assert!(code == 1 && errors.contains("nobody") && errors.contains("it starts echo"), "{errors}");
    place.write("missing.yaml", "manifest: nowhere.yaml\nloads: [{actor: a, operation: b, calls: 1}]\n");
    for (arguments, reason) in [
        ("lab check missing.yaml", "nowhere.yaml"),
        ("lab check nowhere.yaml", "cannot read the plan nowhere.yaml"),
        ("lab run good.yaml --out nowhere/page.html", "there is no folder nowhere"),
        ("lab compare echo.yaml echo.yaml", "echo.yaml is not a report"),
        ("lab compare nowhere.html echo.yaml", "cannot read the report"),
    ] {
        let Ended { code, errors, .. } = run(&place, arguments);
        assert!(code == 1 && errors.contains(reason), "{arguments}: {errors}");
    }
}

/// Names are shown harmlessly: on the terminal, and in the page.
#[test]
fn hostile_names_do_no_harm() {
    let name = "</script><script>window.hostile = 1</script>\u{202e}\u{1b}[2J";
    let place = laboratory_with_name(name);
    place.write(
        "hostile.yaml",
        plan(
            "calls: 4, name: \"<img src=x onerror='window.hostile=1'>\"",
            "faults: [{actor: echo, crash: {nth: 2}}]\nexpect: {calls: 4}",
        ),
    );
    let Ended { code, output, .. } = run(&place, "lab run hostile.yaml --out page.html");
    assert_eq!(code, 0);
    assert!(!output.contains(['\u{1b}', '\u{202e}']), "{output}");
    let page = std::fs::read_to_string(place.path("page.html")).unwrap();
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!page.contains("<img") && !page.contains("window.hostile = 1</script>"));
    assert_eq!(report_of_page(&page)["runs"][0]["entities"][0]["name"], name);
}
