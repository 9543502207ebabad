//! A record as a line of the log (pure). All of it is escaped and bounded, so that any record stays one
//! line.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style as Ansi};
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use serde::ser::{Serialize, SerializeMap, Serializer};
use wasmcloud_core::text::Escaping;

use crate::time;

/// The longest message, escaped. Unit: bytes.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// The longest name or value of a field, escaped. Unit: bytes.
const LONGEST_VALUE: usize = 1024;

/// The most fields of a line.
const MOST_FIELDS: usize = 32;

/// The length of the host's key in lines of text. The beginning of a key names a host in commands too.
const SHORT_KEY: usize = 8;

/// The names that a line of JSON begins with.
const FIXED: [&str; 4] = ["timestamp", "level", "target", "message"];

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// An object of JSON in each line.
    Json,
}

/// Whether lines of text have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Colored,
}

/// What a line says.
#[derive(Debug)]
pub(super) struct Line {
    level: Level,
    target: String,
    message: String,
    /// The public key of the host.
    host: Option<String>,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    value: FieldValue,
}

#[derive(Debug, PartialEq)]
enum FieldValue {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
}

impl Line {
    /// Returns the line of a record. `host` is the public key of the host.
    pub(super) fn of(record: &Record<'_>, host: Option<&str>) -> Line {
        let mut fields = Fields(Vec::new());
        // Reading fails only when there are too many fields.
        let _ = record.key_values().visit(&mut fields);
        let mut fields = fields.0;
        let own = fields.iter().position(|field| field.name == "host").map(|place| fields.remove(place));
        let own = own.map(|field| field.value.to_string());
        Line {
            level: record.level(),
            target: bounded(record.target(), LONGEST_VALUE),
            message: bounded(record.args(), LONGEST_MESSAGE),
            host: own.or_else(|| host.map(str::to_owned)),
            fields,
        }
    }

    /// Returns the line as it is written, with its end.
    pub(super) fn written(&self, at: SystemTime, format: Format, style: Style) -> String {
        let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = time::format_timestamp(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX));
        match format {
            Format::Json => self.json(&timestamp),
            Format::Text => self.text(&timestamp, style),
        }
    }

    fn json(&self, timestamp: &str) -> String {
        // Maps of texts and numbers can be written.
        let mut text = serde_json::to_string(&JsonLine { line: self, timestamp }).unwrap_or_default();
        text.push('\n');
        text
    }

    fn text(&self, timestamp: &str, style: Style) -> String {
        let Line { level, target, message, host, fields } = self;
        let (ansi, dim) = match style {
            Style::Plain => (Ansi::new(), Ansi::new()),
            Style::Colored => (color(*level), Ansi::new().dimmed()),
        };
        let mut text = format!("{dim}{timestamp}{dim:#} {ansi}{level:5}{ansi:#} {dim}{target}:{dim:#} {message}");
        if let Some(host) = host.as_deref().filter(|host| !message.contains(host)) {
            let short = &host[..host.floor_char_boundary(SHORT_KEY)];
            // Writing to a string does not fail.
            let _ = write!(text, " {dim}host={dim:#}{short}");
        }
        for Field { name, value } in fields {
            let value = value.to_string();
            // A key that the message names is not repeated.
            if value.is_empty() || !message.contains(&value) {
                let _ = write!(text, " {dim}{name}={dim:#}{}", quoted(&value));
            }
        }
        text.push('\n');
        text
    }
}

fn color(level: Level) -> Ansi {
    let color = match level {
        Level::Error => AnsiColor::Red,
        Level::Warn => AnsiColor::Yellow,
        Level::Info => AnsiColor::Green,
        Level::Debug => AnsiColor::Blue,
        Level::Trace => AnsiColor::Cyan,
    };
    Ansi::new().fg_color(Some(color.into()))
}

/// Returns a value in quotation marks if it could be mistaken for several fields.
fn quoted(value: &str) -> String {
    match value.is_empty() || value.contains([' ', '=', '"']) {
        true => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        false => value.to_owned(),
    }
}

struct JsonLine<'a> {
    line: &'a Line,
    timestamp: &'a str,
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Line { level, target, message, host, fields } = self.line;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", self.timestamp)?;
        map.serialize_entry("level", level.as_str())?;
        map.serialize_entry("target", target)?;
        map.serialize_entry("message", message)?;
        if let Some(host) = host {
            map.serialize_entry("host", host)?;
        }
        for Field { name, value } in fields {
            match value {
                FieldValue::Text(text) => map.serialize_entry(name, text)?,
                FieldValue::Number(number) => map.serialize_entry(name, number)?,
                FieldValue::Bool(yes) => map.serialize_entry(name, yes)?,
            }
        }
        map.end()
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Text(text) => f.write_str(text),
            FieldValue::Number(number) => number.fmt(f),
            FieldValue::Bool(yes) => yes.fmt(f),
        }
    }
}

