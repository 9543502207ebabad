//! The progress of an order that takes long: a line on standard error, if that is a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmcloud_control::ControlEvent;
use wasmcloud_core::text::escaped;

/// The time between two changes of the line.
const TICK: Duration = Duration::from_millis(100);

/// A line that tells what is being done, and for how long. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    doing: String,
}

impl Progress {
    /// Begins to tell what is being done.
    pub(crate) fn begin(doing: String) -> Progress {
        let doing = escaped(&doing).into_owned();
        if !io::stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden(), doing };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(doing.clone());
        bar.enable_steady_tick(TICK);
        Progress { bar, doing }
    }

    /// Tells what a host says meanwhile.
    pub(super) fn tell(&self, event: &ControlEvent) {
        let step = event.detail.get("step").and_then(|step| step.as_str()).unwrap_or(&event.kind);
        self.bar.set_message(format!("{}: {}", self.doing, escaped(step)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
