//! Hosts and control clients of 2021, which know nothing of current hosts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use wasmcloud_host::{ConnectionOptions, HostBuilder, LatticeOptions, LinkState};

use super::{Lattice, run_actor, run_probe, start};
use crate::signing::{in_repository, sign};
use crate::support::{PROBE, until, with_tested_compiler};

/// The published control client of 2021, in a process of its own.
struct EraClient {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl EraClient {
    /// Builds and starts the client, or returns `None` where its source is not at hand.
    fn start(port: u16) -> Option<EraClient> {
        let source = in_repository("../shared/era-client/Cargo.toml");
        if !source.is_file() {
            println!("LEFT OUT: the source of the control client of 2021 is not beside the repository");
            return None;
        }
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("era-client");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--locked", "--quiet", "--manifest-path"]).arg(&source).env("CARGO_TARGET_DIR", &target);
        assert!(build.status().unwrap().success(), "the control client of 2021 does not build");
        let mut process = Command::new(target.join("debug/era-client"))
            .arg(format!("127.0.0.1:{port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut client = EraClient { process, commands, answers };
        client.answer("ready");
        Some(client)
    }

    /// Sends a command and returns its answer, which may be an error.
    fn tell(&mut self, command: &Value) -> Result<Value, String> {
        writeln!(self.commands, "{command}").unwrap();
        let answer = self.answer("");
        match answer.get("ok") {
            Some(answer) => Ok(answer.clone()),
            None => Err(answer["err"].to_string()),
        }
    }

    /// Returns the next line that is no event.
    fn answer(&mut self, field: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the client has ended");
            let answer: Value = serde_json::from_str(&line).unwrap();
            let is_answer = answer.get("ok").is_some() || answer.get("err").is_some();
            if is_answer || answer.get(field).is_some() {
                return answer;
            }
        }
    }
}

impl Drop for EraClient {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[actix_rt::test]
async fn the_control_client_of_2021_calls_actors_asks_for_claims_and_advertises_links() {
    let lattice = Lattice::start();
    let options = LatticeOptions::new(ConnectionOptions::new(lattice.server.url()));
    let host = start(with_tested_compiler(HostBuilder::new().with_shards(1)).with_lattice(options)).await;
    let actor = run_actor(&host, &sign("host_call").capability(PROBE), &[]).await;
    let echo = run_actor(&host, &sign("tiny_echo"), &[]).await;
    let (_probe, provider) = run_probe(&host).await;

    let port = lattice.server.port;
    let talk = {
        let (actor, provider, id) = (actor.clone(), provider.clone(), host.id());
        actix_rt::task::spawn_blocking(move || {
            let mut client = EraClient::start(port)?;
            let called = client.tell(&json!({"op": "call_actor", "actor": echo, "operation": "Echo", "hex": "c0ff"}));
            let claims = client.tell(&json!({"op": "get_claims"}));
            let hosts = client.tell(&json!({"op": "get_hosts", "wait_ms": 300}));
            let inventory = client.tell(&json!({"op": "inventory", "host": id}));
            let linked = client.tell(&json!({
                "op": "advertise_link", "actor": actor, "provider": provider, "contract": PROBE, "link": "default",
                "values": {"FROM": "2021"},
            }));
            // What the client publishes is on its way for a while.
            Some((client, [called, claims, hosts, inventory, linked]))
        })
    };
    if let Some((_client, [called, claims, hosts, inventory, linked])) = talk.await.unwrap() {
        assert_eq!(called.unwrap()["hex"], "c0ff");
        assert!(claims.unwrap().to_string().contains(&actor));
        assert!(hosts.unwrap().to_string().contains(&host.id()));
        assert!(inventory.unwrap().to_string().contains(&actor));
        linked.unwrap();
        until(async || host.link_state(&actor, PROBE, None) == Some(LinkState::Established)).await;
    }
    host.stop().await;
}
