//! Signals: the first SIGINT or SIGTERM asks a host to finish its work, a second one ends the process at once.

use std::io::{self, IsTerminal as _};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging;
use crate::outcome::{CommandError, CommandResult};

/// The signals that ask for the end. They are taken over when this is made, so that none is lost during the start.
#[derive(Debug)]
pub(crate) struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
    /// The end of the terminal, if the process has one.
    hangup: Option<Signal>,
}

/// The signal that asks a service to read its files again: SIGHUP, unless the process has a terminal.
#[derive(Debug)]
pub(crate) struct Reload(Option<Signal>);

/// A signal that asks for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Interrupt,
    Terminate,
    Hangup,
}

impl Ending {
    /// Returns the exit code of a process that ends at once: 128 and the number of the signal, as shells have it.
    fn exit_code(self) -> i32 {
        128 + match self {
            Ending::Interrupt => libc::SIGINT,
            Ending::Terminate => libc::SIGTERM,
            Ending::Hangup => libc::SIGHUP,
        }
    }
}

impl Shutdown {
    /// Takes the signals over.
    ///
    /// # Errors
    /// `Failed` if the operating system does not allow it.
    pub(crate) fn new() -> CommandResult<Shutdown> {
        let hangup = if has_terminal() { Some(take(SignalKind::hangup())?) } else { None };
        let interrupt = take(SignalKind::interrupt())?;
        Ok(Shutdown { interrupt, terminate: take(SignalKind::terminate())?, hangup })
    }

    /// Returns once the process is asked to end.
    pub(crate) async fn asked_for(&mut self) -> Ending {
        tokio::select! {
            _ = self.interrupt.recv() => Ending::Interrupt,
            _ = self.terminate.recv() => Ending::Terminate,
            () = next(&mut self.hangup) => Ending::Hangup,
        }
    }

    /// Waits for the end of a host. If the process is asked to end meanwhile, it ends at once.
    pub(crate) async fn or_at_once(&mut self, end: impl Future<Output = ()>) {
        tokio::select! {
            () = end => {}
            ending = self.asked_for() => {
                logging::flush();
                std::process::exit(ending.exit_code())
            }
        }
    }
}

impl Reload {
    /// Takes the signal over.
    ///
    /// # Errors
    /// `Failed` if the operating system does not allow it.
    pub(crate) fn new() -> CommandResult<Reload> {
        Ok(Reload(if has_terminal() { None } else { Some(take(SignalKind::hangup())?) }))
    }

    /// Returns once the files are to be read again.
    pub(crate) async fn asked_for(&mut self) {
        next(&mut self.0).await;
    }
}

/// Returns whether the process has a terminal, with which it ends.
fn has_terminal() -> bool {
    io::stdin().is_terminal()
}

fn take(kind: SignalKind) -> CommandResult<Signal> {
    signal(kind).map_err(|error| CommandError::Failed(format!("cannot listen to signals: {error}")))
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
