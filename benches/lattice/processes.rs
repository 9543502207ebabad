//! Other processes of this benchmark: its own program, with the role that an environment variable names.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The environment variable with the role of the process.
const ROLE: &str = "WASMCLOUD_BENCH_ROLE";

/// The prefix of the environment variables with its settings.
const SETTING: &str = "WASMCLOUD_BENCH_";

/// Another process. It is killed with the value.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this program in a role.
    pub(crate) fn start(role: &str, settings: &[(&str, &str)]) -> Process {
        let program = std::env::current_exe().expect("the program has a path");
        let mut command = Command::new(program);
        command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, value) in settings {
            command.env(format!("{SETTING}{name}"), value);
        }
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take().expect("it has an input");
        let output = BufReader::new(child.stdout.take().expect("it has an output")).lines();
        Process { child, input, output }
    }

    /// Returns the next line that the process prints.
    pub(crate) fn line(&mut self) -> String {
        self.output.next().expect("the process runs").expect("it prints text")
    }

    /// Writes a line to the process.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the process runs");
    }

    /// Ends the process at once, as `kill -9` does, and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the role of this process, or `None` if it is the benchmark itself.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Returns a setting of this process.
pub(crate) fn setting(name: &str) -> String {
    std::env::var(format!("{SETTING}{name}")).expect("the setting is there")
}

/// Prints a line for the benchmark.
pub(crate) fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("the benchmark listens");
}

/// Waits for the end of the benchmark, which closes the input of this process.
pub(crate) fn wait_for_the_end() {
    for _ in std::io::stdin().lines() {}
}
