//! A log with a limited number of lines, such as that of an actor. What is left out is reported.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;
use tokio::runtime::Handle;

use crate::line_limiter::LineLimiter;

/// Delay between the first line that is left out and the report of their number.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// How many lines may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRate {
    /// The sustained rate. Unit: lines per second. Default: 100.
    pub per_second: u32,
    /// How many lines can be written at once after a pause. Default: 500.
    pub burst: u32,
}

impl Default for LogRate {
    fn default() -> LogRate {
        LogRate { per_second: 100, burst: 500 }
    }
}

/// How many lines were left out. Written as text, it says so for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// The number of all lines.
    pub lines: u64,
    /// The number of warnings and errors among them.
    pub alarms: u64,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut { lines, alarms } = self;
        match alarms {
            0 => write!(f, "{lines} line(s) were left out"),
            _ => write!(f, "{lines} line(s) were left out, {alarms} of them warnings or errors"),
        }
    }
}

/// The limit of the lines of an actor or provider. Warnings and errors have a limit of their own, of the same size, so that
/// no other lines can hide them. The number of those that are left out is reported after a second, or when the log is dropped.
pub struct LimitedLog {
    limiters: Mutex<Limiters>,
    report: Box<dyn Fn(LeftOut) + Send + Sync>,
    /// Where the log was made. It reports what is left out on threads of plugins.
    runtime: Option<Handle>,
}

#[derive(Debug)]
struct Limiters {
    alarms: LineLimiter,
    others: LineLimiter,
    is_report_due: bool,
}

impl LimitedLog {
    /// Returns the limit of a new log. `report` writes how many lines were left out. Without a tokio runtime, here or where a
    /// line is written, that is done at the end only.
    pub fn new(rate: LogRate, report: impl Fn(LeftOut) + Send + Sync + 'static) -> Arc<LimitedLog> {
        let limiter = || LineLimiter::new(rate.per_second, rate.burst, Instant::now());
        let limiters = Mutex::new(Limiters { alarms: limiter(), others: limiter(), is_report_due: false });
        Arc::new(LimitedLog { limiters, report: Box::new(report), runtime: Handle::try_current().ok() })
    }

    /// Returns whether a line may be written now. One that may not is counted.
    pub fn admit(self: &Arc<Self>, level: Level) -> bool {
        let mut limiters = self.limiters();
        let limiter = if level <= Level::Warn { &mut limiters.alarms } else { &mut limiters.others };
        if limiter.admit(Instant::now()) {
            return true;
        }
        let was_due = std::mem::replace(&mut limiters.is_report_due, true);
        drop(limiters);
        if !was_due {
            self.report_later();
        }
        false
    }

    fn report_later(self: &Arc<Self>) {
        let Some(runtime) = Handle::try_current().ok().or_else(|| self.runtime.clone()) else { return };
        let log = Arc::downgrade(self);
        runtime.spawn(async move {
            tokio::time::sleep(REPORT_AFTER).await;
            if let Some(log) = log.upgrade() {
                log.report();
            }
        });
    }

    /// Reports the lines that were left out since the last report, if there are any.
    pub fn report(&self) {
        let mut limiters = self.limiters();
        limiters.is_report_due = false;
        let alarms = limiters.alarms.take_left_out();
        let lines = alarms + limiters.others.take_left_out();
        drop(limiters);
        if lines > 0 {
            (self.report)(LeftOut { lines, alarms });
        }
    }

    fn limiters(&self) -> MutexGuard<'_, Limiters> {
        // A panic cannot leave the limiters inconsistent: nothing that is done under their lock panics.
        self.limiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LimitedLog {
    fn drop(&mut self) {
        self.report();
    }
}

impl fmt::Debug for LimitedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedLog").field("limiters", &self.limiters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    const RATE: LogRate = LogRate { per_second: 1, burst: 3 };

    /// Returns a log and its reports.
    fn log() -> (Arc<LimitedLog>, Receiver<LeftOut>) {
        let (sender, reports) = mpsc::channel();
        (LimitedLog::new(RATE, move |left_out| sender.send(left_out).unwrap()), reports)
    }

    #[test]
    fn no_flood_of_lines_hides_an_error() {
        let (log, reports) = log();
        let admitted = |level: Level| (0..10).filter(|_| log.admit(level)).count();
        assert_eq!([Level::Info, Level::Trace, Level::Error, Level::Warn].map(admitted), [3, 0, 3, 0]);
        log.report();
        assert_eq!(reports.recv(), Ok(LeftOut { lines: 34, alarms: 17 }));
        log.report();
        assert!(reports.try_recv().is_err(), "nothing was left out since");
        assert!(!log.admit(Level::Info));
        drop(log);
        let last = reports.recv().unwrap();
        assert_eq!((last, last.to_string().as_str()), (LeftOut { lines: 1, alarms: 0 }, "1 line(s) were left out"));
    }

    #[actix_rt::test]
    async fn what_a_thread_without_a_runtime_leaves_out_is_reported_although_it_falls_silent() {
        let (log, reports) = log();
        let flood = log.clone();
        let admitted = std::thread::spawn(move || (0..10).filter(|_| flood.admit(Level::Info)).count());
        assert_eq!(admitted.join().unwrap(), 3);
        let mut waited = 0;
        let report = loop {
            match reports.try_recv() {
                Ok(report) => break report,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            waited += 1;
            assert!(waited < 1000, "no report comes");
        };
        assert_eq!(report, LeftOut { lines: 7, alarms: 0 });
        assert_eq!(Arc::strong_count(&log), 1);
    }
}
