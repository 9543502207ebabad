//! `wasmcloud registry`.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::process::{Command, Output, Stdio};

use data_encoding::BASE64;
use wasmcloud_host::Actor;

use super::docker::{PASSWORD, USER};
use super::{Images, digest};
use crate::signing::sign;

/// The binary, with the registry's name and password in a configuration of Docker's.
struct Shell {
    images: Images,
}

impl Shell {
    fn start() -> Shell {
        let images = Images::start();
        let auth = BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
        let config = serde_json::json!({ "auths": { &images.registry.address: { "auth": auth } } });
        images.file("config.json", config.to_string().as_bytes());
        Shell { images }
    }

    fn adapt(&self, command: &mut Command) {
        let folder = self.images.folder.path();
        command.current_dir(folder).stdin(Stdio::null());
        command.env("DOCKER_CONFIG", folder).env("XDG_CACHE_HOME", folder.join("caches")).env_remove("NO_COLOR");
        for name in ["OCI_REGISTRY", "OCI_REGISTRY_USER", "OCI_REGISTRY_PASSWORD"] {
            command.env_remove(name);
        }
    }

    /// A command that reaches the registry without TLS.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmcloud"));
        self.adapt(command.arg("registry").args(arguments).args(["--insecure", &self.images.registry.address]));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints if all goes well, and nothing else is said.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = text(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
        text(&output.stdout)
    }

