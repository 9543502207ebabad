//! The result of a command: text for standard output, or an error with an exit code.
//!
//! | Exit code | Meaning |
//! |---|---|
//! | 0 | success |
//! | 1 | the command failed |
//! | 2 | the arguments are invalid |
//! | 3 | refused by policy: a signature, trust, permission or update rule does not allow it |
//! | 4 | unreachable: a NATS server, host or registry did not answer |

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style};
use log::Level;
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_core::text::escaped;
use zeroize::Zeroizing;

use crate::logging;

/// The result of a command: the text that it prints. The text is wiped afterwards, because it may contain a seed.
pub(crate) type CommandResult<T = Zeroizing<String>> = Result<T, CommandError>;

/// The error of a command.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The command failed.
    Failed(String),
    /// The arguments are invalid.
    Usage(String),
    /// A rule refused the command: a signature, trust, permissions, or the rules of updates. Repeating it does not help.
    Refused(String),
    /// A NATS server, a host or a registry did not answer. Repeating the command may help.
    Unreachable(String),
    /// The arguments cannot be parsed, or ask for help. clap writes the text.
    Arguments(clap::Error),
}

impl CommandError {
    /// Returns the error of a command with the exit code for a kind of error.
    pub(crate) fn of_kind(kind: ErrorKind, message: String) -> CommandError {
        match kind {
            ErrorKind::CapabilityDenied
            | ErrorKind::InvalidToken
            | ErrorKind::LatticeRefused
            | ErrorKind::MiddlewareRefused
            | ErrorKind::OciDenied
            | ErrorKind::OciRefused
            | ErrorKind::Revoked
            | ErrorKind::Tampered
            | ErrorKind::TokenExpired
            | ErrorKind::TokenNotYetValid
            | ErrorKind::Unauthorized
            | ErrorKind::Unsigned
            | ErrorKind::Untrusted
            | ErrorKind::UpdateRefused => CommandError::Refused(message),
            ErrorKind::LatticeUnavailable | ErrorKind::OciUnavailable => CommandError::Unreachable(message),
            _ => CommandError::Failed(message),
        }
    }

    /// Returns the error of a command whose input file was refused. The file's name follows the cause.
    pub(crate) fn of_file(path: &Path, error: &Error) -> CommandError {
        CommandError::of_kind(error.kind(), format!("{error}; in the file {}", path.display()))
    }

    /// Returns the text of the error.
    pub(crate) fn message(&self) -> String {
        match self {
            CommandError::Failed(message)
            | CommandError::Usage(message)
            | CommandError::Refused(message)
            | CommandError::Unreachable(message) => message.clone(),
            CommandError::Arguments(error) => error.to_string(),
        }
    }

    /// Returns the error with the same exit code and what it happened to.
    pub(crate) fn with_context(self, context: &str) -> CommandError {
        let text = |message: String| format!("{context}: {message}");
        match self {
            CommandError::Failed(message) => CommandError::Failed(text(message)),
            CommandError::Usage(message) => CommandError::Usage(text(message)),
            CommandError::Refused(message) => CommandError::Refused(text(message)),
            CommandError::Unreachable(message) => CommandError::Unreachable(text(message)),
            CommandError::Arguments(error) => CommandError::Arguments(error),
        }
    }

    /// Returns the exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            CommandError::Failed(_) => 1,
            CommandError::Usage(_) => 2,
            CommandError::Refused(_) => 3,
            CommandError::Unreachable(_) => 4,
            CommandError::Arguments(error) => u8::try_from(error.exit_code()).unwrap_or(1),
        }
    }

    /// Prints the error on standard error, and returns the exit code. Help is printed on standard output.
    pub(crate) fn report(self) -> ExitCode {
        let code = ExitCode::from(self.exit_code());
        match self {
            CommandError::Arguments(error) => {
                // A failure to print cannot be reported.
                let _ = error.print();
            }
            other => say(Level::Error, &other.message()),
        }
        code
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> CommandError {
        CommandError::of_kind(error.kind(), error.to_string())
    }
}

/// Prints a warning on standard error, escaped.
pub(crate) fn warn(message: &str) {
    say(Level::Warn, message);
}

/// Prints a message behind a coloured label on standard error, escaped. If the log is in JSON, so is the message.
fn say(level: Level, message: &str) {
    if logging::is_json() {
        return logging::say(level, message);
    }
    let (label, color) = match level {
        Level::Error => ("error", AnsiColor::Red),
        _ => ("warning", AnsiColor::Yellow),
    };
    let style = Style::new().bold().fg_color(Some(color.into()));
    logging::print(&format!("{style}{label}:{style:#} {}\n", escaped(message)));
}

/// Prints the output of a command. Colours in it are left out where `--color` or the terminal asks for that. A reader that
/// closes the pipe early is no error.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut output = anstream::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            CommandError::Failed(format!("cannot write to standard output: {error}")).report()
        }
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the kinds that a row of the table of exit codes in the documentation names.
    fn documented(code: u8) -> Vec<ErrorKind> {
        let row = include_str!("../../../docs/install.md")
            .lines()
            .find(|line| line.starts_with(&format!("| {code} |")))
            .expect("the table has a row for each exit code");
        row.split('`').skip(1).step_by(2).filter_map(ErrorKind::from_name).collect()
    }

    #[test]
    fn each_kind_of_error_has_the_exit_code_that_is_documented() {
        let names = include_str!("../../core/src/error/names.rs");
        let list =
            names.split_once("\nnames! {").and_then(|(_, rest)| rest.split_once('}')).expect("the list of kinds").0;
        let kinds: Vec<ErrorKind> = list.split(',').filter_map(|name| ErrorKind::from_name(name.trim())).collect();
        assert!(kinds.len() > 50, "{kinds:?}");
        let [refused, unreachable] = [documented(3), documented(4)];
        for kind in kinds {
            let expected = match kind {
                _ if refused.contains(&kind) => 3,
                _ if unreachable.contains(&kind) => 4,
                _ => 1,
            };
            assert_eq!(CommandError::from(Error::new(kind, "x")).exit_code(), expected, "{kind:?}");
        }
    }

    #[test]
    fn arguments_that_cannot_be_parsed_end_with_2_and_help_with_0() {
        use clap::error::ErrorKind as Clap;
        let code = |kind| CommandError::Arguments(clap::Error::new(kind)).exit_code();
        assert_eq!((code(Clap::UnknownArgument), code(Clap::DisplayHelp)), (2, 0));
        assert_eq!(CommandError::Usage(String::new()).exit_code(), 2);
        let refused = CommandError::Refused("untrusted".to_owned()).with_context("run 2 of 3");
        assert_eq!((refused.exit_code(), refused.message().as_str()), (3, "run 2 of 3: untrusted"));
    }
}
