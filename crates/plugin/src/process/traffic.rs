//! The two threads of a line: one reads what a plugin's process sends, the other writes what is sent to it. Neither waits
//! for the other, and no shard copies, encodes or decodes a frame.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::Receiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use wasmcloud_core::error::{Result, printable};

use super::line::{Line, Outgoing};
use crate::admission::Admission;
use crate::budget::Reserved;
use crate::frames::{self, ToHost, ToPlugin};
use crate::order::{ActorRequest, Outcome};

/// How long a process may take nothing of what is sent to it.
const STALLED: Duration = Duration::from_secs(10);

/// How many bytes of small frames are written at once.
const BATCH: usize = 64 * 1024;

/// A call to an actor that a process has asked for.
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) request: ActorRequest,
    pub(super) held: Reserved,
}

/// Starts the thread that reads. The answer tells why it has ended.
///
/// # Errors
/// Where the operating system has no thread to give.
pub(super) fn start_reading(
    socket: UnixStream,
    line: Arc<Line>,
    admission: Admission,
    calls: UnboundedSender<Asked>,
) -> std::io::Result<oneshot::Receiver<Result<()>>> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("plugin-reads".to_owned()).spawn(move || {
        let read = read(&socket, &line, &admission, &calls);
        // Where nobody listens, nobody wants to know.
        let _ = ended.send(read);
    })?;
    Ok(end)
}

/// Takes what comes from a process, until the line ends.
///
/// # Errors
/// What the process does that no process should.
fn read(socket: &UnixStream, line: &Line, admission: &Admission, calls: &UnboundedSender<Asked>) -> Result<()> {
    let largest = frames::largest_to_host(admission.largest_message());
    let mut from = BufReader::with_capacity(BATCH, socket);
    while let Some(frame) = frames::receive(&mut from, largest)? {
        match frame {
            ToHost::Done { id, outcome } => line.bring(id, outcome)?,
            ToHost::CallActor { id, request } => match admission.take_request(&request) {
                // Where nobody takes it, the provider is just being dropped, and its process ends.
                Ok(held) => drop(calls.send(Asked { id, request, held })),
                Err(refusal) => answer(line, admission, id, Err(refusal)),
            },
            ToHost::Log { level, text } => {
                log::log!(level_of(level), "{}: {}", line.name(), printable(text.as_bytes()))
            }
        }
    }
    Ok(())
}

/// Sends a process what came of its call to an actor. One that has not even room for a refusal is condemned.
pub(super) fn answer(line: &Line, admission: &Admission, id: u64, outcome: Outcome) {
    match admission.keep(outcome) {
        (outcome, held @ Some(_)) => {
            // A process that has ended needs no answer.
            line.send(Outgoing { frame: ToPlugin::Answer { id, outcome }, held });
        }
        (_, None) => line.condemn("it does not take the answers to its calls".to_owned()),
    }
}

fn level_of(level: u32) -> log::Level {
    match level {
        1 => log::Level::Error,
        2 => log::Level::Warn,
        4 => log::Level::Debug,
        5 => log::Level::Trace,
        _ => log::Level::Info,
    }
}

/// Starts the thread that writes. It ends with the line, or when the process takes nothing any more.
///
/// # Errors
/// Where the operating system has no thread to give.
pub(super) fn start_writing(socket: UnixStream, line: Weak<Line>, outgoing: Receiver<Outgoing>) -> std::io::Result<()> {
    socket.set_write_timeout(Some(STALLED))?;
    std::thread::Builder::new().name("plugin-writes".to_owned()).spawn(move || {
        if let Err(why) = write(&socket, &outgoing)
            && let Some(line) = line.upgrade()
        {
            line.condemn(why);
        }
    })?;
    Ok(())
}

/// Writes what is to be sent, until nobody sends any more or nobody takes it.
///
/// # Errors
/// Why the process has to be ended.
fn write(mut socket: &UnixStream, outgoing: &Receiver<Outgoing>) -> Result<(), String> {
    while let Ok(first) = outgoing.recv() {
        let mut bytes = Vec::new();
        // Given back once it is written.
        let mut held = Vec::new();
        let mut next = Some(first);
        while let Some(Outgoing { frame, held: of_this }) = next {
            frames::encode_onto(&mut bytes, &frame).map_err(|error| error.to_string())?;
            held.push(of_this);
            next = if bytes.len() < BATCH { outgoing.try_recv().ok() } else { None };
        }
        if let Err(error) = socket.write_all(&bytes) {
            let stalled = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            // Whoever reads sees that the line is cut.
            return if stalled { Err(format!("it took nothing of what it was sent for {STALLED:?}")) } else { Ok(()) };
        }
    }
    Ok(())
}
