//! Disks without room: a test runs in processes of its own, once where no file can be larger than so much, and once where
//! the temporary directory is a file system of that size.

use std::process::{Command, Stdio};

use crate::support::run_in;

/// Tells a process that it is the one with the full disk.
const FULL: &str = "WASMCLOUD_TEST_WITH_A_FULL_DISK";

/// Runs a test where that many mebibytes are all there is. `name` is its full name.
pub(crate) fn on_a_full_disk(name: &str, mebibytes: usize, test: impl AsyncFnOnce()) {
    if std::env::var_os(FULL).is_some() {
        return actix_rt::System::new().block_on(test());
    }
    let mut small_files = Command::new("sh");
    // No signal where a file would be larger: the write fails, as on a full disk. What is counted are half kibibytes.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", mebibytes * 2048);
    run_in(small_files.args(["-c", &limit]).arg(std::env::current_exe().unwrap()).env(FULL, "1"), name);

    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={mebibytes}m tmpfs \"$TMPDIR\" && exec \"$0\" \"$@\"");
    let with_small_disk = || {
        let mut command = Command::new("unshare");
        // It is seen by this process alone, and ends with it.
        command.args(["--mount", "sh", "-c", &mount]).env("TMPDIR", folder.path()).stderr(Stdio::null());
        command
    };
    if with_small_disk().arg("true").status().is_ok_and(|status| status.success()) {
        run_in(with_small_disk().arg(std::env::current_exe().unwrap()).env(FULL, "1"), name);
    } else {
        println!("{name}: with files of a limited size alone, since this user cannot mount a small file system");
    }
}
