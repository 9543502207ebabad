//! `wasmcloud top` in a terminal, against hosts of a real lattice.
//!
//! # Layout
//! - `terminal`: a terminal, and what is seen on it
//! - here: what is shown, keys, and how the terminal is left

mod terminal;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::conformance::nats_server::NatsServer;
use crate::signing::{guest, sign, sign_module};
use crate::workplace::{Staying, Workplace, manifest};
use terminal::Watched;

/// The name of an actor that would be markup, would clear the screen, and would read backwards.
const HOSTILE: &str = "<b>Evil\u{1b}[2J\nname\u{202e}";

/// A NATS server and a folder with actors to run.
struct Lattice {
    place: Workplace,
    nats: NatsServer,
}

impl Lattice {
    fn start() -> Lattice {
        let place = Workplace::with_echo();
        place.write("evil.wasm", sign_module(HOSTILE, guest("echo")).alias("evil").bytes());
        place.write("evil.yaml", "actors: [evil.wasm]\n");
        let nats = NatsServer::start();
        Lattice { place, nats }
    }

    /// Starts a host with a manifest, and waits until it runs.
    fn host(&self, manifest: &str) -> Staying {
        let arguments = format!("run {manifest} --state-folder state-{manifest} --require-nats 50s");
        let mut command = self.place.command(&arguments);
        command.env("RPC_HOST", "127.0.0.1").env("RPC_PORT", self.nats.port.to_string());
        let host = Staying::start(&mut command);
        host.line(" runs: ");
        host
    }

    fn top(&self, arguments: &str) -> std::process::Command {
        let mut command = self.place.command(&format!("top --interval 200ms {arguments}"));
        command.env("CONTROL_PORT", self.nats.port.to_string()).env("TERM", "xterm-256color");
        command
    }
}

#[test]
fn hosts_and_what_they_run_are_seen_and_a_host_that_vanishes_is_marked() {
    let lattice = Lattice::start();
    let stays = lattice.host("echo.yaml");
    let vanishes = lattice.host("evil.yaml");
    let mut screen = Watched::start(lattice.top(""), 24, 80);
    let seen = screen.until("both hosts", |seen| seen.contains(" ago  2 hosts  2 actors  1 provider"));
    screen.keep("top-80x24");
    assert!(seen.starts_with("wasmcloud top default  all is well  read "), "{seen}");
    assert!(seen.contains("<b>Evil\\u{1b}[2J\\nname\\u{202e}") && seen.contains("echo"), "{seen}");
    assert!(seen.lines().all(|line| line.chars().count() <= 80) && seen.contains("q quit"), "{seen}");

    search_and_open(&mut screen);
    screen.resize(40, 160);
    let seen = screen.until("more columns", |seen| seen.contains("VERSION") && seen.contains("HEALTH"));
    screen.keep("top-160x40");
    assert_eq!(seen.lines().count(), 40, "{seen}");

    vanishes.signal("KILL");
    let seen =
        screen.until("a host that is gone", |seen| seen.contains("1 host gone") && seen.contains("host gone  <b>"));
    screen.keep("top-gone");
    assert!(seen.contains("answers no more") && !seen.contains("all is well"), "{seen}");
    assert!(seen.contains("2 hosts  1 actor  1 provider"), "what a gone host ran is not counted: {seen}");
    screen.press("q");
    assert_eq!(screen.end(), Some(0));
    assert!(screen.is_left_as_it_was(), "{}", screen.seen());
    stays.stop();
}

/// Searches for one of two actors, opens it, and goes back to the list of all.
fn search_and_open(screen: &mut Watched) {
    screen.press("/evil\r");
    let seen = screen.until("one actor", |seen| !seen.contains("running    echo") && seen.contains("only \"evil\""));
    assert!(seen.contains("<b>Evil"), "{seen}");
    screen.press("\r");
    let seen = screen.until("the details", |seen| seen.contains("Claims") && seen.contains("Esc back"));
    screen.keep("top-details");
    assert!(seen.contains("trusted") && seen.contains("evil") && seen.contains("Figures"), "{seen}");
    screen.press("\u{1b}");
    // Two keys at once would be read as one.
    screen.until("the lists", |seen| seen.contains("only \"evil\"") && !seen.contains("Claims"));
    screen.press("\u{1b}");
    screen.until("all actors", |seen| seen.contains("running    echo"));
}

#[test]
fn what_fails_comes_first_with_its_reason_and_in_colour_unless_there_is_none() {
    let lattice = Lattice::start();
    // It expires after its start, so that it is no longer trusted.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expires = (now + Duration::from_secs(20)).as_secs();
    let brief = sign("echo").alias("brief").claims(|claims| claims.expires = Some(expires));
    lattice.place.write("brief.wasm", brief.bytes());
    let both = manifest("echo.wasm", "echo", "0").replace("[echo.wasm]", "[echo.wasm, brief.wasm]");
    lattice.place.write("both.yaml", both);
    let host = lattice.host("both.yaml");

    let mut screen = Watched::start(lattice.top(""), 24, 100);
    let seen = screen.until("the failure", |seen| seen.contains("1 fails"));
    screen.keep("top-failing");
    let first = seen.lines().position(|line| line.starts_with("STATE")).unwrap() + 1;
    let failing = seen.lines().nth(first).unwrap();
    assert!(failing.starts_with("distrusted echo") && failing.contains("expired"), "{seen}");
    assert!(screen.has_colors());
    screen.press("q");
    assert_eq!(screen.end(), Some(0));

    let mut command = lattice.top("");
    command.env("NO_COLOR", "1");
    let mut screen = Watched::start(command, 24, 100);
    screen.until("the failure", |seen| seen.contains("1 fails"));
    assert!(!screen.has_colors());
    screen.signal("TERM");
    screen.end();
    assert!(screen.is_left_as_it_was(), "{}", screen.seen());

    let (code, errors) = lattice.place.ends("top --interval 1ms");
    assert!(code == 2 && errors.contains("100ms"), "{code} {errors}");
    host.stop();
}

#[test]
fn one_frame_is_printed_as_text_or_json_where_there_is_no_terminal() {
    let lattice = Lattice::start();
    let (code, errors) = {
        let output = lattice.top("--once --timeout 2s").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(code == Some(4) && errors.contains("no host has answered"), "{code:?} {errors}");

    let host = lattice.host("evil.yaml");
    for arguments in ["--once", ""] {
        let output = lattice.top(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.starts_with("HOST ") && text.contains("\nSTATE ") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("<b>Evil\\u{1b}[2J\\nname\\u{202e}"), "{text}");
    }
    let output = lattice.top("--output json").output().unwrap();
    let states: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = states[0]["host"]["id"].as_str().unwrap();
    assert_eq!(states[0]["actors"][0]["name"], HOSTILE);
    let output = lattice.top(&format!("--once --host {}", &id[..8])).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(id));
    host.stop();
}
