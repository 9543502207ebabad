//! What commands that stay say while they run.

use std::io::{self, Write as _};

use log::Level;
use wasmcloud_core::text::escaped;

use crate::logging;

/// Prints lines on standard output at once. A reader that is gone is no reason to end.
pub(crate) fn lines(text: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}

/// Prints a note on standard error, escaped.
pub(crate) fn note(message: &str) {
    if logging::is_json() {
        return logging::say(Level::Info, message);
    }
    logging::print(&format!("wasmcloud: {}\n", escaped(message)));
}
