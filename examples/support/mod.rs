//! Shared by the examples: the shutdown by signals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for Ctrl-C and SIGTERM. The first asks the program to finish what is in flight; a second one ends it at once, with the
/// exit code that shells give it (128 and the number of the signal).
pub(crate) struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
}

impl Shutdown {
    /// Takes over both signals, so that one that arrives during the start is not lost.
    pub(crate) fn new() -> io::Result<Shutdown> {
        let asked = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // The order counts: each signal first ends the program if there was one before, and then takes note of itself.
            signal_hook::flag::register_conditional_shutdown(number, 128 + number, asked.clone())?;
            signal_hook::flag::register(number, asked.clone())?;
        }
        Ok(Shutdown { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns once a signal has arrived, and prints what the program does next.
    pub(crate) async fn asked_for(&mut self, program: &str) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        eprintln!("{program}: finishing what is in flight; a second signal ends at once");
    }
}
