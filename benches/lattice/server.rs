//! A NATS server with JetStream on a free loopback port, which ends with the benchmark.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A NATS server. Its data outlive a restart.
pub(crate) struct NatsServer {
    process: Option<Child>,
    port: u16,
    monitoring_port: u16,
    folder: TempDir,
}

impl NatsServer {
    /// Starts a server.
    pub(crate) fn start() -> NatsServer {
        let mut server = NatsServer::prepare();
        server.restart();
        server
    }

    /// Returns a server that does not run yet.
    pub(crate) fn prepare() -> NatsServer {
        let folder = tempfile::tempdir().expect("a folder");
        NatsServer { process: None, port: free_port(), monitoring_port: free_port(), folder }
    }

    /// Starts the server on its port and with its data, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let process = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--http_port", &self.monitoring_port.to_string()])
            .args(["--jetstream", "--store_dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.expect("nats-server is on the PATH"));
        let begin = Instant::now();
        while !self.listens() {
            assert!(begin.elapsed() < PATIENCE, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the server at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Returns whether the server greets its clients.
    fn listens(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()) else { return false };
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).is_ok() && &greeting == b"INFO"
    }

    /// Returns the subjects of all subscriptions, as the server reports them.
    pub(crate) fn subscriptions(&self) -> Vec<String> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.monitoring_port));
        let mut stream = TcpStream::connect(address).expect("the server is monitored");
        stream.write_all(b"GET /subsz?subs=1&limit=4096 HTTP/1.0\r\n\r\n").expect("it can be asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let body = answer.split_once("\r\n\r\n").expect("a body").1;
        let report: serde_json::Value = serde_json::from_str(body).expect("it answers in JSON");
        let listed = report["subscriptions_list"].as_array().expect("a list");
        listed.iter().filter_map(|entry| entry["subject"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}
