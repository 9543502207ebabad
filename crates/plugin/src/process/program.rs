//! Starting the program of a plugin's process, and waiting for its end.

#![allow(unsafe_code, reason = "a process group is killed")]

use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::line::Line;
use crate::isolation::{INHERITED, PluginProcess};

/// How long a process may take to end after it was stopped.
pub(super) const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// Starts the program in a process group of its own, with one end of a line as its standard input.
///
/// It is not killed when the child is dropped: its end of the line tells it, and only so can it end its own descendants.
pub(super) fn spawn(program: &PluginProcess) -> Result<(Child, UnixStream)> {
    let no_line = |error| Error::new(ErrorKind::Io, "cannot make a line to a plugin's process").caused_by(error);
    let (here, there) = UnixStream::pair().map_err(no_line)?;
    let log = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned().map_err(no_line)?;
    let mut command = Command::new(&program.program);
    let inherited = INHERITED.iter().filter_map(|key| Some((key, std::env::var_os(key)?)));
    command
        .args(&program.arguments)
        .env_clear()
        .envs(inherited)
        .envs(program.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(there)))
        .stdout(Stdio::from(log))
        .process_group(0);
    let child = command.spawn().map_err(|error| {
        let message = format!(
            "cannot start {} as the process of a plugin: install the binary `wasmcloud` beside this program or on the \
             PATH, or name another one",
            program.program.display()
        );
        Error::new(ErrorKind::Io, message).caused_by(error)
    })?;
    Ok((child, here))
}

/// Waits until a process has ended by itself, or ends it where it has to be ended, and tells those who wait for it.
pub(super) async fn watch(
    mut child: Child,
    line: Arc<Line>,
    mut read: oneshot::Receiver<Result<()>>,
    lost: Box<dyn FnOnce(String) + Send>,
) {
    // Whatever becomes of this task, the process learns that it is to end.
    let cut = Cut(line.clone());
    let cause = tokio::select! {
        // What the process has done wrong tells more than how it has ended then.
        biased;
        ended = &mut read => cause_of(ended),
        why = line.condemned() => Some(why),
        // Something else may hold the other end of the line, which then does not close.
        _ = child.wait() => {
            line.end_reading();
            timeout(LAST_MOMENTS, &mut read).await.ok().and_then(cause_of)
        }
    };
    let mut status = None;
    if cause.is_none() {
        status = timeout(LAST_MOMENTS, child.wait()).await.ok();
    }
    drop(cut);
    let status = match status {
        Some(status) => describe(status),
        None => end(&mut child).await,
    };
    let why = cause.map_or(status.clone(), |cause| format!("{cause}; {status}"));
    line.close(why.clone());
    if !line.stopping.load(Ordering::Acquire) {
        lost(why);
    }
}

/// Why reading has ended, where that was not the end of the line.
fn cause_of(read: Result<Result<()>, oneshot::error::RecvError>) -> Option<String> {
    match read {
        Ok(read) => read.err().map(|error| error.to_string()),
        Err(_) => Some("the thread that reads from its process has panicked".to_owned()),
    }
}

/// Waits for a process whose line is cut, and kills its group where it does not end.
async fn end(child: &mut Child) -> String {
    if let Ok(status) = timeout(LAST_MOMENTS, child.wait()).await {
        return describe(status);
    }
    if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // SAFETY: the function takes any numbers; the group's cannot be another's, since its leader is not reaped yet.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    match timeout(LAST_MOMENTS, child.wait()).await {
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

/// Cuts a line when it is dropped.
struct Cut(Arc<Line>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.cut();
    }
}
