//! The log of `wasmcloud run`: text and JSON, identifiers, and what guests cannot do to it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::signing::sign_module;
use crate::workplace::{Workplace, get, manifest};

/// How many lines the guest logs while it serves a request.
const LINES: u64 = 100_000;

/// A guest that logs many lines for each HTTP request, each of which would be two lines and control a terminal.
fn flood() -> Vec<u8> {
    let module = format!(
        r#"(module
            (import "wapc" "__console_log" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "first\0a\1b[2JERROR second\c2\9b31m")
            (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
                (local $count i32)
                ;; A health check has a short payload.
                (if (i32.lt_u (local.get $payload) (i32.const 32)) (then (return (i32.const 1))))
                (loop $again
                    (call $log (i32.const 0) (i32.const 27))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get $count) (i32.const {LINES}))))
                i32.const 1))"#
    );
    wat::parse_str(module).unwrap()
}

/// A folder with an actor of a hostile name that logs many lines, and a manifest that serves it.
fn with_flood(port: &str) -> Workplace {
    let place = Workplace::new();
    let signing = sign_module("Evil\n\u{1b}[31mname\u{202e}", flood());
    place.write("flood.wasm", signing.alias("flood").capability("wasmcloud:httpserver").bytes());
    place.write("flood.yaml", manifest("flood.wasm", "flood", port));
    place
}

/// Reads a log in JSON.
fn read(errors: &str) -> Vec<Value> {
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    errors.lines().map(read).collect()
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_else(|| panic!("no {field}: {line}"))
}

fn is_visible(character: char) -> bool {
    !character.is_control() && wasmcloud_host::escaped(&character.to_string()).chars().eq([character])
}

#[test]
fn a_guest_that_logs_a_hundred_thousand_lines_fills_no_log_and_forges_no_line() {
    let place = with_flood("0");
    let mut host = place.start("run flood.yaml --log-format json");
    host.line(" runs: ");
    let served = read(&host.error("is served on")).remove(0);
    let address = text(&served, "message").rsplit(':').next().unwrap().parse().unwrap();
    get(address, "/");
    host.signal("TERM");
    assert_eq!(host.code(), 0, "{}", host.errors());
    let errors = host.errors();
    assert!(errors.chars().all(|character| character == '\n' || is_visible(character)), "{errors}");

    let log = read(&errors);
    for line in &log {
        let time = text(line, "timestamp");
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
        assert!(["ERROR", "WARN", "INFO"].contains(&text(line, "level")) && !text(line, "target").is_empty(), "{line}");
    }
    let (reports, lines): (Vec<&Value>, Vec<&Value>) = log
        .iter()
        .filter(|line| text(line, "target") == "wasmcloud_host::guest")
        .partition(|line| line["left_out"].is_u64());
    let left_out: u64 = reports.iter().filter_map(|line| line["left_out"].as_u64()).sum();
    assert_eq!(lines.len() as u64 + left_out, LINES);
    assert!((500..LINES / 10).contains(&(lines.len() as u64)), "{} lines", lines.len());
    assert!(!reports.is_empty() && reports.len() < 100, "{} reports", reports.len());
    let shown = "Evil\\n\\u{1b}[31mname\\u{202e}: first\\n\\u{1b}[2JERROR second\\u{9b}31m";
    for line in &lines {
        assert_eq!((text(line, "message"), text(line, "actor")), (shown, text(&served, "actor")));
        assert_eq!((text(line, "host"), text(line, "call").len()), (text(&served, "host"), 16));
    }
    let calls: BTreeSet<&str> = lines.iter().map(|line| text(line, "call")).collect();
    assert_eq!(calls.len(), 1, "all lines come from one call");
    assert!(text(&served, "host").starts_with('N') && text(&served, "actor").starts_with('M'), "{served}");
}

#[test]
fn a_line_of_text_is_one_line_too() {
    let place = with_flood("0");
    let mut host = place.start("run flood.yaml");
    host.line(" runs: ");
    get(host.port(), "/");
    host.signal("TERM");
    assert_eq!(host.code(), 0, "{}", host.errors());
    let errors = host.errors();
    let lines: Vec<&str> = errors.lines().filter(|line| line.contains("wasmcloud_host::guest")).collect();
    assert!(lines.len() > 500, "{errors}");
    for line in errors.lines().skip_while(|line| !line.contains(" INFO ")) {
        assert!(line.chars().all(is_visible), "{line:?}");
        // The time, or a note of the command.
        assert!(line.as_bytes()[10] == b'T' || line.starts_with("wasmcloud: "), "{line:?}");
    }
    let of_guest = lines.iter().filter(|line| {
        let fields = line.split_once("wasmcloud_host::guest [host=N").and_then(|(_, rest)| rest.split_once("]: Evil"));
        let has_all =
            |fields: &str| [" actor=M", " actor_name=\"Evil", " call="].iter().all(|field| fields.contains(field));
        line.ends_with("ERROR second\\u{9b}31m") && fields.is_some_and(|(fields, _)| has_all(fields))
    });
    assert!(of_guest.count() >= 500, "{errors}");
}

/// A folder with an actor that traps when it serves a request, and a manifest that serves it.
fn with_trap() -> Workplace {
    let place = Workplace::new();
    // A health check has a short payload.
    let module = r#"(module (memory (export "memory") 1)
        (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
            (if (i32.ge_u (local.get $payload) (i32.const 32)) (then unreachable))
            i32.const 1))"#;
    let signing = sign_module("trap", wat::parse_str(module).unwrap());
    place.write("trap.wasm", signing.alias("trap").capability("wasmcloud:httpserver").bytes());
    place.write("trap.yaml", manifest("trap.wasm", "trap", "0"));
    place
}

