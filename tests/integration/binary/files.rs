//! Files that the stock binary reads and writes: links, devices, pipes, modes, and names that are taken.

#![cfg(unix)]

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use nkeys::KeyPair;
use wasmcloud_host::Actor;

use super::{Ended, KEYS, Shell};

fn sign(output: &str) -> String {
    format!("sign echo.wasm -o {output} -n Echo {KEYS}")
}

impl Shell {
    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn mode(&self, name: &str) -> u32 {
        self.path(name).metadata().unwrap().mode() & 0o7777
    }

    fn is_signed(&self, name: &str) -> bool {
        Actor::from_file(self.path(name)).is_ok()
    }

    fn make_pipe(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.path(name)).status().unwrap().success());
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path()).unwrap().count()
    }
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode() {
    let (shell, ..) = Shell::with_keys();
    for mode in [0o600, 0o640, 0o755, 0o666] {
        shell.write("signed.wasm", "old");
        shell.set_mode("signed.wasm", mode);
        shell.done(&sign("signed.wasm"));
        assert_eq!((shell.mode("signed.wasm"), shell.is_signed("signed.wasm")), (mode, true));
    }
    let before = shell.files();
    shell.set_mode("signed.wasm", 0o444);
    let old = shell.read("signed.wasm");
    let said = shell.refused(&format!("{} --revision 2", sign("signed.wasm")));
    assert!(said.contains("cannot write signed.wasm: the file is write-protected"), "{said}");
    assert_eq!((shell.read("signed.wasm"), shell.files()), (old, before));
}

#[test]
fn links_are_followed() {
    let (shell, ..) = Shell::with_keys();
    fs::create_dir(shell.path("store")).unwrap();
    shell.write("store/real.wasm", "old");
    symlink("store/real.wasm", shell.path("first.wasm")).unwrap();
    symlink("first.wasm", shell.path("second.wasm")).unwrap();
    symlink("store/new.wasm", shell.path("dangling.wasm")).unwrap();
    symlink("loop.wasm", shell.path("loop.wasm")).unwrap();
    shell.done(&sign("second.wasm"));
    shell.done(&sign("dangling.wasm"));
    assert!(shell.is_signed("store/real.wasm") && shell.is_signed("store/new.wasm"));
    for link in ["first.wasm", "second.wasm", "dangling.wasm"] {
        assert!(shell.path(link).is_symlink(), "{link}");
    }
    assert!(shell.refused(&sign("loop.wasm")).contains("cannot write loop.wasm"));

    shell.write("one.wasm", "old");
    fs::hard_link(shell.path("one.wasm"), shell.path("other.wasm")).unwrap();
    shell.done(&sign("one.wasm"));
    assert!(shell.is_signed("other.wasm"), "other names of the file lead to the new contents");
}

#[test]
fn a_seed_is_written_through_a_link_only_by_force_and_stays_its_owners() {
    let shell = Shell::new();
    shell.write("precious", "precious");
    shell.set_mode("precious", 0o644);
    symlink("precious", shell.path("account.seed")).unwrap();
    symlink("nowhere", shell.path("new.seed")).unwrap();
    shell.refused("keys gen account --output account.seed");
    shell.refused("keys gen account --output new.seed");
    assert_eq!((shell.read("precious").as_slice(), shell.path("nowhere").exists()), (b"precious".as_slice(), false));
    let public_key = shell.done("keys gen account --output account.seed --force");
    assert!(shell.path("account.seed").is_symlink());
    assert_eq!(shell.mode("precious"), 0o600);
    let seed = String::from_utf8(shell.read("precious")).unwrap();
    assert_eq!(KeyPair::from_seed(seed.trim()).unwrap().public_key(), public_key.trim());
}

