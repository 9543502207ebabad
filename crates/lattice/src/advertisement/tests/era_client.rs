//! The published control client of 2021, driven as its users do.

use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};

use super::*;

/// The environment variable that names the program.
const PROGRAM: &str = "WASMCLOUD_TEST_ERA_CLIENT";

/// A running client.
struct EraClient {
    process: Child,
    input: ChildStdin,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl EraClient {
    fn start(program: &std::ffi::OsStr, server: &NatsServer) -> EraClient {
        let mut command = Command::new(program);
        command.arg(server.address().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(answers.next().unwrap().unwrap().contains("ready"));
        EraClient { process, input, answers }
    }

    /// Gives a command, while the host goes on. Returns the result.
    async fn run(client: &Arc<Mutex<EraClient>>, command: Value) -> Value {
        let client = Arc::clone(client);
        tokio::task::spawn_blocking(move || client.lock().unwrap().answer(&command)).await.unwrap()
    }

    /// Returns the answer to a command, without the events that come meanwhile.
    fn answer(&mut self, command: &Value) -> Value {
        writeln!(self.input, "{command}").unwrap();
        loop {
            let line: Value = serde_json::from_str(&self.answers.next().unwrap().unwrap()).unwrap();
            assert!(line.get("err").is_none(), "{command}: {line}");
            if let Some(result) = line.get("ok") {
                return result.clone();
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

#[test]
#[ignore = "it needs the control client of 2021"]
fn the_control_client_of_2021_is_served() {
    let program = std::env::var_os(PROGRAM).expect("WASMCLOUD_TEST_ERA_CLIENT names the program");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for binary in binaries() {
        let server = NatsServer::start_with(&binary, false);
        runtime.block_on(async {
            let mut scene = Scene::new(&server).await;
            let (known, expected) = (claims("Echo"), link("default"));
            *scene.told.claims.lock().unwrap() = vec![known.clone()];
            *scene.told.inventory.lock().unwrap() = HostInventory {
                labels: vec![InventoryLabel { name: "zone".to_owned(), value: "a".to_owned() }],
                actors: vec![InventoryActor { id: known.subject.clone(), revision: 3, ..InventoryActor::default() }],
                providers: Vec::new(),
            };
            let client = Arc::new(Mutex::new(EraClient::start(&program, &server)));
            let run = |command| EraClient::run(&client, command);
            let told = run(json!({ "op": "get_claims" })).await;
            assert_eq!(told["claims"][0]["values"]["sub"], known.subject.as_str());
            assert_eq!(told["claims"][0]["values"]["caps"], "wasmcloud:keyvalue,wasmcloud:logging");
            let hosts = run(json!({ "op": "get_hosts", "wait_ms": 300 })).await;
            assert_eq!(hosts, json!([{ "id": scene.host, "uptime": 8 }]));
            let inventory = run(json!({ "op": "inventory", "host": scene.host })).await;
            assert_eq!(inventory["labels"], json!({ "zone": "a" }));
            assert_eq!(inventory["actors"][0]["revision"], 3);
            let target = json!({ "actor": expected.actor_id, "contract": expected.contract_id, "link": "default" });
            let command = |name: &str| {
                let mut command = target.clone();
                command["op"] = json!(name);
                command["provider"] = json!(expected.provider_id);
                command["values"] = json!({ "URL": "redis://z" });
                command
            };
            assert_eq!(run(command("advertise_link")).await, "ok");
            assert_eq!(scene.next().await, Advertised::Link(expected.clone()));
            assert_eq!(run(command("remove_link")).await, "ok");
            let removal = LinkDefinition { provider_id: String::new(), values: Vec::new(), ..expected.clone() };
            assert_eq!(scene.next().await, Advertised::LinkRemoved(removal));
        });
    }
}
