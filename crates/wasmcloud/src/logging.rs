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
use std::time::{Duration, Instant, SystemTime};

use env_filter::Filter;
use log::kv::Value;
use log::{Level, LevelFilter, Log, Metadata, Record};

pub(crate) use line::Format;
use line::{Line, OUTSIDE, Style};
use throttle::{LeftOut, Throttle};
use writer::{Weight, Writer};

/// The target of what the command itself says.
const COMMAND: &str = "wasmcloud";

/// The targets of spans. Without a subscriber, a span is a line for each call at each boundary, so they are asked for by name.
const SPANS: [&str; 6] = [
    "wasmcloud::actor",
    "wasmcloud::call",
    "wasmcloud::http",
    "wasmcloud::lattice",
    "wasmcloud::link",
    "wasmcloud::provider",
];

/// How long the end of the process waits for the reader of the log.
const LONGEST_FLUSH: Duration = Duration::from_secs(2);

/// How long a panic waits for the reader of the log. It may end the process.
const LONGEST_PANIC: Duration = Duration::from_millis(200);

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
    if let Err(error) = builder.try_parse(text) {
        let forms = "it is a level, as in info, or levels of targets, as in warn,wasmcloud=debug";
        return Err(format!("{error}; {forms}"));
    }
    let names = || text.split('/').take(1).flat_map(|levels| levels.split(',')).map(name_of);
    if names().all(str::is_empty) {
        builder.filter_level(LevelFilter::Error);
    }
    let is_named = |target: &str| names().any(|name| name.starts_with("wasmcloud::") && target.starts_with(name));
    for target in SPANS.iter().filter(|target| !is_named(target)) {
        builder.filter_module(target, LevelFilter::Off);
    }
    Ok(builder.build())
}

/// Returns the level or the target that a part of a filter begins with.
fn name_of(part: &str) -> &str {
    part.split('=').next().unwrap_or_default().trim()
}

/// Starts the log of this process. It holds what the environment variable `RUST_LOG` selects, or else a default.
///
/// # Errors
/// Why the variable cannot be read.
pub(crate) fn start_by_environment(default: &str, format: Format) -> Result<(), String> {
    let selected = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let invalid = |reason| format!("the environment variable RUST_LOG is invalid: {reason}");
    start(filter(selected.as_deref().unwrap_or(default)).map_err(invalid)?, format);
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
        writer: Writer::start(Box::new(io::stderr()), report),
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
        Some(logger) if logger.style == Style::Colored => logger.writer.push(text.to_owned(), Weight::Alarm),
        Some(logger) => logger.writer.push(anstream::adapter::strip_str(text).to_string(), Weight::Alarm),
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

/// Logs a panic as one line, whatever is logged otherwise, and waits a moment for the reader of the log: the panic may end the
/// process. Its text may come from outside.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let Some(logger) = LOGGER.get() else { return };
    let text = wasmcloud_core::error::panic_text(panic.payload());
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let fields = [("place", Value::from(place.as_str()))];
    let mut record = Record::builder();
    record.level(Level::Error).target(COMMAND).key_values(&fields);
    logger.write_limited(&record.args(format_args!("a thread panicked: {text}")).build());
    logger.writer.flush_unless_stuck(LONGEST_PANIC);
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
        let weight = if record.level() <= Level::Warn { Weight::Alarm } else { Weight::Normal };
        self.writer.push(self.line(record), weight);
    }

    /// Writes a record, unless there are too many of its kind.
    fn write_limited(&self, record: &Record<'_>) {
        if self.throttle.admit(record, Instant::now()) {
            self.write(record);
        }
    }

    /// Returns a record as a line.
    fn line(&self, record: &Record<'_>) -> String {
        let line = Line::of(record, self.host.get().map(String::as_str));
        line.written(SystemTime::now(), self.format, self.style)
    }

    /// Returns the line that tells how many others were left out.
    fn report(&self, left_out: &LeftOut) -> String {
        let LeftOut { pair, count } = left_out;
        let subject = pair.subject.iter().map(|subject| (subject.field, Value::from(subject.value.as_str())));
        let fields: Vec<(&str, Value<'_>)> = subject.chain([("left_out", Value::from(*count))]).collect();
        let target = pair.kind.as_ref().map_or(COMMAND, |kind| &kind.target);
        let fields = fields.as_slice();
        let mut record = Record::builder();
        record.level(Level::Warn).target(target).key_values(&fields);
        self.line(&record.args(format_args!("{left_out}")).build())
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
        // Details are asked for, and all of them wanted. Lines from outside are limited where they come from.
        match record.level() <= Level::Info && !OUTSIDE.contains(&record.target()) {
            true => self.write_limited(record),
            false => self.write(record),
        }
    }

    fn flush(&self) {
        self.writer.flush(LONGEST_FLUSH);
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

    #[test]
    fn spans_are_logged_only_if_they_are_named() {
        let enabled = |text: &str, target: &str| {
            filter(text).unwrap().enabled(&Metadata::builder().target(target).level(Level::Debug).build())
        };
        for text in ["debug", "warn,wasmcloud=debug", "wasmcloud=trace/call", "wasmcloud::calls=debug"] {
            assert!(SPANS.iter().all(|target| !enabled(text, target)), "{text}");
        }
        assert!(enabled("warn,wasmcloud=debug", "wasmcloud::run::operation"), "a part of the command is no span");
        assert!(SPANS.iter().all(|target| enabled("warn,wasmcloud::=debug", target)));
        let named = "warn, wasmcloud::call=debug";
        assert!(enabled(named, "wasmcloud::call") && !enabled(named, "wasmcloud::actor"));
        let empty = filter("").unwrap();
        assert_eq!(empty.filter(), LevelFilter::Error);
    }

    /// The variable that makes the next test the process that ends by a panic.
    const PANICS: &str = "WASMCLOUD_TEST_PANICS";

    #[test]
    fn a_panic_that_ends_the_process_is_printed_whatever_is_logged() {
        if std::env::var_os(PANICS).is_some() {
            start(filter("wasmcloud_actor=debug").unwrap(), Format::Text);
            let _ = panic::catch_unwind(|| panic!("the end\nERROR"));
            std::process::abort();
        }
        let name = "logging::tests::a_panic_that_ends_the_process_is_printed_whatever_is_logged";
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", "--nocapture", name]).env(PANICS, "yes").output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("a thread panicked: the end\\nERROR\n"), "{errors}");
        assert!(!output.status.success());
    }
}