    /// What it says when it fails with an exit code.
    fn failed(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let errors = text(&output.stderr);
        assert_eq!(
            (output.status.code(), text(&output.stdout)),
            (Some(code), String::new()),
            "{arguments:?}: {errors}"
        );
        errors
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_actor_is_pushed_resolved_and_pulled() {
    let shell = Shell::start();
    let bytes = sign("tiny_echo").bytes();
    shell.images.file("echo.wasm", &bytes);
    let echo = shell.images.reference("actors/echo:1");
    for layout in ["wasmcloud", "cncf"] {
        let pushed = shell.done(&["push", "echo.wasm", &echo, "--layout", layout]);
        let pinned = pushed.trim().rsplit(' ').next().unwrap();
        assert!(pushed.starts_with("Pushed echo.wasm: actor "), "{pushed}");
        assert!(pinned.starts_with(&format!("{}@sha256:", shell.images.reference("actors/echo"))), "{pushed}");
        assert_eq!(shell.done(&["resolve", &echo]).trim(), pinned);
        for reference in [&*echo, pinned] {
            let pulled = shell.done(&["pull", reference, "--output", "pulled.wasm"]);
            assert_eq!(pulled, format!("Pulled actor {pinned} to pulled.wasm\n"));
            let read = std::fs::read(shell.images.folder.path().join("pulled.wasm")).unwrap();
            Actor::from_slice(&read).unwrap();
            assert_eq!(read, bytes);
        }
    }
    let kept = shell.images.folder.path().join("caches/wasmcloud/oci/sha256").join(&digest(&bytes)[7..]);
    assert!(shell.done(&["pull", &echo]).ends_with(&format!(" to {}\n", kept.display())));
    // On standard output the content is alone; the report goes elsewhere.
    let output = shell.run(&["pull", &echo, "--output", "-"]);
    assert_eq!((output.stdout, output.status.code()), (bytes, Some(0)));
    assert!(text(&output.stderr).starts_with("Pulled actor "));
}

#[test]
fn failures_have_exit_codes_and_say_what_to_do() {
    let mut shell = Shell::start();
    shell.images.file("echo.wasm", &sign("tiny_echo").bytes());
    let echo = shell.images.reference("echo:1");
    assert!(shell.failed(&["pull", &echo], 1).contains("check the name"));
    for moving in ["echo", "echo:latest"] {
        let reference = shell.images.reference(moving);
        assert!(shell.failed(&["push", "echo.wasm", &reference], 2).contains("--allow-latest"), "{moving}");
        shell.done(&["push", "echo.wasm", &reference, "--allow-latest"]);
    }
    assert!(shell.failed(&["pull", "https://example.com/echo:1"], 2).contains("leave out"));
    assert!(shell.failed(&["push", "missing.wasm", &echo], 1).contains("missing.wasm"));
    shell.images.file("page", b"<html>");
    let output = shell.run(&["push", "page", &echo]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("neither a WebAssembly module nor"), "{}", text(&output.stderr));
    shell.done(&["push", "echo.wasm", &echo]);
    shell.images.file("config.json", b"{}");
    let refused = shell.failed(&["pull", &shell.images.reference("echo:2")], 3);
    assert!(refused.contains("docker login"), "{refused}");
    let auth = BASE64.encode(b"operator:hunter2");
    let wrong = serde_json::json!({ "auths": { &shell.images.registry.address: { "auth": auth } } });
    shell.images.file("config.json", wrong.to_string().as_bytes());
    let refused = shell.failed(&["resolve", &shell.images.reference("echo:2")], 3);
    assert!(refused.contains("check them") && !refused.contains("hunter2"), "{refused}");
    shell.images.registry.stop();
    assert!(shell.failed(&["resolve", &shell.images.reference("echo:3")], 4).contains("cannot be reached"));
}

#[test]
fn a_user_without_a_folder_for_caches_names_one() {
    let shell = Shell::start();
    let reference = shell.images.reference("echo:1");
    let mut command = shell.command(&["resolve", &reference]);
    let output = command.env_remove("HOME").env_remove("XDG_CACHE_HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("or --cache"), "{}", text(&output.stderr));
    assert!(shell.failed(&["resolve", &reference, "--cache", "elsewhere"], 1).contains("check the name"));
}

#[test]
fn what_is_not_signed_is_pushed_with_a_warning() {
    let shell = Shell::start();
    shell.images.file("guest.wasm", &crate::signing::guest("tiny_echo"));
    let output = shell.run(&["push", "guest.wasm", &shell.images.reference("guest:1")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("hosts will refuse"), "{}", text(&output.stderr));
}

#[test]
fn a_tag_that_is_known_is_used_with_a_warning_while_the_registry_is_down() {
    let mut shell = Shell::start();
    shell.images.file("echo.wasm", &sign("tiny_echo").bytes());
    let echo = shell.images.reference("echo:1");
    shell.done(&["push", "echo.wasm", &echo]);
    let known = shell.done(&["resolve", &echo]);
    shell.done(&["pull", &echo]);
    shell.images.registry.stop();
    for arguments in [["resolve", &echo], ["pull", &echo]] {
        let output = shell.run(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(known.trim()));
        assert!(text(&output.stderr).contains("warning: the registry cannot be reached"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_cache_that_cannot_hold_a_file_is_named() {
    let shell = Shell::start();
    let large = [b"\0asm\x01\0\0\0".as_slice(), &[0; 1 << 20]].concat();
    shell.images.file("large.wasm", &large);
    let reference = shell.images.reference("large:1");
    assert_eq!(shell.run(&["push", "large.wasm", &reference]).status.code(), Some(0));
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_wasmcloud")]);
    limited.args(["registry", "pull", &reference, "--cache", "small", "--insecure", &shell.images.registry.address]);
    shell.adapt(&mut limited);
    let output = limited.output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("a file in 'small' would exceed"), "{errors}");
    let left = std::fs::read_dir(shell.images.folder.path().join("small/tmp")).unwrap().count();
    assert_eq!(left, 0);
}

/// A terminal: the end that shows, and the end that a program writes to.
#[expect(unsafe_code, reason = "the standard library opens no terminals")]
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut shown, mut written) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: the call writes two descriptors, which nothing else owns.
    unsafe {
        assert_eq!(libc::openpty(&mut shown, &mut written, none, none.cast(), none.cast()), 0);
        (OwnedFd::from_raw_fd(shown), OwnedFd::from_raw_fd(written))
    }
}

#[test]
fn a_terminal_sees_a_bar_and_nothing_else_does() {
    use std::io::Read;
    let shell = Shell::start();
    let large = [b"\0asm\x01\0\0\0".as_slice(), &vec![0; 20 << 20]].concat();
    shell.images.file("large.wasm", &large);
    let reference = shell.images.reference("large:1");
    let (shown, written) = terminal();
    let mut command = shell.command(&["push", "large.wasm", &reference]);
    command.stderr(written.as_fd().try_clone_to_owned().unwrap()).env("TERM", "xterm");
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    drop((command, written));
    let mut seen = Vec::new();
    let mut shown = std::fs::File::from(shown);
    let mut piece = [0; 4096];
    // Reading fails once all other ends are closed.
    while let Ok(count @ 1..) = shown.read(&mut piece) {
        seen.extend_from_slice(&piece[..count]);
    }
    assert!(process.wait().unwrap().success());
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("Pushing") && seen.contains("20.00 MiB"), "{seen:?}");
    let mut report = String::new();
    process.stdout.unwrap().read_to_string(&mut report).unwrap();
    assert!(report.starts_with("Pushed large.wasm: actor "), "{report}");
}
