//! `wasmcloud run`: a host from the command line.
//!
//! # Layout
//! - `settings`: where settings come from
//! - `service`: signals, the lock, and what systemd is told
//! - `nats`: hosts of a lattice
//! - here: manifests, and how a run fails

mod nats;
mod service;
mod settings;

use std::net::TcpListener;

use nkeys::KeyPair;

use crate::signing::{guest, sign, sign_module};
use crate::workplace::{Workplace, get, manifest};

/// A guest that loops for ever in every call, if it could grow its memory by a page before, and traps otherwise.
const SPINNER: &str = r#"(module (memory (export "memory") 1)
    (func (export "__guest_call") (param i32 i32) (result i32)
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (loop $again (br $again))
        i32.const 0))"#;

#[test]
fn a_manifest_is_run_and_served() {
    let place = Workplace::with_echo();
    let host = place.start("run echo.yaml");
    assert_eq!(host.line(" runs: "), "echo.yaml runs: 1 actor(s), 1 provider(s)");
    let (status, body) = get(host.port(), "/some/path");
    assert!(status == 200 && body.contains("/some/path"), "{status} {body}");
    host.stop();
}

#[test]
fn several_manifests_are_run_in_their_order_and_compiled_actors_are_kept() {
    let place = Workplace::with_echo();
    place.write("counter.wasm", sign("kvcounter").alias("counter").capability("wasmcloud:httpserver").bytes());
    // The provider of the first manifest serves the link of the second one.
    place.write("counter.yaml", manifest("counter.wasm", "counter", "0").replace("capabilities", "labels: {}\n#"));
    let host = place.start("run echo.yaml -m counter.yaml");
    host.line("counter.yaml runs: 1 actor(s)");
    host.line("echo.yaml runs: 1 actor(s)");
    host.stop();
    let kept = std::fs::read_dir(place.home(".cache/wasmcloud/artifacts")).unwrap().count();
    assert!(kept >= 2, "{kept}");
}

#[test]
fn a_port_in_use_fails_the_run_with_what_to_do() {
    let place = Workplace::with_echo();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    place.write("echo.yaml", manifest("echo.wasm", "echo", &port));
    let (code, errors) = place.ends("run echo.yaml");
    assert!(code == 1 && errors.contains(&port) && errors.contains("in use"), "{code} {errors}");
    assert_eq!(place.names(), ["echo.wasm", "echo.yaml"], "it leaves nothing behind");
}

#[test]
fn a_bad_manifest_fails_the_run_with_its_place() {
    let place = Workplace::with_echo();
    place.write("echo.yaml", "actors: [echo.wasm]\nactor: []\n");
    let (code, errors) = place.ends("run echo.yaml");
    assert!(code == 1 && errors.contains("line 2, column 1") && errors.contains("echo.yaml"), "{code} {errors}");
    let (code, errors) = place.ends("run nothing.yaml");
    assert!(code == 1 && errors.contains("nothing.yaml"), "{code} {errors}");
}

#[test]
fn an_actor_of_an_account_that_is_not_trusted_is_refused_by_policy() {
    let place = Workplace::with_echo();
    let other = KeyPair::new_account().public_key();
    let (code, errors) = place.ends(&format!("run echo.yaml --trusted-issuer {other}"));
    assert!(code == 3 && errors.contains("echo.wasm"), "{code} {errors}");
    let signing = sign("echo").alias("echo").capability("wasmcloud:httpserver");
    place.write("echo.wasm", signing.bytes());
    let host = place.start(&format!("run echo.yaml --trusted-issuer {}", signing.claims.issuer));
    host.line(" runs: ");
    host.stop();
}

#[test]
fn an_account_that_is_revoked_is_refused_by_policy_even_if_it_is_trusted() {
    let place = Workplace::new();
    let signing = sign("echo").alias("echo").capability("wasmcloud:httpserver");
    place.write("echo.wasm", signing.bytes());
    place.write("echo.yaml", manifest("echo.wasm", "echo", "0"));
    let (ours, other) = (&signing.claims.issuer, KeyPair::new_account().public_key());
    for arguments in [
        format!("run echo.yaml --revoked-issuer {other} --revoked-issuer {ours}"),
        format!("run echo.yaml --trusted-issuer {ours} --revoked-issuer {ours}"),
    ] {
        let (code, errors) = place.ends(&arguments);
        assert!(code == 3 && errors.contains("echo.wasm") && errors.contains("revoked"), "{code} {errors}");
    }
    let host = place.start(&format!("run echo.yaml --revoked-issuer {other}"));
    host.error("name yours with --trusted-issuer");
    host.line(" runs: ");
    host.stop();
}

#[test]
fn a_saved_manifest_is_applied_again_and_a_bad_one_leaves_the_host_as_it_is() {
    let place = Workplace::with_echo();
    let host = place.start("run echo.yaml --watch");
    host.line(" runs: ");
    place.write("echo.yaml", "actors: [nothing.wasm]\n");
    host.error("nothing.wasm");
    assert_eq!(get(host.port(), "/x").0, 200);
    place.write("counter.wasm", sign("kvcounter").alias("counter").bytes());
    // Editors write a new file, and rename it.
    place.write(
        "new",
        format!("{}\n", manifest("echo.wasm", "echo", "0")).replace("[echo.wasm]", "[echo.wasm, counter.wasm]"),
    );
    std::fs::rename(place.path("new"), place.path("echo.yaml")).unwrap();
    host.line("runs: 2 actor(s)");
    host.stop();
}

#[test]
fn seed_defect_20_guests_are_bounded_by_the_settings_of_the_stock_binary() {
    let place = Workplace::new();
    let spinner = sign_module("spinner", wat::parse_str(SPINNER).unwrap());
    place.write("spinner.wasm", spinner.alias("spinner").capability("wasmcloud:httpserver").bytes());
    place.write("spinner.yaml", manifest("spinner.wasm", "spinner", "0"));

    let host = place.start("run spinner.yaml --call-deadline 200ms");
    host.line(" runs: ");
    let port = host.port();
    assert_eq!([get(port, "/").0, get(port, "/").0], [504, 504], "it is ended, and its successor serves");
    host.stop();
    let host = place.start("run spinner.yaml --call-deadline 200ms --memory-limit 64KiB");
    host.line(" runs: ");
    assert_eq!(get(host.port(), "/").0, 500, "its memory cannot grow");
    host.stop();
    place.write("grow.wasm", sign_module("grow", guest("grow")).bytes());
    place.write("grow.yaml", "actors: [grow.wasm]");
    let (code, errors) = place.ends("run grow.yaml --memory-limit 1");
    assert!(code == 1 && errors.contains("grow.wasm"), "{code} {errors}");
}
