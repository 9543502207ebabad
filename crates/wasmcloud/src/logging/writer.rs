//! The queue of the log, and the thread that writes it to standard error. Nothing that logs waits for the reader of the log.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most bytes that wait to be written. Further lines are left out until there is room.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How often the thread reports lines that were left out.
const PERIOD: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the reader of the log.
const LONGEST_FLUSH: Duration = Duration::from_secs(2);

/// Returns the lines that are due, as text. It is told how many lines found no room.
type Report = fn(dropped: u64) -> String;

/// The queue of lines.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There are lines, or none any more.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<String>,
    bytes: usize,
    /// How many lines found no room.
    dropped: u64,
    /// Whether lines are being written.
    is_writing: bool,
    /// Whether there is no thread, so that lines are written at once.
    is_alone: bool,
}

impl Writer {
    /// Starts the thread. `report` is asked each second for further lines.
    pub(super) fn start(report: Report) -> Writer {
        let shared = Arc::new(Shared::default());
        let thread = shared.clone();
        let started = std::thread::Builder::new().name("log".to_owned()).spawn(move || thread.write_all(report));
        shared.queue().is_alone = started.is_err();
        Writer(shared)
    }

    /// Queues a line. It is dropped if there is no room, and counted.
    pub(super) fn push(&self, line: String) {
        let mut queue = self.0.queue();
        if queue.is_alone {
            return write(&line);
        }
        if queue.bytes + line.len() > MOST_BYTES {
            queue.dropped += 1;
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        drop(queue);
        self.0.changed.notify_all();
    }

    /// Waits until all lines are written, or the reader of the log takes too long.
    pub(super) fn flush(&self) {
        let is_busy = |queue: &mut Queue| !queue.lines.is_empty() || queue.is_writing;
        let waited = self.0.changed.wait_timeout_while(self.0.queue(), LONGEST_FLUSH, is_busy);
        drop(waited);
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic cannot leave the queue inconsistent: nothing that is done under its lock panics.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines until the process ends.
    fn write_all(&self, report: Report) {
        let mut due = Instant::now() + PERIOD;
        loop {
            let now = Instant::now();
            let dropped = if now >= due { Some(std::mem::take(&mut self.queue().dropped)) } else { None };
            if let Some(dropped) = dropped {
                write(&report(dropped));
                due = now + PERIOD;
            }
            write(&self.next(due.saturating_duration_since(now)));
            self.queue().is_writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits for lines, and takes all that are there.
    fn next(&self, within: Duration) -> String {
        let waited = self.changed.wait_timeout_while(self.queue(), within, |queue| queue.lines.is_empty());
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.is_writing = !queue.lines.is_empty();
        queue.bytes = 0;
        queue.lines.drain(..).collect()
    }
}

/// Writes text to standard error. A reader that is gone is no reason to end.
fn write(text: &str) {
    if !text.is_empty() {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
