//! The lines that a plugin writes to the host's log, within a limit: actors may be able to cause them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::Level;
use wasmcloud_core::line_limiter::LineLimiter;
use wasmcloud_core::text::log_line;
use wasmcloud_provider::ProviderDescriptor;

/// The log target of plugins' lines.
const TARGET: &str = "wasmcloud_provider";

/// The sustained rate of the lines of a plugin. Unit: lines per second.
const LINES_PER_SECOND: u32 = 100;

/// How many lines a plugin can write at once after a pause.
const BURST: u32 = 500;

/// The shortest time between two reports of lines that were left out.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

/// The log of a plugin.
#[derive(Debug)]
pub(super) struct PluginLog {
    /// The name of the provider.
    name: String,
    /// The public key of the provider and its link name.
    key: String,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    limiter: LineLimiter,
    /// When lines that were left out were last reported.
    reported: Instant,
}

impl PluginLog {
    /// Returns the log of a provider.
    pub(super) fn new(provider: &ProviderDescriptor) -> PluginLog {
        let now = Instant::now();
        let limiter = LineLimiter::new(LINES_PER_SECOND, BURST, now);
        PluginLog {
            name: provider.to_string(),
            key: provider.key.joined(),
            pace: Mutex::new(Pace { limiter, reported: now }),
        }
    }

    /// Writes a line, unless there are too many of them. The next line tells how many were left out.
    pub(super) fn write(&self, level: Level, text: &str) {
        if !log::log_enabled!(target: TARGET, level) {
            return;
        }
        let Some(left_out) = self.admit(Instant::now()) else { return };
        self.report(left_out);
        let PluginLog { name, key, .. } = self;
        let line = log_line(text.as_bytes(), text.len());
        log::log!(target: TARGET, level, provider = key.as_str(); "{name}: {line}");
    }

    /// Returns how many lines are reported before this one, or `None` if this one is left out.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if !pace.limiter.admit(now) {
            return None;
        }
        if now.saturating_duration_since(pace.reported) < BETWEEN_REPORTS {
            return Some(0);
        }
        pace.reported = now;
        Some(pace.limiter.take_left_out())
    }

    fn report(&self, left_out: u64) {
        if left_out > 0 {
            let PluginLog { name, key, .. } = self;
            log::warn!(
                target: TARGET, provider = key.as_str(), left_out;
                "{name}: {left_out} line(s) were left out: a provider may log {LINES_PER_SECOND} each second"
            );
        }
    }
}

impl Drop for PluginLog {
    fn drop(&mut self) {
        let left_out = self.pace.get_mut().unwrap_or_else(PoisonError::into_inner).limiter.take_left_out();
        self.report(left_out);
    }
}
