//! The log of commands that run hosts: lines on standard error, in text or JSON.
//!
//! A line is written on a thread of the log, so that a terminal or pipe that is slow holds up no actor. No text from outside
//! can end a line or control a terminal, and no actor can fill the log.
//!
//! # Layout
//! - `line`: a record as a line of text or JSON (pure)
//! - `throttle`: limits the lines about one actor or provider
//! - `writer`: the queue and the thread that writes

mod line;
mod throttle;
mod writer;

use std::io::{self, Write as _};
use std::panic;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use env_filter::Filter;
use log::kv::Value;
use log::{Level, Log, Metadata, Record};

pub(crate) use line::Format;
use line::{Line, Style};
use throttle::{LeftOut, Throttle};
use writer::Writer;

/// The target of what the command itself says.
const COMMAND: &str = "wasmcloud";

/// The targets of lines whose number is limited where they come from.
const LIMITED: [&str; 3] = ["wasmcloud_actor", "wasmcloud_provider", "wasmcloud_host::guest"];

/// The log of this process. It is set once: the crate `log` has one logger for a process.
static LOGGER: OnceLock<Logger> = OnceLock::new();

/// What makes lines of records.
#[derive(Debug)]
struct Logger {
    filter: Filter,
    format: Format,
    style: Style,
    /// The public key of the host, once it is known.
    host: OnceLock<String>,
    throttle: Throttle,
    writer: Writer,
}

/// Reads which lines are logged: `warn`, `warn,wasmcloud=debug` and the like, as in `RUST_LOG`.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    let mut builder = env_filter::Builder::new();
    let parsed = builder.try_parse(text).map(env_filter::Builder::build);
    parsed.map_err(|error| {
        format!("{error}; it is a level, as in info, or levels of targets, as in warn,wasmcloud=debug")
    })
}

/// Starts the log of this process, in text. It holds what the environment variable `RUST_LOG` selects, or else a default.
///
/// # Errors
/// Why the variable cannot be read.
pub(crate) fn start_by_environment(default: &str) -> Result<(), String> {
    let selected = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let invalid = |reason| format!("the environment variable RUST_LOG is invalid: {reason}");
    start(filter(selected.as_deref().unwrap_or(default)).map_err(invalid)?, Format::Text);
    Ok(())
}

/// Starts the log of this process. Panics are logged from then on. A second call has no effect.
pub(crate) fn start(filter: Filter, format: Format) {
    let level = filter.filter();
    let style = match anstream::AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => Style::Plain,
        _ => Style::Colored,
    };
    let logger = LOGGER.get_or_init(|| Logger {
        filter,
        format,
        style,
        host: OnceLock::new(),
        throttle: Throttle::default(),
        writer: Writer::start(report),
    });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(level);
        panic::set_hook(Box::new(log_panic));
    }
}

/// Adds the public key of the host to all lines from now on.
pub(crate) fn set_host(key: String) {
    if let Some(logger) = LOGGER.get() {
        // It may be set already.
        let _ = logger.host.set(key);
    }
}

/// Returns whether all that is said on standard error has to be a line of JSON.
pub(crate) fn is_json() -> bool {
    LOGGER.get().is_some_and(|logger| logger.format == Format::Json)
}

/// Writes a line about the command itself, whatever is logged otherwise.
pub(crate) fn say(level: Level, message: &str) {
    if let Some(logger) = LOGGER.get() {
        logger.write(&Record::builder().level(level).target(COMMAND).args(format_args!("{message}")).build());
    }
}

/// Prints text for people on standard error, in its turn among the lines of the log. Colours are left out where the reader
/// wants none.
pub(crate) fn print(text: &str) {
    match LOGGER.get() {
        Some(logger) if logger.style == Style::Colored => logger.writer.push(text.to_owned()),
        Some(logger) => logger.writer.push(anstream::adapter::strip_str(text).to_string()),
        // A failure to print cannot be reported.
        None => drop(anstream::stderr().write_all(text.as_bytes())),
    }
}

/// Waits until all lines are written, but not for ever.
pub(crate) fn flush() {
    if let Some(logger) = LOGGER.get() {
        Log::flush(logger);
    }
}

/// Logs a panic as one line. Its text may come from outside.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let text = wasmcloud_core::error::panic_text(panic.payload());
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    log::error!(target: COMMAND, place = place.as_str(); "a thread panicked: {text}");
}

/// Returns the lines that are due each second: those that tell how many were left out.
fn report(dropped: u64) -> String {
    let Some(logger) = LOGGER.get() else { return String::new() };
    let reports = logger.throttle.take_left_out(Instant::now());
    let mut text: String = reports.iter().map(|left_out| logger.report(left_out)).collect();
    if dropped > 0 {
        let message = format_args!("{dropped} line(s) were left out: standard error takes them too slowly");
        text.push_str(&logger.line(&Record::builder().level(Level::Warn).target(COMMAND).args(message).build()));
    }
    text
}

impl Logger {
    fn write(&self, record: &Record<'_>) {
        self.writer.push(self.line(record));
    }

    /// Returns a record as a line.
    fn line(&self, record: &Record<'_>) -> String {
        let line = Line::of(record, self.host.get().map(String::as_str));
        line.written(SystemTime::now(), self.format, self.style)
    }

    /// Returns the line that tells how many others were left out.
    fn report(&self, left_out: &LeftOut) -> String {
        let LeftOut { subject, target, count } = left_out;
        let mut fields = vec![("left_out", Value::from(*count))];
        let mut about = String::new();
        if let Some((key, subject)) = subject {
            fields.insert(0, (key, Value::from(subject.as_str())));
            about = format!(" about this {key}");
        }
        let message =
            format_args!("{count} further line(s) of a kind{about} were left out: there are too many of them");
        let fields = fields.as_slice();
        self.line(&Record::builder().level(Level::Warn).target(target).args(message).key_values(&fields).build())
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter.matches(record) {
            return;
        }
        // Who asks for details wants them all.
        let is_limited = record.level() <= Level::Info && !LIMITED.contains(&record.target());
        if !is_limited || self.throttle.admit(record, Instant::now()) {
            self.write(record);
        }
    }

    fn flush(&self) {
        self.writer.push(report(0));
        self.writer.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_and_targets() {
        let selected = filter("warn,wasmcloud=debug").unwrap();
        let enabled = |target, level| selected.enabled(&Metadata::builder().target(target).level(level).build());
        assert!(enabled("wasmcloud_host::x", Level::Debug) && !enabled("hyper", Level::Info));
        for bad in ["wasmcloud=loud", "a=b=c"] {
            let refusal = filter(bad).unwrap_err();
            assert!(refusal.contains("warn,wasmcloud=debug"), "{bad}: {refusal}");
        }
    }
}
