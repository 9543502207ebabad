//! Where a plugin runs: in the host's process, or in a child process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the code of a plugin runs. Default: in the host's process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isolation {
    /// Runs the plugin in the host's process. This is the fastest, for code that is trusted like the host's own.
    ///
    /// - A panic in Rust fails the call, and the provider is restarted.
    /// - A segmentation fault or a foreign exception ends the host.
    /// - A call that never ends occupies one of the provider's four call threads forever.
    /// - A callback for an actor's answer that never returns blocks all further callbacks of the provider.
    #[default]
    InProcess,
    /// Runs the plugin in a child process. A crash, an abort, an endless loop or a memory leak only restarts the provider.
    Process(PluginProcess),
}

/// The child process of a plugin: its program, environment and limits.
///
/// Each start of the provider starts a new process. The process ends when the host ends, even if the host is killed. Of the
/// host's environment it inherits only the variables that [`PluginProcess::environment`] lists.
///
/// The process is not a sandbox: it can open files and sockets with the rights of the host's user.
///
/// An intermediate process of the same program runs between the host and the plugin. When the plugin or the host ends, it
/// kills the processes that the plugin has started: on Linux all descendants, on other systems the process group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the process is started with the provider that is given this isolation"]
pub struct PluginProcess {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) memory: u64,
    pub(super) open_files: u64,
}

/// The variables of the host's environment that a child process inherits.
pub(super) const INHERITED_VARIABLES: [&str; 9] =
    ["HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "RUST_LOG", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ"];

const MIB: u64 = 1024 * 1024;

impl PluginProcess {
    /// Returns a process of the stock binary: the file `wasmcloud` in the folder of this program, or else on the `PATH`.
    /// Limits: 1 GiB of memory, 1,024 open files.
    pub fn new() -> PluginProcess {
        let name = format!("wasmcloud{}", std::env::consts::EXE_SUFFIX);
        let this_program = std::env::current_exe().ok();
        let beside = this_program.and_then(|program| Some(program.parent()?.join(&name))).filter(|path| path.is_file());
        PluginProcess::of(beside.unwrap_or_else(|| name.into())).argument("plugin-host")
    }

    /// Returns a process of another program, which must call [`serve_plugin`](crate::serve_plugin) before anything else.
    /// A program that embeds the host can name itself with [`std::env::current_exe`] and an argument of its choice.
    pub fn of(program: impl AsRef<Path>) -> PluginProcess {
        let program = program.as_ref().to_owned();
        PluginProcess { program, arguments: Vec::new(), environment: Vec::new(), memory: 1024 * MIB, open_files: 1024 }
    }

    /// Adds an argument to the program's command line. Default: `plugin-host` for the stock binary, none for other programs.
    pub fn argument(mut self, argument: impl Into<OsString>) -> PluginProcess {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of the process's environment. Default: the values of the host's `HOME`, `LANG`, `LD_LIBRARY_PATH`,
    /// `PATH`, `RUST_LOG`, `SSL_CERT_DIR`, `SSL_CERT_FILE`, `TMPDIR` and `TZ`, and no other variables.
    pub fn environment(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> PluginProcess {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Sets how much memory the process may use for its data (`RLIMIT_DATA`). Further allocations fail in the process.
    /// Unit: bytes. Default: 1 GiB.
    pub fn memory_limit(mut self, bytes: u64) -> PluginProcess {
        self.memory = bytes;
        self
    }

    /// Sets how many files and sockets the process may have open (`RLIMIT_NOFILE`). Default: 1,024.
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
