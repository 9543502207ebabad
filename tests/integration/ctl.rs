//! `wasmcloud ctl`: the stock binary against hosts of a real lattice.
//!
//! # Layout
//! - `listings`: hosts, inventories, claims, links, and how they are printed
//! - `orders`: what changes hosts
//! - `images`: starts and updates from a registry
//! - `calls`: calls of actors
//! - `failures`: what cannot be done, and the exit codes

mod calls;
mod failures;
mod images;
mod listings;
mod orders;

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wasmcloud_host::{ConnectionOptions, Host, HostBuilder, LatticeOptions};

use crate::conformance::nats_server::NatsServer;
use crate::support::{soon, until, with_tested_compiler};

/// The variables that the command reads.
const VARIABLES: [&str; 13] = [
    "CONTROL_HOST",
    "CONTROL_PORT",
    "CONTROL_CREDS",
    "CONTROL_JWT",
    "CONTROL_SEED",
    "RPC_HOST",
    "RPC_PORT",
    "RPC_CREDS",
    "RPC_JWT",
    "RPC_SEED",
    "WASMCLOUD_CONTROL_SEED",
    "WASMCLOUD_CLUSTER_SEED",
    "COLUMNS",
];

/// A NATS server with the hosts of a test, and a folder.
pub(crate) struct Scene {
    server: NatsServer,
    folder: TempDir,
}

impl Scene {
    pub(crate) fn start() -> Scene {
        let folder = TempDir::new().unwrap();
        let store = folder.path().join("store");
        let server = NatsServer::start_with(&format!("jetstream {{ store_dir: {store:?} }}\n"));
        Scene { server, folder }
    }

    fn options(&self) -> LatticeOptions {
        LatticeOptions::new(ConnectionOptions::new(self.server.url()))
    }

    pub(crate) fn builder(&self) -> HostBuilder {
        with_tested_compiler(HostBuilder::new().with_shards(1)).with_lattice(self.options())
    }

    /// Starts a host and waits until it answers.
    pub(crate) async fn host(&self, builder: HostBuilder) -> Host {
        let host = builder.build();
        host.start().await.unwrap();
        let ctl = self.ctl();
        let key = host.id();
        until(async || {
            let ended = ctl.run(&["inventory", &key, "--timeout", "2s"]).await;
            ended.code == 0
        })
        .await;
        host
    }

    /// Starts hosts, and waits until each knows all others.
    async fn hosts<const N: usize>(&self) -> [Host; N] {
        let mut hosts = Vec::new();
        for _ in 0..N {
            hosts.push(self.host(self.builder()).await);
        }
        for host in &hosts {
            until(async || {
                let view = host.lattice().unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                view.hosts.iter().filter(|peer| peer.is_up).count() + 1 >= N
            })
            .await;
        }
        hosts.try_into().unwrap()
    }

    pub(crate) fn ctl(&self) -> Ctl {
        let folder = self.folder.path().to_owned();
        Ctl { port: self.server.port, folder, variables: Vec::new() }
    }

    /// Writes a file that its owner alone can read.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }
}

/// The command, which reaches the server.
#[derive(Clone)]
pub(crate) struct Ctl {
    port: u16,
    folder: std::path::PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// What a run ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl From<Output> for Ended {
    fn from(ended: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: ended.status.code().unwrap(), output: text(ended.stdout), errors: text(ended.stderr) }
    }
}

impl Ctl {
    /// Sets an environment variable.
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Ctl {
        self.variables.push((name, value.into()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.binary(&[&["ctl"], arguments].concat())
    }

    /// Returns another command of the binary, which reaches the server too.
    pub(crate) fn binary(&self, arguments: &[&str]) -> Command {
        let mut command = self.adapt(Command::new(env!("CARGO_BIN_EXE_wasmcloud")));
        command.args(arguments);
        command
    }

    /// Lets a command run in the folder, and reach the server.
    fn adapt(&self, mut command: Command) -> Command {
        command.current_dir(&self.folder).stdin(Stdio::null());
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.env("CONTROL_PORT", self.port.to_string());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the command beside this thread, which hosts run on.
    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let ended = actix_rt::task::spawn_blocking(move || command.output().unwrap());
        Ended::from(soon(ended).await.unwrap())
    }

    /// What it prints if all goes well.
    async fn done(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{arguments:?}: {ended:?}");
        ended.output
    }

    /// The JSON that it prints if all goes well.
    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        let output = self.done(&arguments).await;
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output}"))
    }

    /// What it says when it ends with a code.
    async fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!((ended.code, ended.output.as_str()), (code, ""), "{arguments:?}: {ended:?}");
        assert!(ended.errors.starts_with("error: ") && ended.errors.ends_with('\n'), "{ended:?}");
        ended.errors
    }
}
