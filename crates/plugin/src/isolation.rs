//! Where a plugin runs: in the host's process, or in one of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the code of a plugin runs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Isolation {
    /// In the host's process: the fastest, for code that is trusted like the host's own. A panic of a plugin in Rust
    /// costs the call and has the provider restarted; a segmentation fault or an exception ends the host. A call that
    /// never ends holds one of the provider's four threads for good, and a function that never returns from an answer it is
    /// called with keeps the provider's further such functions from being called.
    #[default]
    InProcess,
    /// In a child process: whatever it does, a crash, an abort, an endless loop or a leak, costs a restart of the provider
    /// and nothing else.
    Process(PluginProcess),
}

/// The child process that a plugin is to run in.
///
/// It is made anew with each start of the provider, has an environment of its own (see [`PluginProcess::environment`]), and
/// ends with the host, however that ends. It is no sandbox: it may open files and sockets like the host itself.
///
/// A process of this program's kind stands between the host and that of the plugin. When the plugin or the host has ended,
/// it ends what the plugin has started: on Linux all of its descendants, elsewhere those in its process group.
#[derive(Debug, Clone)]
pub struct PluginProcess {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) memory: u64,
    pub(super) open_files: u64,
}

/// What a child process keeps of the host's environment.
pub(super) const INHERITED: [&str; 9] =
    ["HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "RUST_LOG", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ"];

const MIB: u64 = 1024 * 1024;

impl PluginProcess {
    /// A process of the stock binary: the `wasmcloud` that lies beside this program, or else the one on the `PATH`.
    pub fn new() -> PluginProcess {
        let name = format!("wasmcloud{}", std::env::consts::EXE_SUFFIX);
        let here = std::env::current_exe().ok();
        let beside = here.and_then(|program| Some(program.parent()?.join(&name))).filter(|path| path.is_file());
        PluginProcess::of(beside.unwrap_or_else(|| name.into())).argument("plugin-host")
    }

    /// A process of another program, which must call [`serve_plugin`](crate::serve_plugin) first of all. A program that
    /// embeds the host can be its own: see [`std::env::current_exe`].
    pub fn of(program: impl AsRef<Path>) -> PluginProcess {
        let program = program.as_ref().to_owned();
        PluginProcess { program, arguments: Vec::new(), environment: Vec::new(), memory: 1024 * MIB, open_files: 1024 }
    }

    /// Adds an argument to the program's command line.
    pub fn argument(mut self, argument: impl Into<OsString>) -> PluginProcess {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of the process's environment. Of the host's environment it has `HOME`, `LANG`, `LD_LIBRARY_PATH`,
    /// `PATH`, `RUST_LOG`, `SSL_CERT_DIR`, `SSL_CERT_FILE`, `TMPDIR` and `TZ` alone.
    pub fn environment(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> PluginProcess {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// How much memory the process may have for its data, in bytes; 1 GiB by default. Beyond it, its allocations fail.
    pub fn memory_limit(mut self, bytes: u64) -> PluginProcess {
        self.memory = bytes;
        self
    }

    /// How many files and sockets the process may have open; 1,024 by default.
    pub fn open_files(mut self, files: u64) -> PluginProcess {
        self.open_files = files;
        self
    }
}

impl Default for PluginProcess {
    fn default() -> Self {
        PluginProcess::new()
    }
}
