//! Forwards the log lines of this library to the host.

use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use wasmcloud_provider_sdk::{Host, LogLevel};

/// The logger of this library. The crate `log` allows one per library, so all providers of it log to the host of the last one.
struct LogForwarder(Mutex<Option<Host>>);

static FORWARDER: LogForwarder = LogForwarder(Mutex::new(None));

/// Forwards the log lines of this library to a host.
pub(crate) fn forward_log_to(host: &Host) {
    *FORWARDER.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.clone());
    if log::set_logger(&FORWARDER).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

impl Log for LogForwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info || metadata.target().starts_with("wasmcloud")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        let host = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(host) = host {
            host.log(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}
