//! Shows on a terminal how a transfer advances.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmcloud_host::oci::Progress;

/// A bar on standard error, if that is a terminal.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Returns a bar that says what is transferred. It appears when the transfer begins.
    pub(super) fn new(doing: &'static str) -> Bar {
        let bar = ProgressBar::with_draw_target(None, target());
        bar.set_style(style());
        bar.set_message(doing);
        Bar(bar)
    }
}

impl Drop for Bar {
    /// Removes the bar: a report or an error takes its place.
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn started(&self, total: u64) {
        self.0.set_length(total);
        self.0.reset();
    }

    fn advanced(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn finished(&self) {
        self.0.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn style() -> ProgressStyle {
    let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    // The template is known to be valid; a plain bar would do as well.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
