//! The port of `wasmcloud run`.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use crate::workplace::{Staying, Workplace, answer};

fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    answer(stream)
}

/// The port that the host says its dashboard is at.
fn port(host: &Staying) -> u16 {
    let line = host.error("the dashboard of host");
    line.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn a_host_tells_of_itself_by_default_and_is_ready_once_its_manifests_are_applied() {
    let place = Workplace::with_echo();
    let host = place.start("run echo.yaml");
    host.line(" runs: ");
    let port = port(&host);
    let (status, page) = get(port, "/");
    assert!(status == 200 && page.contains("<title>wasmcloud</title>"), "{status} {page}");
    // The manifests were applied a moment ago.
    while get(port, "/readyz").0 != 200 {}
    assert!(get(port, "/metrics").1.contains("wasmcloud_host_info"));
    assert!(get(port, "/api/v1/state").1.contains("\"alias\":\"echo\""));
    let second = Workplace::with_echo();
    let other = second.start("run echo.yaml");
    other.line(" runs: ");
    assert_ne!(self::port(&other), port, "hosts of one machine share the default port by turns");
    other.stop();
    host.stop();
}

#[test]
fn a_port_that_is_named_is_needed() {
    let place = Workplace::with_echo();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, errors) = place.ends(&format!("run echo.yaml --telemetry {address}"));
    assert!(code == 1 && errors.contains(&address.to_string()) && errors.contains("another port"), "{code} {errors}");
    for malformed in ["here", "localhost", "9464", "127.0.0.1"] {
        let (code, errors) = place.ends(&format!("run echo.yaml --telemetry {malformed}"));
        assert!(code == 2 && errors.contains("127.0.0.1:9464"), "{code} {errors}");
    }
}

#[test]
fn a_name_with_a_port_leads_nowhere_and_is_refused() {
    let place = Workplace::with_echo();
    let (code, errors) = place.ends("run echo.yaml --telemetry 127.0.0.1:0 --telemetry-name host.example:9464");
    assert!(code == 2 && errors.contains("--telemetry-name") && errors.contains("without a port"), "{code} {errors}");
}

#[test]
fn telemetry_can_be_turned_off() {
    let place = Workplace::with_echo();
    let host = place.start("run echo.yaml --telemetry off");
    host.line(" runs: ");
    host.signal("TERM");
    let mut host = host;
    assert_eq!(host.code(), 0);
    assert!(!host.errors().contains("the dashboard of host"), "{}", host.errors());
}

#[test]
fn other_machines_need_a_token_from_a_file_or_the_environment() {
    let place = Workplace::with_echo();
    let (code, errors) = place.ends("run echo.yaml --telemetry 0.0.0.0:0");
    assert!(code == 2 && errors.contains("--telemetry-token"), "{code} {errors}");
    place.write("short", "secret\n");
    let (code, errors) = place.ends("run echo.yaml --telemetry 0.0.0.0:0 --telemetry-token short");
    assert!(code == 2 && errors.contains("16") && !errors.contains("secret\n"), "{code} {errors}");
    let (code, errors) = place.ends("run echo.yaml --telemetry-token Ohg3eiW7quoh5aeF");
    assert!(code == 2 && errors.contains("file") && !errors.contains("Ohg3eiW7quoh5aeF"), "{code} {errors}");

    place.write("token", "Ohg3eiW7quoh5aeF\n");
    let mut from_environment = place.command("run echo.yaml --telemetry 127.0.0.1:0");
    from_environment.env("WASMCLOUD_TELEMETRY_TOKEN", "Ohg3eiW7quoh5aeF");
    let of_file = place.start("run echo.yaml --telemetry 127.0.0.1:0 --telemetry-token token");
    of_file.line(" runs: ");
    assert_eq!((get(port(&of_file), "/metrics").0, get(port(&of_file), "/livez").0), (401, 200));
    assert!(!of_file.errors().contains("Ohg3eiW7quoh5aeF"));
    of_file.stop();
    let of_environment = Staying::start(&mut from_environment);
    of_environment.line(" runs: ");
    assert_eq!((get(port(&of_environment), "/metrics").0, get(port(&of_environment), "/livez").0), (401, 200));
    assert!(!of_environment.errors().contains("Ohg3eiW7quoh5aeF"), "{}", of_environment.errors());
    of_environment.stop();
}
