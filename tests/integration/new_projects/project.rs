//! A project, and a shell that works in it as its README says.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::workplace::Staying;

/// The folder of the projects. It stays, so that what they depend on is built once.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-projects"));

/// Stands for cargo: the one that the tests were built by. Modules are built with the lock as it is, and by Debian's toolchain
/// where this one has no target wasm32.
const CARGO: &str = r#"#!/usr/bin/env bash
case "$BY_DEBIAN $*" in
    *wasm32*) set -- "$@" --locked ;;
esac
case "$BY_DEBIAN $*" in
    yes*wasm32*) RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc exec /usr/bin/cargo -Z sparse-registry "$@" ;;
    *) exec "$OWN_CARGO" "$@" ;;
esac
"#;

/// A compiler for wasm32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compiler {
    /// The one that the tests were built by.
    Own,
    Debian,
}

/// The compiler for wasm32 that this machine has, if any.
static COMPILER: LazyLock<Option<Compiler>> = LazyLock::new(|| {
    let own = Path::new(env!("CARGO")).with_file_name("rustc");
    let compilers = [(own, Compiler::Own), (PathBuf::from("/usr/bin/rustc"), Compiler::Debian)];
    compilers.into_iter().find(|(rustc, _)| has_target(rustc)).map(|(_, compiler)| compiler)
});

fn has_target(rustc: &Path) -> bool {
    let target = ["--print", "target-libdir", "--target", "wasm32-unknown-unknown"];
    let Ok(output) = Command::new(rustc).args(target).env_remove("LD_LIBRARY_PATH").output() else { return false };
    output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
}

/// Whether modules can be built of Rust here. If not, this says that a test is left out.
pub(super) fn builds_modules() -> bool {
    if COMPILER.is_none() {
        println!("LEFT OUT: there is no compiler for wasm32: rustup target add wasm32-unknown-unknown");
    }
    COMPILER.is_some()
}

/// Whether there is a program. If not, this says that a test is left out.
pub(super) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("LEFT OUT: there is no {program}");
    }
    found
}

/// A new project.
pub(super) struct Project {
    folder: PathBuf,
    /// The files that it was made with, and those that were added.
    files: Vec<String>,
    /// The commands of its README, in order.
    commands: Vec<String>,
    followed: BTreeSet<String>,
}

impl Project {
    /// Makes a project by `wasmcloud new` with these words. Its folder is named after it, so that no two tests may use one name.
    pub(super) fn make(arguments: &str) -> Project {
        let name = arguments.split(' ').nth(1).unwrap();
        let folder = FOLDER.join(name);
        std::fs::create_dir_all(&*FOLDER).unwrap();
        // Code is formatted as it is by default, not as in this repository.
        std::fs::write(FOLDER.join("rustfmt.toml"), "").unwrap();
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        let made = Command::new(env!("CARGO_BIN_EXE_wasmcloud"))
            .arg("new")
            .args(arguments.split(' '))
            .current_dir(&*FOLDER)
            .output()
            .unwrap();
        assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
        let files = super::files(&folder);
        if folder.join("Cargo.toml").exists() {
            // What the code depends on is built once for all projects.
            let target = FOLDER.join("target");
            std::fs::create_dir_all(&target).unwrap();
            std::os::unix::fs::symlink(target, folder.join("target")).unwrap();
        }
        let bin = home(&folder).join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("cargo"), CARGO).unwrap();
        std::fs::set_permissions(bin.join("cargo"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let commands = commands(&std::fs::read_to_string(folder.join("README.md")).unwrap());
        Project { folder, files, commands, followed: BTreeSet::new() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Replaces a text in a file, which must have it.
    pub(super) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        std::fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        self.files.push(name.to_owned());
        self.files.sort();
    }

    /// Runs the command of the README that begins with this text, and answers with what it said.
    pub(super) fn follow(&mut self, beginning: &str) -> String {
        let command = self.readme(beginning);
        self.run(&command)
    }

    /// Starts the command of the README that begins with this text, with more options.
    pub(super) fn start(&mut self, beginning: &str, options: &str) -> Staying {
        let command = self.readme(beginning);
        Staying::start(&mut self.shell(&format!("exec {command} {options}")))
    }

    /// Runs a command, and answers with what it said.
    pub(super) fn run(&self, command: &str) -> String {
        let output = self.shell(command).output().unwrap();
        let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{command}: {said}{errors}");
        assert!(!errors.contains("warning"), "{command} warns: {errors}");
        said
    }

    /// The command of the README that is this text or begins with it. It counts as followed.
    pub(super) fn readme(&mut self, beginning: &str) -> String {
        let exact = self.commands.iter().find(|command| *command == beginning);
        let found = exact.or_else(|| self.commands.iter().find(|command| command.starts_with(beginning)));
        let command = found.unwrap_or_else(|| panic!("the README has no {beginning}: {:?}", self.commands)).clone();
        self.followed.insert(command.clone());
        command
    }

    /// Expects that all commands of the README were followed, and that git would keep the files of the project and
    /// nothing else.
    pub(super) fn end(self) {
        let rest: Vec<&String> = self.commands.iter().filter(|command| !self.followed.contains(*command)).collect();
        assert!(rest.is_empty(), "these commands were not tried: {rest:?}");
        let kept = self.run("git init --quiet && git add --all && git ls-files");
        let mut kept: Vec<&str> = kept.lines().collect();
        kept.sort_unstable();
        assert_eq!(kept, self.files);
    }

    /// A shell in the project's folder that has the binary on its path.
    pub(super) fn shell(&self, command: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_wasmcloud")).parent().unwrap();
        let home = home(&self.folder);
        let path = format!("{}:{}:{}", home.join("bin").display(), binary.display(), std::env::var("PATH").unwrap());
        let by_debian = if *COMPILER == Some(Compiler::Debian) { "yes" } else { "" };
        let mut shell = Command::new("bash");
        shell.args(["-ec", command]).current_dir(&self.folder).stdin(Stdio::null());
        for variable in
            ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "LD_LIBRARY_PATH", "RUSTFLAGS", "WASMCLOUD_ISSUER_SEED"]
        {
            shell.env_remove(variable);
        }
        shell.env("PATH", path).env("OWN_CARGO", env!("CARGO")).env("BY_DEBIAN", by_debian).env("PORT", "0");
        shell.env("XDG_DATA_HOME", home.join("data")).env("XDG_CACHE_HOME", home.join("cache"));
        shell
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // What is left is replaced at the next start.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The folder of what a project's commands keep elsewhere.
fn home(folder: &Path) -> PathBuf {
    FOLDER.join("home").join(folder.file_name().unwrap())
}

/// The commands of a document's blocks for a shell, each on one line.
fn commands(document: &str) -> Vec<String> {
    let blocks = document.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let joined: String = blocks.map(|block| block.replace(" \\\n", " ")).collect();
    joined.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
