//! The result of a command: text for standard output, or an error. Exit codes: 0 for success, 1 for a failure, 2 for invalid
//! arguments.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use wasmcloud_core::text::escaped;
use zeroize::Zeroizing;

/// The result of a command: the text that it prints. The text is wiped afterwards, because it may contain a seed.
pub(crate) type CommandResult<T = Zeroizing<String>> = Result<T, CommandError>;

/// The error of a command.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The arguments are invalid.
    Usage(String),
    /// The command failed.
    Failed(String),
    /// The arguments cannot be parsed, or ask for help. clap writes the text.
    Arguments(clap::Error),
}

impl CommandError {
    /// Returns the error of a command whose input file was refused. The file's name follows the cause.
    pub(crate) fn of_file(path: &Path, error: &impl std::fmt::Display) -> CommandError {
        CommandError::Failed(format!("{error}; in the file {}", path.display()))
    }

    /// Prints the error on standard error, and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (message, code) = match self {
            CommandError::Usage(message) => (message, 2),
            CommandError::Failed(message) => (message, 1),
            CommandError::Arguments(error) => {
                // A failure to print cannot be reported.
                let _ = error.print();
                return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
            }
        };
        let _ = writeln!(io::stderr(), "error: {}", escaped(&message));
        ExitCode::from(code)
    }
}

impl From<wasmcloud_core::error::Error> for CommandError {
    fn from(error: wasmcloud_core::error::Error) -> CommandError {
        CommandError::Failed(error.to_string())
    }
}

/// Prints a warning on standard error, escaped.
pub(crate) fn warn(message: &str) {
    // A failure to print cannot be reported.
    let _ = writeln!(io::stderr(), "warning: {}", escaped(message));
}

/// Prints the output of a command. A reader that closes the pipe early is no error.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            CommandError::Failed(format!("cannot write to standard output: {error}")).report()
        }
        _ => ExitCode::SUCCESS,
    }
}
