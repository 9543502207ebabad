//! Real servers for tests: `nats-server` processes on free loopback ports, which end with the test, and a proxy in front of
//! them that cuts, stops and delays connections.
//!
//! The server is `$WASMCLOUD_TEST_NATS_SERVER`, or `nats-server` from `PATH`.

mod certificates;
mod proxy;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use certificates::Certificates;
pub(crate) use proxy::Proxy;

/// The time that any wait of a test may take. Unit: 60 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The environment variable that names the server to test with.
const SERVER_VARIABLE: &str = "WASMCLOUD_TEST_NATS_SERVER";

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerOptions {
    /// Whether the server has JetStream. Its data are in the server's folder.
    pub(crate) jetstream: bool,
    /// The user and the password that clients need.
    pub(crate) login: Option<(String, String)>,
    /// Lines of a configuration file.
    pub(crate) config: Option<String>,
}

/// A running server. Dropping it ends the process and removes its folder.
#[derive(Debug)]
pub(crate) struct Server {
    process: Option<Child>,
    folder: TempDir,
    port: u16,
    options: ServerOptions,
}

impl Server {
    /// Starts a server without JetStream and waits until it listens.
    pub(crate) fn start() -> Server {
        Server::with(ServerOptions::default())
    }

    /// Starts a server with JetStream and waits until it listens.
    #[allow(dead_code, reason = "the tests of the registry use it")]
    pub(crate) fn with_jetstream() -> Server {
        Server::with(ServerOptions { jetstream: true, ..ServerOptions::default() })
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn with(options: ServerOptions) -> Server {
        let mut server = Server::stopped(options);
        server.restart();
        server
    }

    /// Returns a server that is not started, with a port of its own. `restart` starts it.
    pub(crate) fn stopped(options: ServerOptions) -> Server {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        Server { process: None, folder, port, options }
    }

    /// Returns the address, such as `127.0.0.1:4222`.
    pub(crate) fn address(&self) -> String {
        self.socket().to_string()
    }

    /// Returns the address that the server listens on.
    pub(crate) fn socket(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Returns the process id.
    #[allow(dead_code, reason = "the tests of slow servers use it")]
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Returns a client that is connected to the server.
    pub(crate) async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.address()).await.unwrap()
    }

    /// Replaces the options. They hold from the next start on.
    pub(crate) fn set_options(&mut self, options: ServerOptions) {
        self.options = options;
    }

    /// Ends the process at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Ends the process if it runs, and starts it on the same port with the same folder.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(program());
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]);
        if self.options.jetstream {
            command.arg("-js").arg("-sd").arg(self.folder.path().join("jetstream"));
        }
        if let Some((user, password)) = &self.options.login {
            command.args(["--user", user, "--pass", password]);
        }
        if let Some(config) = &self.options.config {
            let path = self.folder.path().join("nats.conf");
            fs::write(&path, config).unwrap();
            command.arg("-c").arg(path);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("nats-server is on PATH: see scripts/test"));
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&mut self) {
        let start = Instant::now();
        while std::net::TcpStream::connect(self.socket()).is_err() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the server ended: {}", log());
            assert!(start.elapsed() < PATIENCE, "the server does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the program of the server.
fn program() -> PathBuf {
    std::env::var_os(SERVER_VARIABLE).map_or_else(|| Path::new("nats-server").to_owned(), PathBuf::from)
}

/// Returns a port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until a condition holds.
///
/// # Panics
/// If it does not hold within [`PATIENCE`].
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come to pass");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the server knows all that a client has subscribed to. A client's own flush only waits for its socket.
pub(crate) async fn settled(client: &async_nats::Client) {
    // The server answers at once that there is no responder, after all that came before on the connection.
    let _ = client.request("settled", bytes::Bytes::new()).await;
}

/// Runs a test on a runtime of one thread, as the lattice does.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let outcome = tokio::time::timeout(PATIENCE * 2, test).await;
        outcome.expect("the test ends in time");
    });
}
