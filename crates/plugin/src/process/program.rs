//! Starts the program of a plugin's process, and waits for its end.

#![allow(unsafe_code, reason = "kills a process group")]

use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::connection::Connection;
use crate::isolation::{INHERITED_VARIABLES, PluginProcess};

/// How long a process may take to exit after it was stopped.
pub(super) const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts the program in a process group of its own, with one end of a socket pair as its standard input. Returns the other
/// end too.
///
/// Dropping the child does not kill the process. The process exits when its socket is closed, because only it can end its own
/// descendants.
pub(super) fn spawn(program: &PluginProcess) -> Result<(Child, UnixStream)> {
    let failed = |error| Error::new(ErrorKind::Io, "cannot make a connection to a plugin's process").caused_by(error);
    let (host_end, plugin_end) = UnixStream::pair().map_err(failed)?;
    let log = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned().map_err(failed)?;
    let mut command = Command::new(&program.program);
    let inherited = INHERITED_VARIABLES.iter().filter_map(|key| Some((key, std::env::var_os(key)?)));
    command
        .args(&program.arguments)
        .env_clear()
        .envs(inherited)
        .envs(program.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(plugin_end)))
        .stdout(Stdio::from(log))
        .process_group(0);
    let child = command.spawn().map_err(|error| {
        let message = format!(
            "cannot start {} as the process of a plugin: install the binary `wasmcloud` beside this program or on the \
             PATH, or configure another program",
            program.program.display()
        );
        Error::new(ErrorKind::Io, message).caused_by(error)
    })?;
    Ok((child, host_end))
}

/// Waits until a process exits, or ends it when its termination is requested. Then fails its pending requests, and calls
/// `lost` unless the provider is being stopped.
pub(super) async fn wait_for_exit(
    mut child: Child,
    connection: Arc<Connection>,
    mut read: oneshot::Receiver<Result<()>>,
    lost: Box<dyn FnOnce(String) + Send>,
) {
    // Closes the connection, and so ends the process, even if this task is cancelled.
    let close = CloseOnDrop(connection.clone());
    let cause = tokio::select! {
        // A protocol violation explains more than the exit status that follows it.
        biased;
        ended = &mut read => read_failure(ended),
        reason = connection.termination_requested() => Some(reason),
        // Another process may hold the other end of the socket open, so that reading would not end.
        _ = child.wait() => {
            connection.shut_down_reads();
            timeout(EXIT_TIMEOUT, &mut read).await.ok().and_then(read_failure)
        }
    };
    let mut status = None;
    if cause.is_none() {
        status = timeout(EXIT_TIMEOUT, child.wait()).await.ok();
    }
    drop(close);
    let status = match status {
        Some(status) => describe(status),
        None => wait_or_kill(&mut child).await,
    };
    let reason = cause.map_or(status.clone(), |cause| format!("{cause}; {status}"));
    connection.mark_exited(reason.clone());
    if !connection.stopping.load(Ordering::Acquire) {
        lost(reason);
    }
}

/// Returns why reading has failed, or `None` if the connection has ended normally.
fn read_failure(read: Result<Result<()>, oneshot::error::RecvError>) -> Option<String> {
    match read {
        Ok(read) => read.err().map(|error| error.to_string()),
        Err(_) => Some("the thread that reads from its process has panicked".to_owned()),
    }
}

/// Waits for a process whose connection is closed, and kills its process group if it does not exit in time.
async fn wait_or_kill(child: &mut Child) -> String {
    if let Ok(status) = timeout(EXIT_TIMEOUT, child.wait()).await {
        return describe(status);
    }
    if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // SAFETY: the function accepts any numbers. The group's id is not reused, because its leader is not reaped yet.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    match timeout(EXIT_TIMEOUT, child.wait()).await {
        Ok(status) => describe(status),
        Err(_) => "its process cannot be killed".to_owned(),
    }
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => format!("its process ended with {status}"),
        Err(error) => format!("its process cannot be waited for: {error}"),
    }
}

/// Closes a connection when it is dropped.
struct CloseOnDrop(Arc<Connection>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
