//! Fuzzes the frames between the host and a plugin's process, with a live process at the other end.
//!
//! A host must survive any frames and leave no process behind. A plugin's process must end without a crash.
#![no_main]

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use actix_rt::SystemRunner;
use libfuzzer_sys::fuzz_target;
use nkeys::{KeyPair, KeyPairType};
use wasmcloud_host::fuzzing::{frame_of_start, frame_of_started, frame_of_stop};
use wasmcloud_host::{Host, HostBuilder, Isolation, NativeCapability, PluginProcess, ProviderArchive, serve_plugin};

const CONTRACT: &str = "fuzz:plugin";

/// The variable that makes this program a plugin process, and one that names the file with the frames that such a
/// process sends.
const PLUGIN: &str = "FUZZ_PLUGIN";
const SENT: &str = "FUZZ_SENT";

/// How long a process may wait for the rest of an incomplete frame.
const PATIENCE: Duration = Duration::from_millis(500);

thread_local! {
    static HOST: RefCell<(SystemRunner, Host)> = RefCell::new(started());
}

fuzz_target!(
    init: {
        if std::env::var_os(PLUGIN).is_some() {
            std::process::exit(i32::from(serve_plugin() != ExitCode::SUCCESS));
        }
        if let Some(path) = std::env::var_os(SENT) {
            let sent = std::fs::read(path).expect("the file is there for as long as the process");
            std::process::exit(i32::from(send(&sent).is_err()));
        }
    },
    |data: &[u8]| match data.split_first() {
        Some((0, frames)) => HOST.with_borrow(|(system, host)| system.block_on(to_host(host, frames))),
        Some((_, frames)) => to_plugin(frames),
        None => {}
    }
);

fn started() -> (SystemRunner, Host) {
    let system = actix_rt::System::new();
    let host = HostBuilder::new().with_shards(1).build();
    system.block_on(host.start()).expect("a host starts");
    (system, host)
}

/// Runs instead of a plugin: reports that the plugin has started, sends the frames, and ends at the next request.
fn send(frames: &[u8]) -> std::io::Result<()> {
    let line = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?;
    let mut line = UnixStream::from(line);
    let mut length = [0; 4];
    line.read_exact(&mut length)?;
    line.read_exact(&mut vec![0; u32::from_le_bytes(length) as usize])?;
    line.write_all(&frame_of_started())?;
    line.write_all(frames)?;
    line.read_exact(&mut length)
}

async fn to_host(host: &Host, frames: &[u8]) {
    let path: PathBuf = std::env::temp_dir().join(format!("wasmcloud-fuzz-{}", std::process::id()));
    std::fs::write(&path, frames).expect("a file can be written");
    let own = std::env::current_exe().expect("this program has a path");
    let process = PluginProcess::of(own).environment(SENT, &path);
    let capability = NativeCapability::from_archive_isolated(&archive(), None, Isolation::Process(process));
    let capability = capability.expect("the archive has a library for this machine");
    let provider = capability.id();
    let before = children();
    if host.start_native_capability(capability).await.is_ok() {
        // The process may have ended before, and may be restarting.
        let _ = host.stop_provider(&provider, CONTRACT, None).await;
    }
    assert_eq!(host.providers().await.expect("the host answers").len(), 0);
    while !children().is_subset(&before) {
        actix_rt::time::sleep(Duration::from_millis(1)).await;
    }
    std::fs::remove_file(&path).expect("the file is still there");
}

/// Returns the processes that this one has started and not reaped. libFuzzer starts some, too.
fn children() -> HashSet<String> {
    let threads = std::fs::read_dir("/proc/self/task").expect("there is a /proc").flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn archive() -> ProviderArchive {
    let account = KeyPair::new_from_raw(KeyPairType::Account, [7; 32]).expect("any 32 bytes are a seed");
    let provider = KeyPair::new_from_raw(KeyPairType::Service, [8; 32]).expect("any 32 bytes are a seed");
    let archive = ProviderArchive::builder("Fuzzed", CONTRACT, "Fuzzer");
    let archive = archive.target(ProviderArchive::host_target(), b"a library".to_vec()).sign(&account, &provider);
    ProviderArchive::try_load(&archive.expect("an archive is signed")).expect("it is a good one")
}

fn to_plugin(frames: &[u8]) {
    let own = std::env::current_exe().expect("this program has a path");
    let (mut line, other) = UnixStream::pair().expect("there are descriptors");
    let mut child = Command::new(own);
    let child = child.env(PLUGIN, "1").stdin(Stdio::from(OwnedFd::from(other))).stderr(Stdio::null());
    let mut child = child.spawn().expect("a process starts");
    line.set_read_timeout(Some(PATIENCE)).expect("there is a limit");
    let mut reading = line.try_clone().expect("there are descriptors");
    let read = std::thread::spawn(move || reading.read_to_end(&mut Vec::new()).is_ok());
    // The process may end at any frame.
    let _ = line.write_all(&[frame_of_start(), frames.to_vec(), frame_of_stop()].concat());
    let ended_by_itself = read.join().expect("reading does not panic");
    let _ = line.shutdown(std::net::Shutdown::Both);
    let status = child.wait().expect("a child can be waited for");
    assert!(status.signal().is_none() || (!ended_by_itself && status.signal() == Some(9)), "{status}");
}
