//! A record as a line of the log (pure). All of it is escaped and bounded, so that any record stays one line. In a line of
//! text, the fields precede the message, so that no message can pass for them.

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

/// The length of a public key.
const KEY: usize = 56;

/// The names that a line of JSON begins with.
const FIXED: [&str; 4] = ["timestamp", "level", "target", "message"];

/// The targets of lines that actors and providers write.
pub(super) const OUTSIDE: [&str; 3] = ["wasmcloud_actor", "wasmcloud_provider", "wasmcloud_host::guest"];

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
        let Line { level, target, message, .. } = self;
        let (ansi, dim) = match style {
            Style::Plain => (Ansi::new(), Ansi::new()),
            Style::Colored => (color(*level), Ansi::new().dimmed()),
        };
        let fields = self.fields_before_text(dim);
        let mut text = format!("{dim}{timestamp}{dim:#} {ansi}{level:5}{ansi:#} {dim}{target}{dim:#}");
        // Writing to a string does not fail.
        let _ = match fields.is_empty() {
            true => writeln!(text, "{dim}:{dim:#} {message}"),
            false => writeln!(text, " {dim}[{dim:#}{fields}{dim}]:{dim:#} {message}"),
        };
        text
    }

    /// Returns the fields as a line of text has them. A public key that the message names is not repeated.
    fn fields_before_text(&self, dim: Ansi) -> String {
        let mut shown: Vec<String> = Vec::new();
        if let Some(host) = self.host.as_deref().filter(|host| !self.names(host)) {
            let short = &host[..host.floor_char_boundary(SHORT_KEY)];
            shown.push(format!("{dim}host={dim:#}{}", quoted(short)));
        }
        for Field { name, value } in &self.fields {
            let value = value.to_string();
            if !self.names(&value) {
                shown.push(format!("{dim}{name}={dim:#}{}", quoted(&value)));
            }
        }
        shown.join(" ")
    }

    /// Returns whether the message names a public key, and is the host's own. Others could name any.
    fn names(&self, value: &str) -> bool {
        let mut places = self.message.match_indices(value);
        let is_whole = |at: usize| {
            let before = self.message[..at].chars().next_back();
            let after = self.message[at + value.len()..].chars().next();
            ![before, after].into_iter().flatten().any(char::is_alphanumeric)
        };
        is_key(value) && !OUTSIDE.contains(&self.target.as_str()) && places.any(|(at, _)| is_whole(at))
    }
}

/// Returns whether a text is a public key, or one with a link name.
fn is_key(text: &str) -> bool {
    let is_of_key = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    text.split_at_checked(KEY)
        .is_some_and(|(key, rest)| key.bytes().all(is_of_key) && (rest.is_empty() || rest.starts_with('/')))
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

/// Returns a value in quotation marks if it could be mistaken for several fields, or for their end.
fn quoted(value: &str) -> String {
    match value.is_empty() || value.contains([' ', '=', '"', '[', ']']) {
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
mod tests;
