//! Signals, the lock, and what systemd is told.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::signing::guest;
use crate::workplace::{Staying, Workplace, answer, get, manifest, request_in_flight};

#[test]
fn seed_defect_41_sigterm_finishes_what_is_in_flight_as_sigint_does() {
    for signal in ["TERM", "INT"] {
        let place = Workplace::with_echo();
        let mut host = place.start("run echo.yaml");
        host.line(" runs: ");
        let mut stream = request_in_flight(host.port(), 4);
        host.signal(signal);
        host.error("finishing what is in flight; a second signal ends at once");
        stream.write_all(b"work").unwrap();
        assert_eq!(answer(stream), (200, "work".to_owned()), "{signal}");
        assert_eq!(host.code(), 0, "{signal}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let place = Workplace::with_echo();
        let mut host = place.start("run echo.yaml");
        host.line(" runs: ");
        let _waits_for_its_body = request_in_flight(host.port(), 4);
        host.signal("TERM");
        host.error("finishing what is in flight");
        assert!(!host.has_ended());
        host.signal(signal);
        assert_eq!(host.code(), code);
    }
}

#[test]
fn one_host_runs_in_a_folder_and_a_killed_one_leaves_it_to_the_next() {
    let place = Workplace::new();
    let first = place.start("run");
    first.line("runs: no manifest");
    let (code, errors) = place.ends("run");
    assert!(code == 1 && errors.contains(&format!("process {} runs a host in this folder", first.id())), "{errors}");
    place.write("echo.wasm", guest("echo"));
    let (code, errors) = place.ends("dev echo.wasm");
    assert!(code == 1 && errors.contains(&format!("process {}", first.id())), "{errors}");
    let elsewhere = place.start("run --state-folder other");
    elsewhere.line("runs: no manifest");
    elsewhere.stop();
    // As by kill -9.
    drop(first);
    let second = place.start("run");
    second.line("runs: no manifest");
    second.stop();
}

#[test]
fn systemd_is_told_of_the_start_of_reloads_of_the_end_and_that_the_host_is_alive() {
    let place = Workplace::with_echo();
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let told = |expected: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{expected}: {error}"));
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            if text.contains(expected) {
                return text.to_owned();
            }
        }
    };
    let mut command = place.command("run echo.yaml");
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "100000");
    let mut host = Staying::start(&mut command);
    assert!(told("READY=1").contains("STATUS=runs echo.yaml"));
    assert_eq!(get(host.port(), "/x").0, 200);
    told("WATCHDOG=1");
    place
        .write("echo.yaml", manifest("echo.wasm", "echo", "0").replace("capabilities", "labels: {a: b}\ncapabilities"));
    host.signal("HUP");
    assert!(told("RELOADING=1").contains("MONOTONIC_USEC="));
    told("READY=1");
    host.signal("TERM");
    told("STOPPING=1");
    assert_eq!(host.code(), 0);
    assert_eq!(host.said().matches("echo.yaml runs").count(), 2);
}
