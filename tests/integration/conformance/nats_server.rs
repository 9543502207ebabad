//! Real NATS servers, from the `nats-server` on the `PATH`: on loopback ports of their own, and gone with their test.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

/// A running server.
pub(crate) struct NatsServer {
    pub(crate) port: u16,
    configuration: NamedTempFile,
    process: RefCell<Process>,
}

/// A process that ends with whoever holds this.
struct Process(Child);

impl NatsServer {
    pub(crate) fn start() -> NatsServer {
        NatsServer::start_with("")
    }

    /// Starts a server with more configuration.
    pub(crate) fn start_with(more: &str) -> NatsServer {
        let mut configuration = NamedTempFile::new().unwrap();
        configuration.write_all(more.as_bytes()).unwrap();
        // Another process may take the port before the server does. Then there is another one.
        for _ in 0..10 {
            let port = free_port();
            if let Some(process) = launch(port, &configuration) {
                return NatsServer { port, configuration, process: RefCell::new(process) };
            }
        }
        panic!("no nats-server could be started");
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        let mut process = self.process.borrow_mut();
        process.0.kill().unwrap();
        process.0.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub(crate) fn start_again(&self) {
        self.process.replace(launch(self.port, &self.configuration).expect("the server starts again"));
    }

    /// A conversation in the server's own protocol.
    pub(crate) fn connect(&self) -> Conversation {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut conversation = Conversation { answers: BufReader::new(stream.try_clone().unwrap()), stream };
        conversation.tell("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        conversation
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection of a client that leaves nothing out.
pub(crate) struct Conversation {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Conversation {
    /// Sends something, and answers with every line that comes back until the server has read it all.
    pub(crate) fn tell(&mut self, text: &str) -> Vec<String> {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.write_all(b"PING\r\n").unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the server hung up: {lines:?}");
            if line.trim() == "PONG" {
                return lines;
            }
            lines.push(line.trim().to_owned());
        }
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Starts a server and waits until it answers; nothing if it ends instead.
fn launch(port: u16, configuration: &NamedTempFile) -> Option<Process> {
    let process = Command::new("nats-server")
        .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--config"])
        .arg(configuration.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut process = Process(process.expect("nats-server should be on the PATH"));
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        if process.0.try_wait().unwrap().is_some() {
            return None;
        }
        if answers(port) {
            return Some(process);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nats-server does not answer");
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // It speaks first.
    let mut answer = [0; 4];
    std::io::Read::read_exact(&mut stream, &mut answer).is_ok() && &answer == b"INFO"
}
