//! Hosts of a lattice: how they reach NATS, and what happens if they do not.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::conformance::nats_server::NatsServer;
use crate::conformance::server_process::free_port;
use crate::lattice::program;
use crate::support::{soon, until};
use crate::workplace::{Staying, Workplace, get};

fn server(configuration: &str) -> NatsServer {
    NatsServer::start_program(&program(), configuration)
}

/// The public keys of the hosts that answer to a client of 2021.
async fn hosts(client: &async_nats::Client) -> Vec<String> {
    let answer = client.request("wasmbus.ctl.default.get.hosts", "".into());
    let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(1), answer).await else { return Vec::new() };
    let host: Value = serde_json::from_slice(&answer.payload).unwrap();
    vec![host["id"].as_str().unwrap().to_owned()]
}

/// Waits until a host answers to a control client.
async fn until_there_is_a_host(client: &async_nats::Client) {
    until(async || !hosts(client).await.is_empty()).await;
}

#[actix_rt::test]
async fn seed_defect_41_control_has_the_server_that_is_named_for_it() {
    let place = Workplace::new();
    let calls = server("");
    let control = server("");
    let mut command = place.command(&format!("run --control-host 127.0.0.1 --control-port {}", control.port));
    command.env("RPC_HOST", "127.0.0.1").env("RPC_PORT", calls.port.to_string());
    let host = Staying::start(&mut command);
    host.line(" runs: ");
    until_there_is_a_host(&async_nats::connect(control.url()).await.unwrap()).await;
    assert!(
        hosts(&async_nats::connect(calls.url()).await.unwrap()).await.is_empty(),
        "only one server carries control"
    );
    assert!(!host.errors().contains("is not part of the lattice"), "{}", host.errors());
    host.stop();
}

#[actix_rt::test]
async fn a_server_that_is_named_for_control_alone_carries_calls_too() {
    let place = Workplace::new();
    let nats = server("");
    let host = place.start(&format!("run --control-host 127.0.0.1 --control-port {} --require-nats 50s", nats.port));
    host.line(" runs: ");
    until_there_is_a_host(&async_nats::connect(nats.url()).await.unwrap()).await;
    host.stop();
}

/// A JWT of NATS.
fn jwt(issuer: &KeyPair, subject: &KeyPair, kind: &str, more: Value) -> String {
    let mut nats = json!({"type": kind, "version": 2});
    nats.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let claims = json!({
        "jti": "A", "iat": 1_600_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": kind, "nats": nats,
    });
    let encode = |part: &[u8]| BASE64URL_NOPAD.encode(part);
    let header = encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{header}.{}", encode(claims.to_string().as_bytes()));
    format!("{signed}.{}", encode(&issuer.sign(signed.as_bytes()).unwrap()))
}

#[actix_rt::test]
async fn seed_defect_41_a_jwt_may_be_a_file_or_the_token_itself() {
    let operator = KeyPair::new_operator();
    let account = KeyPair::new_account();
    let user = KeyPair::new_user();
    let limits = json!({"limits": {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1}});
    let nats = server(&format!(
        "operator: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {} }}\n",
        jwt(&operator, &operator, "operator", json!({})),
        account.public_key(),
        jwt(&operator, &account, "account", limits),
    ));
    let token = jwt(&account, &user, "user", json!({"subs": -1, "data": -1, "payload": -1}));
    let seed = user.seed().unwrap();
    let place = Workplace::new();
    place.write("user.jwt", format!("{token}\n"));
    place.write("user.seed", format!("{seed}\n"));
    let [jwt_here, seed_here] = ["user.jwt", "user.seed"].map(|name| place.path(name).display().to_string());
    place.write("user.creds", format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n\
         ------END USER NKEY SEED------\n"
    ));
    for variables in [
        &[("RPC_JWT", token.as_str()), ("RPC_SEED", seed.as_str())][..],
        &[("RPC_JWT", &jwt_here), ("RPC_SEED", &seed_here)],
        &[("CONTROL_JWT", &jwt_here), ("CONTROL_SEED", &seed), ("RPC_CREDS", "user.creds")],
    ] {
        let mut command =
            place.command(&format!("run --rpc-host 127.0.0.1 --rpc-port {} --require-nats 50s", nats.port));
        let host = Staying::start(command.envs(variables.iter().copied()));
        host.line(" runs: ");
        assert!(!host.errors().contains(&seed) && !host.errors().contains(&token), "{}", host.errors());
        host.stop();
    }
    let (code, errors) = place.ends(&format!("run --rpc-host 127.0.0.1 --rpc-port {} --require-nats 1s", nats.port));
    assert!(code == 4 && errors.contains("was not joined"), "{code} {errors}");
}

#[test]
fn a_nats_server_that_is_required_and_not_there_ends_the_run() {
    let place = Workplace::with_echo();
    let port = free_port();
    let (code, errors) =
        place.ends(&format!("run echo.yaml --rpc-host 127.0.0.1 --rpc-port {port} --require-nats 300ms"));
    assert!(
        code == 4 && errors.contains(&format!("127.0.0.1:{port}")) && errors.contains("--rpc-port"),
        "{code} {errors}"
    );
}

#[actix_rt::test]
async fn without_nats_the_host_runs_alone_says_so_and_joins_later() {
    let place = Workplace::with_echo();
    let nats = server("");
    let port = nats.port;
    nats.kill();
    let host = place.start(&format!("run echo.yaml --rpc-host 127.0.0.1 --rpc-port {port}"));
    host.error("warning: the host is not part of the lattice at nats://127.0.0.1");
    assert_eq!(get(host.port(), "/x").0, 200);
    soon(async { nats.start_again() }).await;
    until_there_is_a_host(&async_nats::connect(nats.url()).await.unwrap()).await;
    host.stop();
}

#[actix_rt::test]
async fn a_host_that_is_stopped_over_its_lattice_ends_its_process() {
    let place = Workplace::new();
    let nats = server("");
    let port = nats.port.to_string();
    let mut host = place.start(&format!("run --rpc-host 127.0.0.1 --rpc-port {port} --require-nats 50s"));
    let line = host.line(" runs: ");
    let id = line.split(' ').nth(1).unwrap();
    let mut command = place.command(&format!("ctl stop host {id}"));
    let mut stop = Staying::start(command.env("CONTROL_HOST", "127.0.0.1").env("CONTROL_PORT", &port));
    assert_eq!(stop.code(), 0, "{}", stop.errors());
    assert_eq!(host.code(), 0, "{}", host.errors());
    assert!(host.errors().contains("the host was stopped over its lattice"), "{}", host.errors());
}
