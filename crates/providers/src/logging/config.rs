//! The configuration of a link, parsed from its values.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use log::LevelFilter;
use wasmcloud_core::limited_log::LogRate;

use super::super::link_values::{LinkValues, link_values};
use super::Logging;
use super::payloads::parse_level;

/// Number of bytes that `printable` keeps of a text.
const MAX_TEXT_BYTES: u32 = 8192;

const RATE_RANGE: RangeInclusive<u32> = 1..=1_000_000;

link_values! {
    Logging:
    "LEVEL"
        => "Least severe level that is logged: `error`, `warn`, `info`, `debug`, `trace`, or `off` for none.",
        "`trace`";
    "LINES_PER_SECOND"
        => "Sustained rate of lines, and again of warnings and errors. Unit: lines per second. Range: 1 to 1000000.",
        "`100`";
    "BURST"
        => "Maximum number of lines at once after a pause, and again of warnings and errors. Range: 1 to 1000000.",
        "`500`";
    "TEXT_LIMIT"
        => "Number of bytes that are kept of a line's text. Unit: bytes. Range: 1 to 8192.",
        "`8192` (8 KiB)";
}

/// The configuration of a link.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogConfig {
    pub(super) level: LevelFilter,
    pub(super) rate: LogRate,
    pub(super) text_limit: usize,
}

impl LogConfig {
    /// Parses the values of a link.
    ///
    /// # Errors
    /// Names the value that is unknown or invalid.
    pub(super) fn from_link_values(values: &HashMap<String, String>) -> Result<LogConfig, String> {
        let values = LinkValues::check(values, Logging::LINK_VALUES)?;
        let default = LogRate::default();
        Ok(LogConfig {
            level: level(values.get("LEVEL"))?,
            rate: LogRate {
                per_second: values.number("LINES_PER_SECOND", default.per_second, RATE_RANGE)?,
                burst: values.number("BURST", default.burst, RATE_RANGE)?,
            },
            text_limit: values.number("TEXT_LIMIT", MAX_TEXT_BYTES, 1..=MAX_TEXT_BYTES)? as usize,
        })
    }
}

fn level(text: Option<&str>) -> Result<LevelFilter, String> {
    let Some(text) = text else { return Ok(LevelFilter::Trace) };
    let level = parse_level(text).ok_or_else(|| {
        format!("the value LEVEL={text:?} is not a level: use error, warn, info, debug, trace or off")
    })?;
    Ok(level.map_or(LevelFilter::Off, |level| level.to_level_filter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<LogConfig, String> {
        LogConfig::from_link_values(&values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn values_are_parsed() {
        let rate = LogRate { per_second: 100, burst: 500 };
        let default = LogConfig { level: LevelFilter::Trace, rate, text_limit: 8192 };
        assert_eq!(read(&[]), Ok(default));
        let values = [("LEVEL", " Warn "), ("LINES_PER_SECOND", "1"), ("BURST", "2"), ("TEXT_LIMIT", "3")];
        let rate = LogRate { per_second: 1, burst: 2 };
        let config = LogConfig { level: LevelFilter::Warn, rate, text_limit: 3 };
        assert_eq!(read(&values), Ok(config));
        assert_eq!(read(&[("LEVEL", "off")]).unwrap().level, LevelFilter::Off);
    }

    #[test]
    fn an_invalid_value_is_named() {
        for (key, text) in [
            ("LEVEL", "loud"),
            ("LINES_PER_SECOND", "0"),
            ("LINES_PER_SECOND", "many"),
            ("BURST", "-1"),
            ("TEXT_LIMIT", "8193"),
        ] {
            let refusal = read(&[(key, text)]).unwrap_err();
            assert!(refusal.contains(key) && refusal.contains(text), "{refusal}");
        }
    }
}
