//! The queue of the log, and the thread that writes it. Nothing that logs waits for the reader of the log, but a panic does
//! for a moment.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most bytes that wait to be written or are being written. Further lines are left out until there is room.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Room that other lines than warnings and errors leave. Unit: bytes.
const RESERVED_BYTES: usize = 1024 * 1024;

/// The most bytes that are written at once, but for a longer line.
const PIECE: usize = 64 * 1024;

/// How often the thread reports lines that were left out.
const PERIOD: Duration = Duration::from_secs(1);

/// Returns the lines that are due, as text. It is told how many lines found no room.
type Report = fn(dropped: u64) -> String;

/// How much a line matters when there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Normal,
    /// A warning or an error.
    Alarm,
}

/// The queue of lines.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// There are lines, or none any more.
    changed: Condvar,
    sink: Mutex<Box<dyn Write + Send>>,
    report: Report,
    /// Held while a report is made, so that it is queued before others find the queue empty.
    reporting: Mutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<String>,
    /// The bytes of the lines that are not written yet.
    bytes: usize,
    /// How many lines found no room.
    dropped: u64,
    /// Whether lines are being written.
    is_writing: bool,
    /// Whether the reader has taken nothing since it was last waited for in vain.
    is_stuck: bool,
    /// Whether there is no thread, so that lines are written at once.
    is_alone: bool,
}

impl Writer {
    /// Starts the thread, which writes to `sink`. `report` is asked each second for further lines.
    pub(super) fn start(sink: Box<dyn Write + Send>, report: Report) -> Writer {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            sink: Mutex::new(sink),
            report,
            reporting: Mutex::default(),
        });
        let thread = shared.clone();
        let started = std::thread::Builder::new().name("log".to_owned()).spawn(move || thread.write_all());
        shared.queue().is_alone = started.is_err();
        Writer(shared)
    }

    /// Queues a line. It is dropped if there is no room, and counted.
    pub(super) fn push(&self, line: String, weight: Weight) {
        let mut queue = self.0.queue();
        if queue.is_alone {
            drop(queue);
            return self.0.write(&line);
        }
        let room = if weight == Weight::Alarm { MOST_BYTES } else { MOST_BYTES - RESERVED_BYTES };
        if queue.bytes + line.len() > room {
            queue.dropped += 1;
            return;
        }
        self.0.add(queue, line);
    }

    /// Waits until all lines are written, with a report of those that were left out, or until the time is over.
    pub(super) fn flush(&self, within: Duration) {
        self.0.add_report();
        self.wait(within);
    }

    /// Waits until all lines are written, or until the time is over. A reader that has made others wait in vain is not waited
    /// for until it goes on.
    pub(super) fn flush_unless_stuck(&self, within: Duration) {
        if !self.0.queue().is_stuck {
            self.wait(within);
        }
    }

    fn wait(&self, within: Duration) {
        let is_busy = |queue: &mut Queue| !queue.lines.is_empty() || queue.is_writing;
        let waited = self.0.changed.wait_timeout_while(self.0.queue(), within, is_busy);
        let (mut queue, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.is_stuck |= timeout.timed_out();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic cannot leave the queue inconsistent: nothing that is done under its lock panics.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, mut queue: MutexGuard<'_, Queue>, text: String) {
        queue.bytes += text.len();
        queue.lines.push_back(text);
        drop(queue);
        self.changed.notify_all();
    }

    /// Queues the lines that tell how many others were left out. There is room for them in any case: the thread makes a report
    /// only when it has written the one before.
    fn add_report(&self) {
        let reporting = self.reporting.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = std::mem::take(&mut self.queue().dropped);
        let report = (self.report)(dropped);
        if !report.is_empty() {
            self.add(self.queue(), report);
        }
        drop(reporting);
    }

    /// Writes lines until the process ends.
    fn write_all(&self) {
        let mut due = Instant::now() + PERIOD;
        loop {
            let now = Instant::now();
            if now >= due {
                self.add_report();
                due = now + PERIOD;
            }
            let mut piece = String::new();
            for line in self.next(due.saturating_duration_since(now)) {
                piece.push_str(&line);
                if piece.len() >= PIECE {
                    self.write_piece(&mut piece);
                }
            }
            self.write_piece(&mut piece);
            self.queue().is_writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits for lines, and takes all that are there.
    fn next(&self, within: Duration) -> VecDeque<String> {
        let waited = self.changed.wait_timeout_while(self.queue(), within, |queue| queue.lines.is_empty());
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.is_writing = !queue.lines.is_empty();
        std::mem::take(&mut queue.lines)
    }

    fn write_piece(&self, piece: &mut String) {
        if piece.is_empty() {
            return;
        }
        self.write(piece);
        let mut queue = self.queue();
        queue.bytes -= piece.len();
        queue.is_stuck = false;
        drop(queue);
        piece.clear();
    }

    /// Writes text. A reader that is gone is no reason to end.
    fn write(&self, text: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = sink.write_all(text.as_bytes());
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A reader that takes nothing until it is opened.
    #[derive(Debug, Clone, Default)]
    struct Reader(Arc<(Mutex<Read>, Condvar)>);

    #[derive(Debug, Default)]
    struct Read {
        is_open: bool,
        text: String,
    }

    impl Reader {
        fn open(&self) {
            self.0.0.lock().unwrap().is_open = true;
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            self.0.0.lock().unwrap().text.clone()
        }
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut read = self.0.1.wait_while(self.0.0.lock().unwrap(), |read| !read.is_open).unwrap();
            read.text.push_str(str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer() -> (Writer, Reader) {
        let reader = Reader::default();
        let report: Report = |dropped| if dropped > 0 { format!("dropped {dropped}\n") } else { String::new() };
        (Writer::start(Box::new(reader.clone()), report), reader)
    }

    /// The number of lines that a text says were dropped.
    fn dropped(text: &str) -> usize {
        text.lines().filter_map(|line| line.strip_prefix("dropped ")?.parse::<usize>().ok()).sum()
    }

    #[test]
    fn a_reader_that_takes_nothing_holds_up_no_one_and_hides_no_error() {
        let (writer, reader) = writer();
        let line = format!("{}\n", "x".repeat(64 * 1024 - 1));
        (0..200).for_each(|_| writer.push(line.clone(), Weight::Normal));
        (0..10).for_each(|number| writer.push(format!("error {number}\n"), Weight::Alarm));
        writer.push("late\n".repeat(30_000), Weight::Normal);
        writer.flush(Duration::from_millis(1));
        writer.flush_unless_stuck(LONG);
        reader.open();
        writer.flush(LONG);
        let text = reader.text();
        let written = text.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!(written, (MOST_BYTES - RESERVED_BYTES) / line.len(), "what is being written counts too");
        assert_eq!(text.lines().filter(|line| line.starts_with("error ")).count(), 10);
        assert_eq!(dropped(&text), 200 - written + 1);
    }

    #[test]
    fn the_end_tells_what_was_dropped_last() {
        let (writer, reader) = writer();
        reader.open();
        writer.push("x".repeat(MOST_BYTES + 1), Weight::Alarm);
        writer.push("last\n".to_owned(), Weight::Normal);
        writer.flush(LONG);
        assert_eq!((dropped(&reader.text()), reader.text().contains("last\n")), (1, true));
    }
}
