//! Measures the stock binary: the time from its start to the first answer, its memory, and the time from a saved file to the
//! answer of the new revision.
//!
//! `cargo bench -p wasmcloud --all-features --bench binary` prints the table and writes `target/figures/binary.json`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod warm_start;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Row, Target, is_real_run, median, report};
use tempfile::TempDir;

/// The size of the module whose file is saved. Unit: bytes.
const SAVED: usize = 420_000;

/// How often a server is asked that does not answer yet.
const PAUSE: Duration = Duration::from_micros(500);

fn main() {
    let place = Place::new();
    let mut table = place.starts();
    table.extend(place.memory());
    for (compiler, target) in [("singlepass", 300.0), ("cranelift", 600.0)] {
        table.extend(saves(compiler, target));
    }
    report("binary", "The stock binary", &table).expect("the figures can be written");
}

/// A folder with a signed actor and its manifest, and a home with a cache.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let actor = signing::sign("echo").alias("echo").capability("wasmcloud:httpserver");
        std::fs::write(folder.path().join("echo.wasm"), actor.bytes()).unwrap();
        Place(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmcloud"));
        command.args(arguments).current_dir(self.path()).env("HOME", self.path().join("home"));
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Starts a host with the manifest, and returns it with the time until the first answer.
    fn serve(&self) -> (Running, Duration) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let manifest = format!(
            "actors: [echo.wasm]\ncapabilities: [{{image_ref: 'builtin:httpserver'}}]\nlinks:\n  - {{actor: echo, contract_id: \
             'wasmcloud:httpserver', provider_id: 'builtin:httpserver', values: {{PORT: '{port}'}}}}\n"
        );
        std::fs::write(self.path().join("echo.yaml"), manifest).unwrap();
        let began = Instant::now();
        let running = Running(self.command(&["run", "echo.yaml"]).spawn().unwrap());
        while get(port).is_none() {
            std::thread::sleep(PAUSE);
        }
        (running, began.elapsed())
    }

    /// Measures starts with a warm cache of compiled actors.
    fn starts(&self) -> Vec<Row> {
        drop(self.serve());
        let rounds = if is_real_run() { 31 } else { 1 };
        let times = (0..rounds).map(|_| self.serve().1.as_secs_f64() * 1e3).collect();
        vec![row("run of the echo manifest, warm cache: start to first answer", median(times), "ms", Some(100.0))]
    }

    /// Measures the resident memory of hosts that do nothing.
    fn memory(&self) -> Vec<Row> {
        let idle = Running(self.command(&["run"]).spawn().unwrap());
        idle.line("runs: no manifest");
        let (echo, _) = self.serve_elsewhere();
        let rows = vec![
            row("idle host: resident memory", idle.resident(), "MB", Some(40.0)),
            row("host with the echo manifest: resident memory", echo.resident(), "MB", None),
        ];
        drop(idle);
        rows
    }

    fn serve_elsewhere(&self) -> (Running, Place) {
        let place = Place::new();
        (place.serve().0, place)
    }
}

/// Measures the time from a saved file to the answer of the new revision, alternately with two actors. Each file differs from
/// all before, so that none is in the cache of compiled actors.
fn saves(compiler: &str, target: f64) -> Option<Row> {
    let place = Place::new();
    let file = place.path().join("app.wasm");
    std::fs::write(&file, signing::guest("echo_large")).unwrap();
    let dev = Running(place.command(&["dev", "app.wasm", "--port", "0", "--compiler", compiler]).spawn().unwrap());
    let line = dev.line("Listening on")?;
    let port: u16 = line.rsplit(':').next().unwrap().trim().parse().unwrap();
    let rounds = if is_real_run() { 11 } else { 1 };
    let mut times = Vec::new();
    for round in 0..rounds {
        let (guest, expected) =
            if round % 2 == 0 { ("kvcounter", "{\"counter\"") } else { ("echo_large", "{\"method\"") };
        let module = warm_start::grown(&signing::guest(guest), SAVED + 2_000 * round);
        let began = Instant::now();
        std::fs::write(&file, module).unwrap();
        while !get(port).is_some_and(|answer| answer.contains(expected)) {
            std::thread::sleep(PAUSE);
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let what = format!("dev, {compiler}: save of a module of {} KB to answer", SAVED / 1000);
    Some(row(&what, median(times), "ms", Some(target)))
}

fn row(what: &str, figure: f64, unit: &'static str, target: Option<f64>) -> Row {
    Row { what: what.to_owned(), per_call: None, figure, unit, target: target.map(Target::AtMost) }
}

/// A process that ends with the measurement.
struct Running(Child);

impl Running {
    /// Waits for a line. Returns `None` if the process ends without it.
    fn line(&self, text: &str) -> Option<String> {
        let mut line = String::new();
        // Duplicated, because reading needs exclusive access. Nothing else reads it.
        let output = self.0.stdout.as_ref()?;
        let output = std::fs::File::from(std::os::fd::AsFd::as_fd(output).try_clone_to_owned().ok()?);
        let mut lines = BufReader::new(output);
        while lines.read_line(&mut line).ok()? > 0 {
            if line.contains(text) {
                return Some(line);
            }
            line.clear();
        }
        None
    }

    /// Returns the resident memory in megabytes.
    fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks the server, and returns its answer if there is one.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("200 OK").then_some(answer)
}
