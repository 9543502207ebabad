//! What cannot be done, and the exit codes.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use nkeys::KeyPair;

use super::{Ctl, Scene};
use crate::signing::sign;

#[actix_rt::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ctl = Ctl { port: free, folder: std::env::temp_dir(), variables: Vec::new() };
    for command in [&["hosts"][..], &["links"], &["stop", "host", "NABC"], &["events"]] {
        let unreachable = ctl.fails(4, command).await;
        assert!(unreachable.contains("NATS server cannot be reached"), "{unreachable}");
    }
}

#[actix_rt::test]
async fn a_lattice_without_hosts_is_unreachable_and_that_is_known_at_once() {
    let scene = Scene::start();
    let ctl = scene.ctl();
    // The time limit exceeds the patience of the test.
    for command in [&["hosts"][..], &["inventory"], &["claims"], &["links"]] {
        let nobody = ctl.fails(4, &[command, &["--timeout", "10m"]].concat()).await;
        assert!(nobody.contains("host"), "{nobody}");
    }
    let unknown = KeyPair::new_server().public_key();
    for command in [&["inventory", &unknown][..], &["cordon", &unknown], &["stop", "host", &unknown]] {
        ctl.fails(4, &[command, &["--timeout", "10m"]].concat()).await;
    }
    let elsewhere = scene.host(scene.builder()).await;
    let nobody = ctl.fails(4, &["hosts", "--nsprefix", "cellar"]).await;
    assert!(nobody.contains("cellar"), "{nobody}");
    elsewhere.stop().await;
}

#[actix_rt::test]
async fn a_server_that_accepts_and_stays_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ctl = Ctl { port: listener.local_addr().unwrap().port(), folder: std::env::temp_dir(), variables: Vec::new() };
    let silent = ctl.fails(4, &["hosts", "--timeout", "300ms"]).await;
    assert!(silent.contains("cannot be reached"), "{silent}");
}

#[actix_rt::test]
async fn malformed_arguments_are_told_before_a_server_is_needed() {
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    FOLDERS.fetch_add(1, Ordering::Relaxed);
    let ctl = Ctl { port: 1, folder: std::env::temp_dir(), variables: Vec::new() };
    for (command, part) in [
        (&["hosts", "--timeout", "never"][..], "write a number"),
        (&["hosts", "--output", "xml"], "possible values"),
        (&["label", "N", "zone"], "NAME=VALUE"),
        (&["link", "a", "b", "clock"], "contract id"),
        (&["link", "a", "b", "x:y", "PORT"], "NAME=VALUE"),
        (&["scale", "echo", "many"], "invalid"),
        (&["call", "echo"], "required"),
        (&["call", "echo", "Echo", "--data", "1", "--raw", "f"], "cannot be used with"),
        (&["start", "actor"], "required"),
        (&["stop", "actor", "echo", "--all", "--host", "N"], "cannot be used with"),
        (&["hosts", "--control-jwt", "nothing"], "CONTROL_JWT needs CONTROL_SEED"),
        (&["hosts", "--control-host", "nats://me:hidden@a"], "CONTROL_CREDS"),
        (&["hosts", "--nsprefix", "a.b"], "namespace"),
    ] {
        let ended = ctl.run(command).await;
        let is_usage = ended.code == 2 || command.contains(&"--nsprefix");
        assert!(is_usage && ended.output.is_empty() && ended.errors.contains(part), "{command:?}: {ended:?}");
        assert!(!ended.errors.contains("hidden"), "{ended:?}");
    }
    let seed = KeyPair::new_user().seed().unwrap();
    let refused = ctl.run(&["hosts", "--control-seed", &seed]).await;
    assert!(refused.code == 2 && !refused.errors.contains(&seed), "{refused:?}");
}

#[actix_rt::test]
async fn names_that_fit_nothing_are_told_with_what_there_is() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let ctl = scene.ctl();
    let unknown = ctl.fails(2, &["inventory", "NNNNNNNN"]).await;
    assert!(unknown.contains(&host.id()), "{unknown}");
    assert!(ctl.fails(1, &["scale", "nothing", "2"]).await.contains("nothing"));
    let absent = KeyPair::new_module().public_key();
    ctl.fails(1, &["unlink", &absent, "wasmcloud:keyvalue"]).await;
    let unknown = ctl.fails(1, &["start", "provider", "builtin:nothing", "--host", &host.id()]).await;
    assert!(unknown.contains("nothing"), "{unknown}");
    scene.write("echo.wasm", sign("tiny_echo").bytes());
    let file = ctl.fails(2, &["start", "actor", "echo.wasm"]).await;
    assert!(file.contains("registry push"), "{file}");
    host.stop().await;
}

#[actix_rt::test]
async fn orders_to_hosts_with_control_issuers_need_a_signature() {
    let scene = Scene::start();
    let issuer = KeyPair::new_account();
    let options = scene.options();
    let builder = scene.builder().with_lattice(options).with_control_issuers([issuer.public_key()]);
    let host = scene.host(builder).await;
    scene.write("operator.seed", issuer.seed().unwrap());
    scene.write("stranger.seed", KeyPair::new_account().seed().unwrap());
    let ctl = scene.ctl();
    let cordon = ["cordon", &host.id()];
    ctl.fails(3, &cordon).await;
    ctl.fails(3, &[&cordon[..], &["--seed-file", "stranger.seed"]].concat()).await;
    assert_eq!(ctl.json(&["hosts"]).await[0]["cordoned"], false, "what only reads needs none");
    ctl.done(&[&cordon[..], &["--seed-file", "operator.seed"]].concat()).await;
    let from_environment = ctl.with("WASMCLOUD_CONTROL_SEED", issuer.seed().unwrap());
    from_environment.done(&["uncordon", &host.id()]).await;
    host.stop().await;
}