#[test]
fn devices_and_pipes_are_written_through() {
    let (shell, ..) = Shell::with_keys();
    shell.done(&sign("/dev/null"));
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

    shell.make_pipe("pipe");
    let said = shell.refused(&sign("pipe"));
    assert!(said.contains("no process reads from it"), "{said}");
    let path = shell.path("pipe");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    });
    // The reader may not have come yet.
    let ended = loop {
        let ended = shell.run(&sign("pipe"));
        if ended.code == 0 {
            break ended;
        }
        assert!(ended.errors.contains("no process reads from it"), "{ended:?}");
    };
    assert!(ended.output.contains("Signed pipe"), "{ended:?}");
    assert!(Actor::from_slice(&reader.join().unwrap()).is_ok());
    assert!(shell.path("pipe").metadata().unwrap().file_type().is_fifo());
    let said = shell.refused(&sign("."));
    assert!(said.contains("cannot write .: is a directory"), "{said}");
}

#[test]
fn standard_output_gets_the_bytes_and_nothing_else() {
    let (shell, ..) = Shell::with_keys();
    for output in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let mut command = shell.command();
        let ended = command.args(sign(output).split_whitespace()).output().unwrap();
        assert!(ended.status.success());
        assert!(Actor::from_slice(&ended.stdout).is_ok(), "{output}");
        assert!(String::from_utf8(ended.stderr).unwrap().starts_with("Signed "), "{output}");
    }
    // Into a file that the shell has opened: appended to what is there, and the file stays the same one.
    shell.write("log", "before");
    let file = File::options().append(true).open(shell.path("log")).unwrap();
    let before = file.metadata().unwrap().ino();
    let mut command = shell.command();
    command.args(["keys", "gen", "account", "--output", "/dev/stdout", "--force"]).stdout(file);
    let ended = Ended::of(command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
    let text = String::from_utf8(shell.read("log")).unwrap();
    let seed = text.strip_prefix("before").unwrap().trim();
    assert_eq!(KeyPair::from_seed(seed).unwrap().public_key(), ended.errors.trim());
    assert_eq!(shell.path("log").metadata().unwrap().ino(), before);
}

#[test]
fn a_seed_comes_from_a_pipe_too_and_errors_name_the_file_that_was_asked_for() {
    let (shell, account, _) = Shell::with_keys();
    shell.make_pipe("pipe");
    let (seed, path) = (shell.read("account.seed"), shell.path("pipe"));
    let writer = std::thread::spawn(move || fs::write(path, seed).unwrap());
    assert!(shell.done("keys inspect pipe").contains(&account));
    writer.join().unwrap();

    let said = shell.refused(&sign("nowhere/signed.wasm"));
    assert!(said.contains("cannot write nowhere/signed.wasm: ") && !said.contains(".tmp"), "{said}");
    let said = shell.refused("keys gen account --output nowhere/account.seed");
    assert!(said.contains("cannot write nowhere/account.seed: ") && !said.contains(".tmp"), "{said}");
    assert!(shell.refused("keys inspect .").contains("is a directory"));
    assert!(shell.refused("keys inspect /dev/zero").contains("more than"));
}

#[test]
fn a_refused_file_is_named_and_no_name_reaches_the_terminal_raw() {
    let (shell, ..) = Shell::with_keys();
    shell.write("bad\u{1b}[31m.par", b"\x1f\x8b no archive");
    shell.write("bad\u{1b}[31m.wasm", b"\0asm no module");
    for refused in ["par verify", "par inspect", "inspect"] {
        let said = shell.refused(&format!("{refused} bad\u{1b}[31m.par"));
        assert!(said.ends_with("; in the file bad\\u{1b}[31m.par\n"), "{refused}: {said}");
    }
    for refused in ["inspect bad\u{1b}[31m.wasm", &format!("sign bad\u{1b}[31m.wasm -o new.wasm -n Bad {KEYS}")] {
        let said = shell.refused(refused);
        assert!(said.ends_with("; in the file bad\\u{1b}[31m.wasm\n"), "{refused}: {said}");
    }
    let said = shell.done(&sign("good\u{1b}[31m.wasm"));
    assert!(said.starts_with("Signed good\\u{1b}[31m.wasm: actor M"), "{said}");
}
