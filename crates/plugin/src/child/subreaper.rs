//! The intermediate process between a host and the process of a plugin. The host starts it, and it starts the same program
//! again for the plugin.
//!
//! On Linux this process is a child subreaper (`prctl(2)`): every descendant of the plugin becomes its child when its own
//! parent ends, in any session or process group. When the plugin exits, or the host exits or closes the connection, this
//! process kills the remaining descendants and then exits with the plugin's status. It reads no frames. It only watches for
//! the end of the connection.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The environment variable that holds the id of the subreaper, for the process of a plugin.
const PARENT_VARIABLE: &str = "WASMCLOUD_PLUGIN_PARENT";

/// How many searches in a row may reap no descendant although some are left.
const FRUITLESS_SEARCHES: usize = 3;

/// Returns the id of the subreaper that has started this process, or `None` if a host has started it.
pub(super) fn parent() -> Option<libc::pid_t> {
    std::env::var(PARENT_VARIABLE).ok()?.parse().ok()
}

/// Makes this process end when its parent ends, even if the parent is killed.
///
/// # Errors
/// `Io` if the parent has ended already.
pub(super) fn exit_with_parent(parent: libc::pid_t) -> Result<()> {
    #[cfg(target_os = "linux")]
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    // SAFETY: the function has no preconditions.
    if unsafe { libc::getppid() } == parent {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, "the process that has started this one for a plugin has ended"))
}

/// Starts the process of a plugin, waits for its end or the host's, and exits with the plugin's status.
///
/// # Errors
/// `Io` if the process cannot be started.
pub(super) fn run(connection: UnixStream) -> Result<()> {
    #[cfg(target_os = "linux")]
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)?;
    let plugin = start(&connection)?;
    let no_thread = |error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error);
    let watch = move || {
        wait_for_host(&connection, parent_process().as_ref());
        // SAFETY: the function accepts any numbers. The plugin's id is not reused, because it is reaped at the very end.
        unsafe { libc::kill(plugin, libc::SIGKILL) };
    };
    std::thread::Builder::new().name("host".to_owned()).spawn(watch).map_err(no_thread)?;
    let status = wait_for(plugin);
    kill_descendants(plugin);
    exit_like(status)
}

/// Starts this program again with the connection as its standard input, in a process group of its own.
fn start(connection: &UnixStream) -> Result<libc::pid_t> {
    let failed = |error| Error::new(ErrorKind::Io, "cannot start the process of a plugin").caused_by(error);
    let mut arguments = std::env::args_os();
    // The file of the program may have been replaced since this process started.
    let program =
        if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe().map_err(failed)? };
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .env(PARENT_VARIABLE, std::process::id().to_string())
        .stdin(Stdio::from(OwnedFd::from(connection.try_clone().map_err(failed)?)))
        .process_group(0);
    let plugin = command.spawn().map_err(failed)?;
    libc::pid_t::try_from(plugin.id()).map_err(|error| failed(std::io::Error::other(error)))
}

/// Returns a descriptor that becomes readable when the parent of this process ends, if the system has such descriptors.
fn parent_process() -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the functions accept any numbers.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getppid(), 0) };
        let descriptor = i32::try_from(opened).ok().filter(|&descriptor| descriptor >= 0)?;
        // SAFETY: the descriptor has just been opened, and has no other owner.
        Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Waits until the host has closed the connection or has ended. Another process may hold a copy of the host's end open.
fn wait_for_host(connection: &UnixStream, host: Option<&OwnedFd>) {
    #[cfg(target_os = "linux")]
    const CLOSED: i16 = libc::POLLRDHUP;
    #[cfg(not(target_os = "linux"))]
    const CLOSED: i16 = 0;
    let poll_for = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let host = host.map_or(-1, AsRawFd::as_raw_fd);
    let mut polled = [poll_for(connection.as_raw_fd(), CLOSED), poll_for(host, libc::POLLIN)];
    // SAFETY: the array has two elements, and outlives the call.
    while unsafe { libc::poll(polled.as_mut_ptr(), 2, -1) } < 0 {
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            // The end of the host could not be noticed any more, so the plugin must end now.
            return;
        }
    }
}

/// The exit status of a process.
enum Status {
    Code(i32),
    Signal(i32),
}

/// Waits until the process of the plugin has ended, without reaping it, so that its id is not reused. Other children that
/// end meanwhile are reaped.
fn wait_for(plugin: libc::pid_t) -> Status {
    loop {
        // SAFETY: the type consists of integers, and zero is valid for each.
        let mut ended: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `ended` is valid for writes.
        let waited = unsafe { libc::waitid(libc::P_ALL, 0, &mut ended, libc::WEXITED | libc::WNOWAIT) };
        if waited != 0 {
            if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return Status::Code(1);
        }
        // SAFETY: a child has ended, so the fields are filled in.
        let (process, status) = unsafe { (ended.si_pid(), ended.si_status()) };
        if process != plugin {
            // SAFETY: the status may be null.
            unsafe { libc::waitpid(process, std::ptr::null_mut(), libc::WNOHANG) };
        } else if ended.si_code == libc::CLD_EXITED {
            return Status::Code(status);
        } else {
            return Status::Signal(status);
        }
    }
}

/// Kills and reaps the processes that the plugin has left behind.
fn kill_descendants(plugin: libc::pid_t) {
    // The whole group is killed at once, so that it cannot start further processes meanwhile.
    // SAFETY: the function accepts any numbers. The group's id is not reused, because its leader is not reaped yet.
    unsafe { libc::kill(-plugin, libc::SIGKILL) };
    let mut fruitless = 0;
    while fruitless < FRUITLESS_SEARCHES {
        // The ids of children are not reused before they are reaped below. When a child ends, its own children become
        // children of this process.
        let killed = children().into_iter().filter(|&child| {
            // SAFETY: the function accepts any numbers.
            unsafe { libc::kill(child, libc::SIGKILL) == 0 }
        });
        let wait = if killed.count() > 0 { 0 } else { libc::WNOHANG };
        // SAFETY: the status may be null.
        match unsafe { libc::waitpid(-1, std::ptr::null_mut(), wait) } {
            reaped if reaped > 0 => fruitless = 0,
            // A child that this process may not kill, or one that has come since the search.
            0 => fruitless += 1,
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// Returns the children of this process, including those that have ended and are not reaped.
fn children() -> Vec<libc::pid_t> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|&process| parent_of(process).as_deref() == Some(&*own)).collect()
}

fn parent_of(process: libc::pid_t) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may contain any characters. The state and the parent follow it.
    let (_, fields) = line.rsplit_once(") ")?;
    fields.split(' ').nth(1).map(str::to_owned)
}

/// Exits with the status of the plugin's process, so that the host learns it.
fn exit_like(status: Status) -> ! {
    let code = match status {
        Status::Code(code) => code,
        Status::Signal(signal) => {
            #[cfg(target_os = "linux")]
            // This process has not crashed, so it must not dump core.
            let _ = prctl(libc::PR_SET_DUMPABLE, 0);
            // SAFETY: the default action installs no handler, and this process may end here.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
            128 + signal
        }
    };
    // SAFETY: the process needs no cleanup.
    unsafe { libc::_exit(code) }
}

#[cfg(target_os = "linux")]
fn prctl(option: libc::c_int, value: libc::c_ulong) -> Result<()> {
    // SAFETY: the options that are set here accept any number.
    if unsafe { libc::prctl(option, value, 0, 0, 0) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Error::new(ErrorKind::Io, "cannot tie the processes of a plugin together with prctl").caused_by(error))
}
