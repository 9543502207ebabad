//! The clock of sessions. It does not depend on the time of day, which may be set back.

use std::time::Instant;

/// A clock that starts at 0. Unit: milliseconds.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    /// How far a test has set the clock forward.
    #[cfg(test)]
    pub(super) skipped: std::sync::atomic::AtomicU64,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            started: Instant::now(),
            #[cfg(test)]
            skipped: std::sync::atomic::AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> u64 {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        #[cfg(test)]
        let passed = passed + self.skipped.load(std::sync::atomic::Ordering::Relaxed);
        passed
    }
}
