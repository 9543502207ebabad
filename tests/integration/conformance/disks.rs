//! Disks without room, and disks that stand still. A test of them runs in a process of its own whose temporary directory
//! is on that disk.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::run_in;

/// Tells a process that it is the one with the full disk.
const FULL: &str = "WASMCLOUD_TEST_WITH_A_FULL_DISK";

/// Tells a process that its disk can be stalled.
const STALLING: &str = "WASMCLOUD_TEST_WITH_A_STALLING_DISK";

/// Runs a test where that many mebibytes are all there is: once where no file can be larger, and once on a file system of
/// that size. `name` is its full name.
pub(crate) fn on_a_full_disk(name: &str, mebibytes: usize, test: impl AsyncFnOnce()) {
    if std::env::var_os(FULL).is_some() {
        return actix_rt::System::new().block_on(test());
    }
    let mut small_files = Command::new("sh");
    // No signal where a file would be larger: the write fails, as on a full disk. What is counted are half kibibytes.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", mebibytes * 2048);
    run_in(small_files.args(["-c", &limit]).arg(std::env::current_exe().unwrap()).env(FULL, "1"), name);

    let disk = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={mebibytes}m tmpfs \"$TMPDIR\"");
    if !run_mounted(&mount, disk.path(), FULL, name) {
        println!("{name}: with files of a limited size alone, since this user cannot mount a small file system");
    }
}

/// Runs a test on a disk that can be stalled. `name` is its full name.
pub(crate) fn on_a_disk_that_can_be_stalled(name: &str, test: impl AsyncFnOnce()) {
    if std::env::var_os(STALLING).is_some() {
        return actix_rt::System::new().block_on(test());
    }
    let disk = tempfile::tempdir().unwrap();
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(64 << 20).unwrap();
    let image = image.path().display();
    let mount = format!("mkfs.ext4 -q {image} && mount -o loop {image} \"$TMPDIR\"");
    if !run_mounted(&mount, disk.path(), STALLING, name) {
        println!("{name}: LEFT OUT, since this user cannot mount a file system of its own");
    }
}

/// Has the disk that the temporary directory is on stand still for so many seconds.
pub(crate) fn stall_the_disk(seconds: u64) {
    // Another process lets it go on, whatever becomes of this one: who waits for a disk cannot even be killed.
    let go_on = format!("trap '' TERM INT HUP; sleep {seconds}; fsfreeze --unfreeze \"$TMPDIR\"");
    let stall = "fsfreeze --freeze \"$TMPDIR\" && { setsid sh -c \"$0\" > /dev/null 2>&1 & }";
    assert!(Command::new("sh").args(["-c", stall, &go_on]).status().unwrap().success());
}

/// Runs a test with a file system of its own in the place of its temporary directory, unless nothing can be mounted
/// there. It is seen by that process alone, and ends with it.
fn run_mounted(mount: &str, disk: &Path, mark: &str, name: &str) -> bool {
    let process = || {
        let mut process = Command::new("unshare");
        let script = format!("{mount} && exec \"$0\" \"$@\"");
        process.args(["--mount", "sh", "-c", &script]).env("TMPDIR", disk).env(mark, "1");
        process
    };
    let can_mount = process().arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can_mount = can_mount.is_ok_and(|status| status.success());
    if can_mount {
        run_in(process().arg(std::env::current_exe().unwrap()), name);
    }
    can_mount
}