#[test]
fn a_crash_and_the_failed_request_are_logged_with_the_actor_and_one_call() {
    let place = with_trap();
    let mut host = place.start("run trap.yaml --log-format json --log-level info");
    host.line(" runs: ");
    let served = read(&host.error("is served on")).remove(0);
    get(text(&served, "message").rsplit(':').next().unwrap().parse().unwrap(), "/");
    let crashed = read(&host.error("crashed")).remove(0);
    assert_eq!((text(&crashed, "level"), text(&crashed, "actor")), ("WARN", text(&served, "actor")));
    assert_eq!((text(&crashed, "host"), text(&crashed, "call").len()), (text(&served, "host"), 16));
    let failed = read(&host.error("failed to answer")).remove(0);
    assert_eq!((text(&failed, "level"), text(&failed, "actor")), ("ERROR", text(&served, "actor")));
    assert_eq!(text(&failed, "call"), text(&crashed, "call"));
    assert!(text(&failed, "message").contains(text(&failed, "request")), "{failed}");
    host.signal("TERM");
    assert_eq!(host.code(), 0);
}

#[test]
fn no_path_hides_why_a_request_failed() {
    let place = with_trap();
    let mut host = place.start("run trap.yaml --log-format json");
    host.line(" runs: ");
    let served = read(&host.error("is served on")).remove(0);
    let port = text(&served, "message").rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(get(port, &format!("/{}", "p".repeat(20_000))).0, 500);
    let failed = read(&host.error("failed to answer")).remove(0);
    let message = text(&failed, "message");
    assert!(message.contains("ppp\"... (19921 more bytes) (500") && message.len() < 1000, "{message}");
    assert!(message.contains("trapped"), "{message}");
    host.signal("TERM");
    assert_eq!(host.code(), 0);
}

#[test]
fn all_that_is_said_on_standard_error_is_json_and_holds_no_secret() {
    let place = Workplace::with_echo();
    let password = nkeys::KeyPair::new_user().public_key();
    let mut command = place.command("run nothing.yaml --log-format json --label zone=cellar");
    command.env("OCI_REGISTRY_USER", "someone").env("OCI_REGISTRY_PASSWORD", &password);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let log = read(&errors);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let setting = |name: &str| log.iter().find(|line| line["setting"] == name).unwrap_or_else(|| panic!("{errors}"));
    assert_eq!((text(setting("label"), "value"), text(setting("label"), "origin")), ("zone=cellar", "flag"));
    assert_eq!(text(setting("oci-registry-password"), "value"), "(secret)");
    assert!(!errors.contains(&password));
    let last = log.last().unwrap();
    assert!(text(last, "level") == "ERROR" && text(last, "message").contains("nothing.yaml"), "{last}");
}

#[test]
fn settings_of_the_log_that_cannot_be_used_end_the_run() {
    let place = Workplace::with_echo();
    for (arguments, named) in [
        ("run echo.yaml --log-format xml", "text and json"),
        ("run echo.yaml --log-level wasmcloud=loud", "warn,wasmcloud=debug"),
    ] {
        let (code, errors) = place.ends(arguments);
        assert!(code == 2 && errors.contains(named), "{arguments}: {code} {errors}");
    }
    let output = place.command("run echo.yaml").env("RUST_LOG", "wasmcloud=loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the environment variable RUST_LOG"));
}

/// Runs an actor that logs more than a pipe holds, while the log is not read: from the beginning, or after its first line.
fn run_unread(is_read_at_first: bool) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = with_flood(&port.to_string());
    let mut host = place.command("run flood.yaml").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(host.stdout.take().unwrap());
    let mut errors = BufReader::new(host.stderr.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.contains(" runs: "), "{line}");
    if is_read_at_first {
        errors.read_line(&mut line).unwrap();
    }
    // Each request is answered all the same.
    for _ in 0..3 {
        let (status, body) = get(port, "/");
        assert!(status == 200 || status >= 500, "{status} {body}");
    }
    let ended = Command::new("kill").args(["-TERM", &host.id().to_string()]).status().unwrap();
    assert!(ended.success());
    assert!(host.wait().unwrap().success(), "it ends although its log is not read");
    drop(errors);
}

#[test]
fn a_log_that_is_not_read_holds_up_no_actor_and_no_end() {
    run_unread(false);
}

#[test]
fn a_log_whose_reader_stops_holds_up_no_end() {
    run_unread(true);
}

#[test]
fn calls_fill_no_log_unless_their_spans_are_asked_for() {
    for (level, spans) in [("warn,wasmcloud=debug", 0), ("warn,wasmcloud::call=debug", 1)] {
        let place = Workplace::with_echo();
        let mut host =
            place.start(&format!("run echo.yaml --log-format json --log-level {level},wasmcloud_http_server=info"));
        host.line(" runs: ");
        let served = read(&host.error("is served on")).remove(0);
        let port = text(&served, "message").rsplit(':').next().unwrap().parse().unwrap();
        assert_eq!(get(port, "/").0, 200);
        host.signal("TERM");
        assert_eq!(host.code(), 0, "{}", host.errors());
        let log = read(&host.errors());
        let is_span = |line: &&Value| text(line, "target").starts_with("wasmcloud::call");
        assert!((log.iter().filter(is_span).count() > 0) == (spans > 0), "{level}: {}", host.errors());
    }
}
