//! The plugins of the fixtures, built by the compilers of this machine, and signed with keys made on the spot.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use nkeys::KeyPair;
use wasmcloud_host::ProviderArchive;

use crate::signing::in_repository;

/// The folder that plugins are built in.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"));

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The library of a package in Rust.
fn build_rust(package: &Path, library: &str) -> Vec<u8> {
    run(Command::new(env!("CARGO"))
        .current_dir(package)
        .args(["build", "--locked", "--lib", "--target-dir"])
        .arg(&*FOLDER)
        // Whoever checks how much of the project the tests run has no use for what the plugins would write.
        .env_remove("RUSTFLAGS"));
    std::fs::read(FOLDER.join("debug").join(self::library(library))).unwrap()
}

/// The file name of a library on this machine.
fn library(name: &str) -> String {
    format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// The library of a source in C or C++, with some of its macros defined.
fn build_c(compiler: &str, source: &Path, defined: &[&str]) -> Vec<u8> {
    std::fs::create_dir_all(&*FOLDER).unwrap();
    // Built by several tests at once, perhaps.
    let built = tempfile::NamedTempFile::new_in(&*FOLDER).unwrap();
    run(Command::new(compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(in_repository("crates/provider-sdk/include"))
        .args(defined.iter().map(|name| format!("-D{name}")))
        .arg("-o")
        .arg(built.path())
        .arg(source)
        .arg("-lpthread"));
    std::fs::read(built.path()).unwrap()
}

/// The plugin in Rust that does what it is told, good or bad.
pub(crate) fn mischief() -> Vec<u8> {
    static BUILT: LazyLock<Vec<u8>> =
        LazyLock::new(|| build_rust(&in_repository("fixtures/plugins/mischief"), "mischief"));
    BUILT.clone()
}

/// The plugin in C that counts; with one of its macros, one that no host takes.
pub(crate) fn tally(defined: &'static [&'static str]) -> Vec<u8> {
    static BUILT: LazyLock<Mutex<HashMap<&[&str], Vec<u8>>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap();
    let source = in_repository("fixtures/plugins/tally/tally.c");
    built.entry(defined).or_insert_with(|| build_c("cc", &source, defined)).clone()
}

/// The plugin in C++ that throws.
pub(crate) fn throwing() -> Vec<u8> {
    build_c("c++", &in_repository("fixtures/plugins/throwing/throwing.cc"), &[])
}

/// A library that is none of ours.
pub(crate) fn stranger() -> Vec<u8> {
    let mut source = tempfile::Builder::new().suffix(".c").tempfile().unwrap();
    std::io::Write::write_all(&mut source, b"int nothing_of_interest = 1;\n").unwrap();
    build_c("cc", source.path(), &[])
}

/// This project's HTTP server as a plugin. It was built with the tests.
pub(crate) fn http_server() -> Vec<u8> {
    let library = library("wasmcloud_http_server_plugin");
    std::fs::read(std::env::current_exe().unwrap().with_file_name(library)).unwrap()
}

/// An archive of a library for this machine, gzipped.
pub(crate) fn archive(contract: &str, library: Vec<u8>) -> Vec<u8> {
    ProviderArchive::builder("plugin of a test", contract, "test")
        .target(ProviderArchive::host_target(), library)
        .compressed(true)
        .sign(&KeyPair::new_account(), &KeyPair::new_service())
        .unwrap()
}
