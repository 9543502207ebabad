//! The project in the working folder: which module it is built to, by which command, and of which files.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde::Deserialize;

use crate::announce;
use crate::outcome::{self, CommandError, CommandResult};
use crate::watch::Watch;

/// The number of files that are watched at most.
const MOST_FILES: usize = 10_000;

const CARGO_SOURCES: &[&str] = &["src", "Cargo.toml", "build.rs"];
const NPM_SOURCES: &[&str] = &["assembly", "package.json"];

/// A project that is built to a module.
pub(super) struct Project {
    program: &'static str,
    arguments: &'static [&'static str],
    module: PathBuf,
    /// The files and folders that the module is built of.
    sources: &'static [&'static str],
    /// The files that were there at the last look.
    watch: Watch,
}

impl Project {
    /// Finds the project in the working folder.
    ///
    /// # Errors
    /// `Usage` if there is none, `Failed` if it is not built to a module.
    pub(super) fn here() -> CommandResult<Project> {
        if Path::new("Cargo.toml").exists() {
            Project::of_cargo()
        } else if Path::new("package.json").exists() {
            Project::of_npm()
        } else {
            Err(CommandError::Usage(
                "there is no project in this folder (Cargo.toml or package.json): name a module, go to a project's folder, or \
                 make a project with `wasmcloud new actor NAME`"
                    .to_owned(),
            ))
        }
    }

    fn of_cargo() -> CommandResult<Project> {
        let metadata = ["metadata", "--format-version=1", "--no-deps"];
        let output = std::process::Command::new("cargo").args(metadata).stdin(Stdio::null()).output();
        let output = output.map_err(|error| cannot_run("cargo", &error))?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(CommandError::Failed(format!(
                "cargo cannot read the package in this folder: {}",
                reason.trim()
            )));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| CommandError::Failed(format!("cargo describes the package in an unknown way: {error}")))?;
        let manifest = Path::new("Cargo.toml").canonicalize().unwrap_or_default();
        let library = metadata.library(&manifest).ok_or_else(|| {
            CommandError::Failed(
                "the package in this folder is not built to a module: its Cargo.toml needs a [lib] with crate-type = \
                 [\"cdylib\"]"
                    .to_owned(),
            )
        })?;
        let release = metadata.target_directory.join("wasm32-unknown-unknown").join("release");
        let module = release.join(format!("{}.wasm", library.replace('-', "_")));
        Ok(Project {
            program: "cargo",
            arguments: &["build", "--release", "--target", "wasm32-unknown-unknown"],
            module: relative(module),
            sources: CARGO_SOURCES,
            watch: Watch::of(files(CARGO_SOURCES))?,
        })
    }

    fn of_npm() -> CommandResult<Project> {
        let refuse = |reason: String| CommandError::Failed(format!("cannot read package.json: {reason}"));
        let text = std::fs::read(Path::new("package.json")).map_err(|error| refuse(error.to_string()))?;
        let package: Package = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        if !Path::new("node_modules").exists() {
            return Err(CommandError::Failed(
                "the packages of this project are not installed: run npm ci first".to_owned(),
            ));
        }
        Ok(Project {
            program: "npm",
            arguments: &["run", "--silent", "build"],
            module: Path::new("build").join(format!("{}.wasm", package.name)),
            sources: NPM_SOURCES,
            watch: Watch::of(files(NPM_SOURCES))?,
        })
    }

    /// Returns the path of the module.
    pub(super) fn module(&self) -> &Path {
        &self.module
    }

    /// Builds the module. The messages of the build go to standard error.
    ///
    /// # Errors
    /// `Failed` if the build fails.
    pub(super) async fn build(&self) -> CommandResult<()> {
        let command = format!("{} {}", self.program, self.arguments.join(" "));
        announce::note(&format!("building: {command}"));
        let status = self.run().await.map_err(|error| cannot_run(self.program, &error))?;
        if status.success() {
            return Ok(());
        }
        Err(CommandError::Failed(format!("{command} failed ({status}): its messages above say why")))
    }

    async fn run(&self) -> io::Result<ExitStatus> {
        let mut build = tokio::process::Command::new(self.program);
        build.args(self.arguments).stdin(Stdio::null()).stdout(io::stderr()).kill_on_drop(true);
        build.status().await
    }

    /// Builds the module after each change of the code since the project was found. A build that fails is reported, and leaves
    /// the module as it is.
    ///
    /// # Errors
    /// `Failed` if changes cannot be noticed.
    pub(super) async fn build_changes(&mut self) -> CommandResult<Infallible> {
        loop {
            self.watch.changed().await;
            // The list of files may be another one now. What changes during the build is noticed too.
            self.watch = Watch::of(files(self.sources))?;
            match self.build().await {
                Err(CommandError::Failed(reason)) => outcome::warn(&reason),
                done => done?,
            }
        }
    }
}

/// Returns all files of files and folders, up to a number.
fn files(sources: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let (folders, mut open): (Vec<PathBuf>, Vec<PathBuf>) =
        sources.iter().map(PathBuf::from).partition(|path| path.is_dir());
    // A folder may be a link to where the sources lie.
    open.extend(folders.iter().flat_map(|folder| entries(folder)));
    while let Some(path) = open.pop() {
        if files.len() >= MOST_FILES {
            log::warn!("only {MOST_FILES} files of the project are watched for changes");
            break;
        }
        // Links within a folder are not followed: they may lead in a circle.
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => open.extend(entries(&path)),
            _ => files.push(path),
        }
    }
    // In one order, whatever the order of the folders.
    files.sort_unstable();
    files
}

/// Returns what a folder holds, as far as it can be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Returns a path from the working folder, if it lies within.
fn relative(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    here.ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned)).unwrap_or(path)
}

fn cannot_run(program: &str, error: &io::Error) -> CommandError {
    CommandError::Failed(format!("cannot run {program}, which builds the project in this folder: {error}"))
}

/// What cargo tells about a package.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<CargoPackage>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct CargoPackage {
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Metadata {
    /// Returns the name of the library that the package of a manifest is built to.
    fn library(&self, manifest: &Path) -> Option<&str> {
        let package = self.packages.iter().find(|package| package.manifest_path == manifest)?;
        let is_library = |target: &&Target| target.crate_types.iter().any(|kind| kind == "cdylib");
        package.targets.iter().find(is_library).map(|target| target.name.as_str())
    }
}

/// What package.json tells about a package.
#[derive(Deserialize)]
struct Package {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_sources_may_be_a_link_and_a_link_in_it_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (real, linked) = (place.path().join("real"), place.path().join("src"));
        std::fs::create_dir_all(real.join("part")).unwrap();
        std::fs::write(real.join("part/lib.rs"), "").unwrap();
        std::os::unix::fs::symlink(&real, &linked).unwrap();
        std::os::unix::fs::symlink(&real, real.join("circle")).unwrap();
        assert_eq!(files(&[linked.to_str().unwrap()]), [linked.join("circle"), linked.join("part/lib.rs")]);
    }
}
