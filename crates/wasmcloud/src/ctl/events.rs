//! `wasmcloud ctl events`: prints what hosts tell.

use std::io::{self, Write};

use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use wasmcloud_control::{ControlEvent, EventFilter};
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_core::text::escaped;

use super::Session;
use crate::outcome::{self, CommandError, CommandResult};
use crate::{description, time};

/// Prints the events of hosts as they come.
///
/// An event is a line, or an object of JSON in a line with `--output json`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl events --follow
  wasmcloud ctl events --follow --failures --output json
  wasmcloud ctl events --kind actor_started --kind actor_stopped --count 1 --timeout 1m")]
pub(super) struct Events {
    /// Prints events until it is interrupted. Default: for the time of --timeout.
    #[arg(long, short)]
    follow: bool,

    /// Ends after this many events.
    #[arg(long, value_name = "NUMBER")]
    count: Option<usize>,

    /// The kind of events, such as actor_started. Repeat it for further kinds. Default: all.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,

    /// The only host, by its public key or the beginning of it.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Prints events that tell of a failure, and no others.
    #[arg(long)]
    failures: bool,
}

impl Events {
    fn is_wanted(&self, event: &ControlEvent) -> bool {
        (self.kind.is_empty() || self.kind.contains(&event.kind)) && (!self.failures || event.is_failure())
    }
}

pub(super) async fn run(command: Events, session: &Session) -> CommandResult {
    let host = match &command.host {
        Some(host) => Some(session.host(host).await?),
        None => None,
    };
    let kind = if let [kind] = command.kind.as_slice() { Some(kind.clone()) } else { None };
    let mut events = session.client().events(&EventFilter { host, kind }).await?;
    let end = Instant::now() + session.timeout();
    let mut left = command.count.unwrap_or(usize::MAX);
    while left > 0 {
        let next = tokio::select! {
            next = events.next() => next,
            () = sleep_until(end), if !command.follow => break,
        };
        match next {
            Some(Ok(event)) if command.is_wanted(&event) => {
                if !print(&event, session.is_json())? {
                    break;
                }
                left -= 1;
            }
            Some(Ok(_)) => {}
            Some(Err(error)) if error.kind() == ErrorKind::Unsupported => outcome::warn(&error.to_string()),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Error::new(ErrorKind::LatticeUnavailable, "the connection was closed").into()),
        }
    }
    Ok(String::new().into())
}

/// Prints an event. Returns whether the reader wants more of them.
fn print(event: &ControlEvent, as_json: bool) -> CommandResult<bool> {
    let line = if as_json { description::json_line(event)? } else { line(event).into() };
    let mut output = io::stdout().lock();
    match output.write_all(line.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::Failed(format!("cannot write to standard output: {error}"))),
    }
}

/// Returns an event as a line: the time, the host, the kind, and what else there is by its name.
fn line(event: &ControlEvent) -> String {
    let mut line = format!("{}  {}  {}", time::format_date(event.at / 1000), event.host, event.kind);
    let named = [
        ("actor", &event.actor),
        ("provider", &event.provider),
        ("contract", &event.contract_id),
        ("link_name", &event.link_name),
        ("name", &event.name),
        ("image", &event.image_ref),
        ("request", &event.request),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            line.push_str(&format!("  {name}={value}"));
        }
    }
    for (name, value) in &event.detail {
        let value = value.as_str().map_or_else(|| Value::to_string(value), str::to_owned);
        line.push_str(&format!("  {name}={value}"));
    }
    if let Some(failure) = &event.failure {
        line.push_str(&format!("  failure: {failure}"));
    }
    format!("{}\n", escaped(&line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let error = Error::new(ErrorKind::LinkRefused, "the port is taken\n\u{1b}[2J");
        let mut event = ControlEvent::new("link_refused").with("elapsed_ms", 7).failed(&error);
        event.host = "N".to_owned();
        event.actor = Some("M\r".to_owned());
        assert_eq!(
            line(&event),
            "1970-01-01 00:00:00 UTC  N  link_refused  actor=M\\r  elapsed_ms=7  failure: the port is taken\\n\\u{1b}[2J\n"
        );
    }
}
