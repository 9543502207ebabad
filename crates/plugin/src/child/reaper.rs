//! The process between a host and the process of a plugin. It is the program that the host has started, and starts the same
//! program once more for the plugin.
//!
//! On Linux every descendant of the plugin becomes a child of this process when its own parent ends, whatever session or
//! process group it has moved to. So once the plugin has ended, or the host has ended or wants the end, this process kills
//! what is left, and then ends as the plugin did. It reads nothing of the line: it only learns from it when the host is gone.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The variable that tells the process of a plugin the number of its parent.
const PARENT: &str = "WASMCLOUD_PLUGIN_PARENT";

/// How often in a row a search for descendants may find none although there are some.
const SEARCHES: usize = 3;

/// The number of the process that has started this one for a plugin. None where a host has started it.
pub(super) fn parent() -> Option<libc::pid_t> {
    std::env::var(PARENT).ok()?.parse().ok()
}

/// Has this process end when its parent does, however that ends.
///
/// # Errors
/// Where the parent has ended already.
pub(super) fn end_with(parent: libc::pid_t) -> Result<()> {
    #[cfg(target_os = "linux")]
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    // SAFETY: the function only answers.
    if unsafe { libc::getppid() } == parent {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, "the process that has started this one for a plugin has ended"))
}

/// Starts the process of a plugin, waits for its end or the host's, and ends as it did.
///
/// # Errors
/// Where the process cannot be started.
pub(super) fn run(line: UnixStream) -> Result<()> {
    #[cfg(target_os = "linux")]
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)?;
    let plugin = start(&line)?;
    let no_thread = |error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error);
    let watch = move || {
        wait_for_host(&line, parent_process().as_ref());
        // SAFETY: the function takes any numbers. The plugin's cannot be another's: it is not reaped before the end.
        unsafe { libc::kill(plugin, libc::SIGKILL) };
    };
    std::thread::Builder::new().name("host".to_owned()).spawn(watch).map_err(no_thread)?;
    let end = wait_for(plugin);
    end_descendants(plugin);
    end_as(end)
}

/// Starts this program again with the line as its standard input, in a process group of its own.
fn start(line: &UnixStream) -> Result<libc::pid_t> {
    let failed = |error| Error::new(ErrorKind::Io, "cannot start the process of a plugin").caused_by(error);
    let mut arguments = std::env::args_os();
    // The file may have been replaced since this process began.
    let program =
        if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe().map_err(failed)? };
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .env(PARENT, std::process::id().to_string())
        .stdin(Stdio::from(OwnedFd::from(line.try_clone().map_err(failed)?)))
        .process_group(0);
    let plugin = command.spawn().map_err(failed)?;
    libc::pid_t::try_from(plugin.id()).map_err(|error| failed(std::io::Error::other(error)))
}

/// A descriptor that becomes readable when the parent of this process ends, where the system has such descriptors.
fn parent_process() -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the functions take any numbers.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getppid(), 0) };
        let descriptor = i32::try_from(opened).ok().filter(|&descriptor| descriptor >= 0)?;
        // SAFETY: it has just been opened, and nobody else has it.
        Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Waits until the host has closed the line, or has ended although a copy of its end of the line has not.
fn wait_for_host(line: &UnixStream, host: Option<&OwnedFd>) {
    #[cfg(target_os = "linux")]
    const CLOSED: i16 = libc::POLLRDHUP;
    #[cfg(not(target_os = "linux"))]
    const CLOSED: i16 = 0;
    let of = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let mut waited = [of(line.as_raw_fd(), CLOSED), of(host.map_or(-1, AsRawFd::as_raw_fd), libc::POLLIN)];
    // SAFETY: there are two, and both are there until the function returns.
    while unsafe { libc::poll(waited.as_mut_ptr(), 2, -1) } < 0 {
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            // Without a way to learn of the host's end there must be no plugin.
            return;
        }
    }
}

/// How a process has ended.
enum End {
    Code(i32),
    Signal(i32),
}

/// Waits until the process of the plugin has ended, without reaping it: until the end nobody else gets its number. What else
/// ends meanwhile is reaped.
fn wait_for(plugin: libc::pid_t) -> End {
    loop {
        // SAFETY: it is made of numbers, all of which may be zero.
        let mut ended: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: there is room for the answer.
        let waited = unsafe { libc::waitid(libc::P_ALL, 0, &mut ended, libc::WEXITED | libc::WNOWAIT) };
        if waited != 0 {
            if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return End::Code(1);
        }
        // SAFETY: a child has ended, so these are filled in.
        let (process, status) = unsafe { (ended.si_pid(), ended.si_status()) };
        if process != plugin {
            // SAFETY: nobody wants to know how it ended.
            unsafe { libc::waitpid(process, std::ptr::null_mut(), libc::WNOHANG) };
        } else if ended.si_code == libc::CLD_EXITED {
            return End::Code(status);
        } else {
            return End::Signal(status);
        }
    }
}

/// Kills and reaps whatever the plugin has left behind.
fn end_descendants(plugin: libc::pid_t) {
    // All of the group at once: it cannot grow meanwhile.
    // SAFETY: the function takes any numbers; the group's cannot be another's, since its leader is not reaped yet.
    unsafe { libc::kill(-plugin, libc::SIGKILL) };
    let mut fruitless = 0;
    while fruitless < SEARCHES {
        // These are children of this process, so their numbers are theirs until they are reaped below. Their own children
        // become this process's when they have ended.
        let killed = children().into_iter().filter(|&child| {
            // SAFETY: the function takes any numbers.
            unsafe { libc::kill(child, libc::SIGKILL) == 0 }
        });
        let wait = if killed.count() > 0 { 0 } else { libc::WNOHANG };
        // SAFETY: nobody wants to know how they ended.
        match unsafe { libc::waitpid(-1, std::ptr::null_mut(), wait) } {
            reaped if reaped > 0 => fruitless = 0,
            // There is something that this process may not kill, or that has come since it looked.
            0 => fruitless += 1,
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// The children of this process, ended ones included.
fn children() -> Vec<libc::pid_t> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|&process| parent_of(process).as_deref() == Some(&*own)).collect()
}

fn parent_of(process: libc::pid_t) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name, in parentheses, may have anything in it. Behind it are the state and the parent.
    let (_, behind) = line.rsplit_once(") ")?;
    behind.split(' ').nth(1).map(str::to_owned)
}

/// Ends this process as the plugin's has ended, so that the host learns how.
fn end_as(end: End) -> ! {
    let code = match end {
        End::Code(code) => code,
        End::Signal(signal) => {
            #[cfg(target_os = "linux")]
            // This process has not crashed: it must leave no core behind.
            let _ = prctl(libc::PR_SET_DUMPABLE, 0);
            // SAFETY: the default for a signal is no handler, and this thread may end the process.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
            128 + signal
        }
    };
    // SAFETY: nothing of this process is needed afterwards.
    unsafe { libc::_exit(code) }
}

#[cfg(target_os = "linux")]
fn prctl(option: libc::c_int, value: libc::c_ulong) -> Result<()> {
    // SAFETY: the options that are set here take a number.
    if unsafe { libc::prctl(option, value, 0, 0, 0) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Error::new(ErrorKind::Io, "cannot have the processes of a plugin end together").caused_by(error))
}
