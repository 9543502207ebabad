//! The lines that guests of an actor write to the host's log by `__console_log`.
//!
//! A guest can write a line in less than a microsecond, so the lines of all instances of an actor share a limit. Lines beyond
//! it are left out, and their number is logged within a second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmcloud_core::call::CallContext;
use wasmcloud_core::line_limiter::LineLimiter;
use wasmcloud_core::text::log_line;

/// The log target of guests' lines.
const TARGET: &str = "wasmcloud_host::guest";

/// The sustained rate of the lines of an actor. Unit: lines per second.
const LINES_PER_SECOND: u32 = 100;

/// How many lines an actor can write at once after a pause.
const BURST: u32 = 500;

/// Delay between the first line that is left out and the report of their number.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// The log of an actor, which its instances share.
#[derive(Debug)]
pub struct GuestLog {
    /// The actor's public key.
    actor: Arc<str>,
    /// The actor's name, escaped.
    name: String,
    limiter: Mutex<LineLimiter>,
}

impl GuestLog {
    /// Returns the log of an actor.
    pub fn new(actor: Arc<str>, name: &str) -> GuestLog {
        let limiter = Mutex::new(LineLimiter::new(LINES_PER_SECOND, BURST, Instant::now()));
        GuestLog { actor, name: log_line(name.as_bytes(), name.len()), limiter }
    }

    /// Returns whether lines are logged at all.
    pub(super) fn is_enabled() -> bool {
        log::log_enabled!(target: TARGET, log::Level::Info)
    }

    /// Writes a line of `length` bytes, of which the beginning is given. Returns whether it was written, and not left out.
    pub(super) fn write(self: &Arc<Self>, context: &CallContext, beginning: &[u8], length: usize) -> bool {
        let left_out = {
            let mut limiter = self.limiter();
            if limiter.admit(Instant::now()) { 0 } else { limiter.left_out() }
        };
        match left_out {
            0 => {
                let GuestLog { actor, name, .. } = &**self;
                let line = log_line(beginning, length);
                let call = context.call_id();
                log::info!(target: TARGET, actor = &**actor, actor_name = name.as_str(), call; "{name}: {line}");
            }
            1 => self.report_later(),
            _ => {}
        }
        left_out == 0
    }

    /// Schedules the report of the lines that are left out. Without a runtime it is made when the actor ends.
    fn report_later(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let log = Arc::clone(self);
        runtime.spawn(async move {
            tokio::time::sleep(REPORT_AFTER).await;
            log.report();
        });
    }

    fn report(&self) {
        let left_out = self.limiter().take_left_out();
        if left_out > 0 {
            let GuestLog { actor, name, .. } = self;
            log::warn!(
                target: TARGET, actor = &**actor, actor_name = name.as_str(), left_out;
                "{name}: {left_out} line(s) were left out: an actor may log {LINES_PER_SECOND} each second"
            );
        }
    }

    fn limiter(&self) -> MutexGuard<'_, LineLimiter> {
        // A panic cannot leave the limiter inconsistent: each use of it is a single operation.
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        self.report();
    }
}
