//! What a command ends with: text for standard output, or a failure. Exit codes: 0 for what was done, 1 for what failed or
//! was refused, 2 for what cannot be asked for.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use wasmcloud_core::text::escaped;
use zeroize::Zeroizing;

/// The text that a command prints, wiped afterwards because a seed may have been asked for.
pub(crate) type Outcome<T = Zeroizing<String>> = Result<T, Failure>;

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be asked for like this.
    Usage(String),
    /// It was refused, or did not work.
    Refused(String),
    /// The arguments were not understood, or help was asked for: clap knows what to say.
    Arguments(clap::Error),
}

impl Failure {
    /// Returns the failure of a command whose input file was refused. The file's name follows the cause.
    pub(crate) fn of_file(path: &Path, error: &impl std::fmt::Display) -> Failure {
        Failure::Refused(format!("{error}; in the file {}", path.display()))
    }

    /// Says on standard error what is wrong.
    pub(crate) fn report(self) -> ExitCode {
        let (message, code) = match self {
            Failure::Usage(message) => (message, 2),
            Failure::Refused(message) => (message, 1),
            Failure::Arguments(error) => {
                // There is nobody left to tell when this fails.
                let _ = error.print();
                return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
            }
        };
        let _ = writeln!(io::stderr(), "error: {}", escaped(&message));
        ExitCode::from(code)
    }
}

impl From<wasmcloud_core::error::Error> for Failure {
    fn from(error: wasmcloud_core::error::Error) -> Failure {
        Failure::Refused(error.to_string())
    }
}

/// Prints a warning on standard error, escaped.
pub(crate) fn warn(message: &str) {
    // There is nobody left to tell when this fails.
    let _ = writeln!(io::stderr(), "warning: {}", escaped(message));
}

/// Prints what a command has to say. Whoever reads no further has read enough.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Failure::Refused(format!("cannot write to standard output: {error}")).report()
        }
        _ => ExitCode::SUCCESS,
    }
}
