//! What an experiment ran on: figures of different machines do not compare.

use std::fs::File;
use std::io::Read as _;

use serde::{Deserialize, Serialize};

/// The largest part of a file of the kernel that is read. Unit: bytes.
const LARGEST: u64 = 64 * 1024;

/// The machine and the build of an experiment. What cannot be found out is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) os: String,
    pub(super) arch: String,
    pub(super) kernel: Option<String>,
    pub(super) processor: Option<String>,
    /// The processors that the program may use.
    pub(super) processors: Option<usize>,
    pub(super) memory_bytes: Option<u64>,
    /// The average number of processes that wanted to run in the minute before the experiment.
    pub(super) load_before: Option<f64>,
    /// Whether the program was built with optimisations.
    pub(super) optimized: bool,
}

impl Machine {
    /// Describes this machine.
    pub(super) fn this() -> Machine {
        Machine {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            kernel: beginning("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            processor: beginning("/proc/cpuinfo").and_then(|text| field(&text, "model name")),
            processors: std::thread::available_parallelism().ok().map(usize::from),
            memory_bytes: beginning("/proc/meminfo").and_then(|text| memory(&text)),
            load_before: beginning("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            optimized: !cfg!(debug_assertions),
        }
    }

    /// Returns the machine in one line.
    pub(super) fn summary(&self) -> String {
        let processor = self.processor.as_deref().unwrap_or("unknown processor");
        let processors = self.processors.map_or_else(String::new, |number| format!("{number} × "));
        format!("{processors}{processor}, {} {}", self.os, self.arch)
    }

    /// Returns the size of the memory, if it is known.
    pub(super) fn memory(&self) -> String {
        self.memory_bytes.map_or_else(String::new, |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)))
    }
}

/// Returns the beginning of a file, if there is one.
fn beginning(path: &str) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Returns the value of the first line `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn memory(text: &str) -> Option<u64> {
    let kibibytes: u64 = field(text, "MemTotal")?.split(' ').next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read() {
        assert_eq!(memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 * 1024 * 1024));
        assert_eq!(field("processor\t: 0\nmodel name\t: A 3000\n", "model name").as_deref(), Some("A 3000"));
        assert_eq!((memory(""), memory("MemTotal: many kB"), field("a", "a")), (None, None, None));
        assert_eq!(beginning("/nowhere"), None);
    }
}
