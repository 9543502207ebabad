//! The published control client of 2021, in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::signing::in_repository;
use crate::support::soon;

/// A client that is told what to do, and hears all events meanwhile.
pub(crate) struct EraClient {
    process: Child,
    commands: ChildStdin,
    answers: UnboundedReceiver<Value>,
    events: UnboundedReceiver<Value>,
}

impl EraClient {
    /// Builds and starts the client, or returns `None` where its source is not at hand.
    pub(crate) async fn start(port: u16) -> Option<EraClient> {
        let mut process = tokio::task::spawn_blocking(move || launch(port)).await.unwrap()?;
        let commands = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (answer, answers) = unbounded_channel();
        let (event, events) = unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut line: Value = serde_json::from_str(&line).unwrap();
                // The test may have ended.
                let _ = match line.get_mut("event") {
                    Some(told) => event.send(told.take()),
                    None => answer.send(line),
                };
            }
        });
        let mut client = EraClient { process, commands, answers, events };
        assert!(soon(client.answers.recv()).await.unwrap().get("ready").is_some());
        Some(client)
    }

    /// Gives a command and returns its result, which may be an error.
    pub(crate) async fn tell(&mut self, command: Value) -> Result<Value, String> {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = soon(self.answers.recv()).await.expect("the client has ended");
        match answer.get_mut("ok") {
            Some(result) => Ok(result.take()),
            None => Err(answer["err"].to_string()),
        }
    }

    /// Gives a command to a host, and returns its result.
    pub(crate) async fn order(&mut self, op: &str, host: &str, more: Value) -> Value {
        let mut command = json!({ "op": op, "host": host });
        command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.tell(command).await.unwrap()
    }

    /// Waits for an event with a name, and returns its content.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        soon(async {
            loop {
                let told = self.events.recv().await.expect("the client has ended");
                if told["event"] == name {
                    return told["event"].clone();
                }
                if let Some(content) = told["event"].get(name) {
                    return content.clone();
                }
            }
        })
        .await
    }
}

fn launch(port: u16) -> Option<Child> {
    let source = in_repository("../shared/era-client/Cargo.toml");
    if !source.is_file() {
        println!("LEFT OUT: the source of the control client of 2021 is not beside the repository");
        return None;
    }
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("era-client");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--locked", "--quiet", "--manifest-path"]).arg(&source).env("CARGO_TARGET_DIR", &target);
    assert!(build.status().unwrap().success(), "the control client of 2021 does not build");
    let mut client = Command::new(target.join("debug/era-client"));
    client.arg(format!("127.0.0.1:{port}")).stdin(Stdio::piped()).stdout(Stdio::piped());
    Some(client.spawn().unwrap())
}

impl Drop for EraClient {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
