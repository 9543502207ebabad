//! Starts NATS servers for tests.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A NATS server on an ephemeral loopback port with JetStream, which ends with the value.
pub(crate) struct NatsServer {
    binary: PathBuf,
    directory: TempDir,
    port: u16,
    has_jetstream: bool,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts a server with JetStream.
    pub(crate) fn start(binary: &Path) -> NatsServer {
        NatsServer::start_with(binary, true)
    }

    pub(crate) fn start_with(binary: &Path, has_jetstream: bool) -> NatsServer {
        let directory = tempfile::tempdir().unwrap();
        let mut server = NatsServer { binary: binary.to_owned(), directory, port: 0, has_jetstream, child: None };
        server.restart();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Kills the server, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts the server again on its port and with its data, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let ports = tempfile::tempdir_in(self.directory.path()).unwrap();
        let mut command = Command::new(&self.binary);
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        command.args(["-a", "127.0.0.1", "-p", &port, "--ports_file_dir"]).arg(ports.path());
        if self.has_jetstream {
            command.arg("-js").arg("-sd").arg(self.directory.path().join("data"));
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        self.port = (0..1000).find_map(|_| read_port(ports.path())).expect("the server does not listen");
    }

    /// Deletes the data of JetStream. The server is down meanwhile.
    pub(crate) fn lose_data(&mut self) {
        self.kill();
        fs::remove_dir_all(self.directory.path().join("data")).unwrap();
        self.restart();
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the servers to test with: the newest and the oldest that are here.
pub(crate) fn binaries() -> Vec<PathBuf> {
    let named = std::env::var_os("WASMCLOUD_TEST_NATS_SERVER").map(PathBuf::from);
    let newest = named.or_else(|| on_path("nats-server")).expect("nats-server is on PATH");
    let oldest = PathBuf::from("/usr/sbin/nats-server");
    if oldest.exists() && oldest != newest { vec![newest, oldest] } else { vec![newest] }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.exists())
}

fn read_port(directory: &Path) -> Option<u16> {
    std::thread::sleep(Duration::from_millis(10));
    let file = fs::read_dir(directory).ok()?.flatten().next()?;
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
    let url = ports["nats"].as_array()?.first()?.as_str()?.to_owned();
    url.rsplit(':').next()?.parse().ok()
}
