//! Real Redis servers, from the `redis-server` on the `PATH`: on loopback ports of their own, without files, and gone with
//! their test.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    more: Vec<String>,
    process: RefCell<Process>,
}

/// A process that ends with its owner.
struct Process(Child);

impl RedisServer {
    pub(crate) fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// Starts a server with more arguments.
    pub(crate) fn start_with(more: &[&str]) -> RedisServer {
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        // Another process may take the port before the server does. Then there is another one.
        for _ in 0..10 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if let Some(process) = launch(port, &more) {
                return RedisServer { port, more, process: RefCell::new(process) };
            }
        }
        panic!("no redis-server could be started");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        self.process.borrow_mut().end();
    }

    /// Starts it again on the same port.
    pub(crate) fn start_again(&self) {
        self.process.replace(launch(self.port, &self.more).expect("the server starts again"));
    }

    /// Has it do nothing, while its connections stay.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill").args([signal, &self.process.borrow().0.id().to_string()]).status().unwrap().success()
        );
    }
}

impl Process {
    fn end(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a server and waits until it answers; nothing if it ends instead.
fn launch(port: u16, more: &[String]) -> Option<Process> {
    let process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(more)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server should be on the PATH");
    let mut process = Process(process);
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
    panic!("redis-server does not answer");
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // A server that wants a password or TLS answers too, or hangs up.
    let mut answer = [0; 1];
    stream.write_all(b"PING\r\n").is_ok() && std::io::Read::read(&mut stream, &mut answer).is_ok()
}
