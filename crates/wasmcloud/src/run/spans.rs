//! The export of the host's spans, if a collector is named.

use super::catalogue::{OTLP_ENDPOINT, TRACE_SAMPLING};
use super::settings::Settings;
use crate::outcome::CommandResult;

/// The export of spans of this process.
#[derive(Debug)]
pub(super) struct SpanExport {
    #[cfg(feature = "otlp")]
    export: Option<wasmcloud_host::otlp::OtlpExport>,
}

/// Returns the share of traces that the settings let be sampled.
///
/// # Errors
/// `Usage` for a value that is no share.
pub(super) fn sampling(settings: &Settings) -> CommandResult<f64> {
    let share = settings.number::<f64>(&TRACE_SAMPLING)?.unwrap_or(1.0);
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(settings.invalid(&TRACE_SAMPLING, "a share is a number from 0 to 1, such as 0.01"))
}

#[cfg(feature = "otlp")]
mod export {
    use std::fmt::{self, Write as _};
    use std::time::Duration;

    use tracing::field::{Field, Visit};
    use tracing::level_filters::LevelFilter;
    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;
    use wasmcloud_core::text::escaped;
    use wasmcloud_host::HostBuilder;
    use wasmcloud_host::otlp::{OtlpExport, OtlpOptions};

    use super::{OTLP_ENDPOINT, Settings, SpanExport};
    use crate::outcome::{self, CommandResult};

    /// How long the end of the process waits for the collector.
    const LAST_EXPORT: Duration = Duration::from_secs(2);

    impl SpanExport {
        /// Begins to export spans, if a collector is named.
        ///
        /// # Errors
        /// `Usage` for an endpoint that is no URL.
        pub(in crate::run) fn begin(settings: &Settings) -> CommandResult<SpanExport> {
            let Some(endpoint) = settings.text(&OTLP_ENDPOINT) else { return Ok(SpanExport { export: None }) };
            let export = OtlpExport::start(OtlpOptions::new(endpoint));
            let export = export.map_err(|error| settings.invalid(&OTLP_ENDPOINT, error))?;
            let is_logged = filter_fn(|metadata| metadata.is_event() && *metadata.level() <= most_verbose());
            let forward = Forward.with_filter(is_logged.with_max_level_hint(most_verbose()));
            let installed = tracing_subscriber::registry().with(export.layer()).with(forward).try_init();
            if let Err(error) = installed {
                outcome::warn(&format!("spans are not exported: {error}"));
            }
            Ok(SpanExport { export: Some(export) })
        }

        /// Returns a host whose metrics say what becomes of its spans.
        pub(in crate::run) fn counted_by(&self, builder: HostBuilder) -> HostBuilder {
            match &self.export {
                Some(export) => builder.with_span_export(export.clone()),
                None => builder,
            }
        }

        /// Exports the last spans.
        pub(in crate::run) fn end(self) {
            if let Some(Err(error)) = self.export.map(|export| export.shutdown(LAST_EXPORT)) {
                outcome::warn(&error.to_string());
            }
        }
    }

    /// Returns the level up to which the log is written.
    fn most_verbose() -> LevelFilter {
        match log::max_level() {
            log::LevelFilter::Off => LevelFilter::OFF,
            log::LevelFilter::Error => LevelFilter::ERROR,
            log::LevelFilter::Warn => LevelFilter::WARN,
            log::LevelFilter::Info => LevelFilter::INFO,
            log::LevelFilter::Debug => LevelFilter::DEBUG,
            log::LevelFilter::Trace => LevelFilter::TRACE,
        }
    }

    /// Writes the events of libraries to the log. Without a subscriber, `tracing` does so itself.
    struct Forward;

    impl<S: Subscriber> Layer<S> for Forward {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            let level = match *metadata.level() {
                Level::ERROR => log::Level::Error,
                Level::WARN => log::Level::Warn,
                Level::INFO => log::Level::Info,
                Level::DEBUG => log::Level::Debug,
                Level::TRACE => log::Level::Trace,
            };
            if !log::log_enabled!(target: metadata.target(), level) {
                return;
            }
            let mut text = Text::default();
            event.record(&mut text);
            log::log!(target: metadata.target(), level, "{}", escaped(&text.0));
        }
    }

    /// The message of an event, followed by its fields.
    #[derive(Default)]
    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let separator = if self.0.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = match field.name() {
                "message" => write!(self.0, "{separator}{value:?}"),
                name => write!(self.0, "{separator}{name}={value:?}"),
            };
        }
    }
}

#[cfg(not(feature = "otlp"))]
mod export {
    use wasmcloud_core::error::{Error, ErrorKind};
    use wasmcloud_host::HostBuilder;

    use super::super::origin::Origin;
    use super::{OTLP_ENDPOINT, Settings, SpanExport};
    use crate::outcome::{self, CommandResult};

    impl SpanExport {
        /// Says that spans are not exported, if a collector is named.
        ///
        /// # Errors
        /// `Unsupported`, unless only the environment names a collector, which other programs read too.
        pub(in crate::run) fn begin(settings: &Settings) -> CommandResult<SpanExport> {
            let message = "spans are not exported: this program was built without the feature otlp: build it with \
                           `cargo build --release -p wasmcloud --features otlp`, or leave the endpoint out";
            match settings.origin(&OTLP_ENDPOINT) {
                Origin::Default => {}
                Origin::Environment => outcome::warn(message),
                Origin::Flag | Origin::File => return Err(Error::new(ErrorKind::Unsupported, message).into()),
            }
            Ok(SpanExport {})
        }

        pub(in crate::run) fn counted_by(&self, builder: HostBuilder) -> HostBuilder {
            builder
        }

        pub(in crate::run) fn end(self) {}
    }
}