/// Collects the fields of a record. Those without a value are left out, and of several with one name all but the first.
struct Fields(Vec<Field>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut read = ReadValue(None);
        value.visit(&mut read)?;
        let mut name = bounded(key.as_str(), LONGEST_VALUE);
        if FIXED.contains(&name.as_str()) {
            name.insert_str(0, "field_");
        }
        if self.0.len() < MOST_FIELDS
            && let Some(value) = read.0
            && self.0.iter().all(|field| field.name != name)
        {
            self.0.push(Field { name, value });
        }
        Ok(())
    }
}

/// Reads the value of a field.
struct ReadValue(Option<FieldValue>);

impl<'v> VisitValue<'v> for ReadValue {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.0 = Some(FieldValue::Text(bounded(value, LONGEST_VALUE)));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.0 = Some(FieldValue::Number(value.into()));
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.0 = Some(FieldValue::Number(value.into()));
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.0 = Some(FieldValue::Bool(value));
        Ok(())
    }
}

/// Returns a text escaped, and cut at a length.
fn bounded(text: impl fmt::Display, limit: usize) -> String {
    let mut bounded = Bounded { text: String::new(), limit, left_out: 0 };
    // A value whose `Display` fails is shown as far as it was written.
    let _ = write!(Escaping::new(&mut bounded), "{text}");
    let Bounded { mut text, left_out, .. } = bounded;
    if left_out > 0 {
        let _ = write!(text, "... ({left_out} more bytes)");
    }
    text
}

/// A text that takes no more than a number of bytes.
struct Bounded {
    text: String,
    limit: usize,
    left_out: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = if self.left_out == 0 { self.limit - self.text.len() } else { 0 };
        let kept = text.floor_char_boundary(room);
        self.text.push_str(&text[..kept]);
        self.left_out += text.len() - kept;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const HOST: &str = "NCG4IPZSUT4Q5WGYC6DWNC2OKEAGWCJHZIKQ2LHXFPZLHWU6VXSZTZZR";

    fn line(message: &str, fields: &[(&str, Value<'_>)], format: Format) -> String {
        let mut record = Record::builder();
        record.level(Level::Warn).target("wasmcloud_host::x").key_values(&fields);
        let at = UNIX_EPOCH + Duration::from_millis(1_625_131_800_007);
        Line::of(&record.args(format_args!("{message}")).build(), Some(HOST)).written(at, format, Style::Plain)
    }

    #[test]
    fn a_line_of_json_has_ids_and_further_fields() {
        let fields = [
            ("actor", Value::from("MABC")),
            ("call", Value::null()),
            ("left_out", Value::from(7)),
            ("is_last", Value::from(true)),
            ("message", Value::from("another")),
            ("actor", Value::from("MDEF")),
        ];
        let expected = format!(
            "{{\"timestamp\":\"2021-07-01T09:30:00.007Z\",\"level\":\"WARN\",\"target\":\"wasmcloud_host::x\",\"message\":\"it \
             crashed\",\"host\":\"{HOST}\",\"actor\":\"MABC\",\"left_out\":7,\"is_last\":true,\"field_message\":\"another\"}}\n"
        );
        assert_eq!(line("it crashed", &fields, Format::Json), expected);
    }

    #[test]
    fn a_line_of_text_repeats_no_key() {
        let fields =
            [("actor", Value::from("MABC")), ("actor_name", Value::from("My \"own\"")), ("left_out", 7.into())];
        let expected = "2021-07-01T09:30:00.007Z WARN  wasmcloud_host::x: actor MABC crashed host=NCG4IPZS \
                        actor_name=\"My \\\"own\\\"\" left_out=7\n";
        assert_eq!(line("actor MABC crashed", &fields, Format::Text), expected);
        let fields = [("host", Value::from("NOTHER"))];
        assert!(line("x", &fields, Format::Text).ends_with("x host=NOTHER\n"));
    }

    #[test]
    fn long_lines_are_cut() {
        let many: Vec<(String, String)> = (0..50).map(|number| (format!("k{number}"), "v".repeat(5000))).collect();
        let fields: Vec<(&str, Value<'_>)> =
            many.iter().map(|(key, value)| (key.as_str(), value.as_str().into())).collect();
        let written = line(&"é\n".repeat(1_000_000), &fields, Format::Json);
        assert!(written.len() < 60_000, "{}", written.len());
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert!(read["message"].as_str().unwrap().ends_with("... (3983616 more bytes)"), "{}", read["message"]);
        assert!(read["k31"].as_str().unwrap().ends_with("... (3976 more bytes)") && read["k32"].is_null());
    }

    proptest! {
        #[test]
        fn whatever_is_logged_is_one_line_without_control_characters(
            message: String, key in "[a-z]{1,8}", value: String, format in prop_oneof![Just(Format::Text), Just(Format::Json)]
        ) {
            let written = line(&message, &[(&key, Value::from(value.as_str()))], format);
            let text = written.strip_suffix('\n').unwrap();
            prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
            prop_assert_eq!(wasmcloud_core::text::escaped(text), text);
            if format == Format::Json {
                let read: serde_json::Value = serde_json::from_str(text).unwrap();
                prop_assert_eq!(read["message"].as_str().unwrap(), bounded(&message, LONGEST_MESSAGE));
            }
        }
    }
}
