//! A folder to work in, and commands of the stock binary that stay: what they say, the signals they get, how they end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::signing::sign;

/// How long a test waits for what is sure to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a home of its own.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Workplace {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Workplace { folder }
    }

    /// A folder with the signed actor `echo.wasm`, and a manifest that serves it on any port.
    pub(crate) fn with_echo() -> Workplace {
        let place = Workplace::new();
        place.write("echo.wasm", sign("echo").alias("echo").capability("wasmcloud:httpserver").bytes());
        place.write("echo.yaml", manifest("echo.wasm", "echo", "0"));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// The binary in this folder, with words separated by blanks and an environment of its own.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmcloud"));
        command.args(arguments.split_whitespace()).current_dir(self.path("")).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.home(""));
        command
    }

    pub(crate) fn start(&self, arguments: &str) -> Staying {
        Staying::start(&mut self.command(arguments))
    }

    /// Runs a command that ends by itself, and answers with its exit code and what it said on standard error.
    pub(crate) fn ends(&self, arguments: &str) -> (i32, String) {
        let mut staying = self.start(arguments);
        let code = staying.code();
        (code, staying.errors())
    }

    /// The names of what is in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A manifest that serves an actor by HTTP.
pub(crate) fn manifest(file: &str, alias: &str, port: &str) -> String {
    format!(
        "actors: [{file}]\ncapabilities: [{{image_ref: 'builtin:httpserver'}}]\nlinks:\n  - {{actor: {alias}, contract_id: \
         'wasmcloud:httpserver', provider_id: 'builtin:httpserver', values: {{PORT: '{port}'}}}}\n"
    )
}

/// A process that runs until it is told to end, or until the test ends.
pub(crate) struct Staying {
    child: Child,
    output: Said,
    errors: Said,
}

/// What a process has said so far.
#[derive(Clone, Default)]
struct Said(Arc<(Mutex<Text>, Condvar)>);

#[derive(Default)]
struct Text {
    lines: Vec<String>,
    has_ended: bool,
}

impl Staying {
    pub(crate) fn start(command: &mut Command) -> Staying {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Said::of(child.stdout.take().unwrap());
        let errors = Said::of(child.stderr.take().unwrap());
        Staying { child, output, errors }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard output.
    pub(crate) fn line(&self, text: &str) -> String {
        self.output.line(text).unwrap_or_else(|| panic!("it did not say {text:?}: {}{}", self.said(), self.errors()))
    }

    /// Waits for a line on standard error.
    pub(crate) fn error(&self, text: &str) -> String {
        self.errors.line(text).unwrap_or_else(|| panic!("no error says {text:?}: {}{}", self.said(), self.errors()))
    }

    /// Waits for a line on standard error that comes after this number of lines.
    pub(crate) fn error_after(&self, text: &str, lines: usize) {
        assert!(self.errors.has_line(text, lines), "no new error says {text:?}: {}{}", self.said(), self.errors());
    }

    /// What it has said on standard output.
    pub(crate) fn said(&self) -> String {
        self.output.text()
    }

    /// What it has said on standard error.
    pub(crate) fn errors(&self) -> String {
        self.errors.text()
    }

    /// The port that the HTTP server said it listens on, the last time.
    pub(crate) fn port(&self) -> u16 {
        self.error("is served on");
        let errors = self.errors();
        let line = errors.lines().rfind(|line| line.contains("is served on")).unwrap();
        let address = line.rsplit("is served on ").next().unwrap().split_whitespace().next().unwrap();
        address.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        assert!(self.output.end() && self.errors.end(), "it does not end: {}{}", self.said(), self.errors());
        self.child.wait().unwrap()
    }

    /// Waits for the end, and answers with the exit code.
    pub(crate) fn code(&mut self) -> i32 {
        self.end().code().unwrap_or(-1)
    }

    /// Asks for the end, which must be a success.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.code(), 0, "{}", self.errors());
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    /// Reads what a process says, on a thread.
    fn of(pipe: impl std::io::Read + Send + 'static) -> Said {
        let said = Said::default();
        let reader = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                reader.0.0.lock().unwrap().lines.push(line);
                reader.0.1.notify_all();
            }
            reader.0.0.lock().unwrap().has_ended = true;
            reader.0.1.notify_all();
        });
        said
    }

    /// Waits for a line, and answers with the last one that has the text.
    fn line(&self, text: &str) -> Option<String> {
        self.has_line(text, 0);
        self.0.0.lock().unwrap().lines.iter().rfind(|line| line.contains(text)).cloned()
    }

    /// Waits for a line after this number of lines.
    fn has_line(&self, text: &str, after: usize) -> bool {
        let has = |said: &Text| said.lines.iter().skip(after).any(|line| line.contains(text));
        let said = self.0.0.lock().unwrap();
        let waits = |said: &mut Text| !has(said) && !said.has_ended;
        has(&self.0.1.wait_timeout_while(said, PATIENCE, waits).unwrap().0)
    }

    fn end(&self) -> bool {
        let said = self.0.0.lock().unwrap();
        self.0.1.wait_timeout_while(said, PATIENCE, |said| !said.has_ended).unwrap().0.has_ended
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Asks an HTTP server on this machine, and answers with the status and the body.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    answer(stream)
}

/// Reads an answer to its end.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A request whose body is still to be sent: the server waits for it, so the request is in flight.
pub(crate) fn request_in_flight(port: u16, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /raw HTTP/1.1\r\nhost: test\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut proceed = [0; 25];
    stream.read_exact(&mut proceed).unwrap();
    assert_eq!(&proceed, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}
