//! A real server in a process of its own: on a loopback port of its own, and gone with its test.

use std::cell::RefCell;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct ServerProcess {
    pub(crate) port: u16,
    command: Box<dyn Fn(u16) -> Command>,
    answers: fn(u16) -> bool,
    process: RefCell<Process>,
}

/// A process that ends with its owner.
struct Process(Child);

impl ServerProcess {
    /// Starts a server, and waits until it answers.
    pub(crate) fn start(command: impl Fn(u16) -> Command + 'static, answers: fn(u16) -> bool) -> ServerProcess {
        // Another process may take the port before the server does. Then there is another one.
        for _ in 0..10 {
            let port = free_port();
            if let Some(process) = launch(command(port), port, answers) {
                return ServerProcess { port, command: Box::new(command), answers, process: RefCell::new(process) };
            }
        }
        panic!("no server could be started with {:?}", command(0));
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        self.process.borrow_mut().end();
    }

    /// Starts it again on the same port.
    pub(crate) fn start_again(&self) {
        let process = launch((self.command)(self.port), self.port, self.answers);
        self.process.replace(process.expect("the server starts again"));
    }

    /// Has it do nothing, while its connections stay.
    pub(crate) fn freeze(&self) {
        self.process.borrow().signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.process.borrow().signal("-CONT");
    }
}

impl Process {
    /// Signals it, and where it has a group of processes of its own, all of them.
    fn signal(&self, signal: &str) {
        let signalled = |target: &str| {
            let kill = Command::new("kill").args([signal, "--", target]).stderr(Stdio::null()).status();
            kill.unwrap().success()
        };
        let id = self.0.id().to_string();
        assert!(signalled(&format!("-{id}")) || signalled(&id), "the server has ended by itself");
    }

    fn end(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            self.signal("-KILL");
            self.0.wait().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Starts a server and waits until it answers; nothing if it ends instead.
fn launch(mut command: Command, port: u16, answers: fn(u16) -> bool) -> Option<Process> {
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut process = Process(process.unwrap_or_else(|error| panic!("{command:?} should be on the PATH: {error}")));
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if process.0.try_wait().unwrap().is_some() {
            return None;
        }
        if answers(port) {
            return Some(process);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{command:?} does not answer");
}
