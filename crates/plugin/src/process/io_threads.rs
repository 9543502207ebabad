//! The two threads of a connection: one reads the frames of a plugin's process, the other writes frames to it. Neither waits
//! for the other, and no shard copies, encodes or decodes a frame.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::Receiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use wasmcloud_core::error::Result;

use super::connection::{Connection, OutgoingFrame};
use crate::admission::{AdmissionControl, AdmittedOutcome};
use crate::budget::ReservedBytes;
use crate::frames::{self, ToHost, ToPlugin};
use crate::request::{ActorRequest, Outcome};

/// How long a process may read nothing while frames are sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of small frames are written at once.
const BATCH: usize = 64 * 1024;

/// A call to an actor that was received from a process.
pub(super) struct ReceivedActorCall {
    pub(super) id: u64,
    pub(super) request: ActorRequest,
    pub(super) reserved: ReservedBytes,
}

/// Starts the thread that reads. The returned channel receives the result of reading when it ends.
///
/// # Errors
/// If the operating system cannot start a thread.
pub(super) fn start_reader(
    socket: UnixStream,
    connection: Arc<Connection>,
    admission: AdmissionControl,
    calls: UnboundedSender<ReceivedActorCall>,
) -> std::io::Result<oneshot::Receiver<Result<()>>> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("plugin-reads".to_owned()).spawn(move || {
        let read = read_frames(&socket, &connection, &admission, &calls);
        // The receiver may have been dropped.
        let _ = ended.send(read);
    })?;
    Ok(end)
}

/// Handles the frames of a process until the connection ends.
///
/// # Errors
/// `ProtocolViolation` if the process sends an invalid frame, `Io` if reading fails.
fn read_frames(
    socket: &UnixStream,
    connection: &Connection,
    admission: &AdmissionControl,
    calls: &UnboundedSender<ReceivedActorCall>,
) -> Result<()> {
    let largest = frames::largest_to_host(admission.largest_payload());
    let mut reader = BufReader::with_capacity(BATCH, socket);
    while let Some(frame) = frames::receive(&mut reader, largest)? {
        match frame {
            ToHost::Done { id, outcome } => connection.complete(id, outcome)?,
            ToHost::CallActor { id, request } => match admission.reserve_actor_call(&request) {
                // Sending fails only while the provider is dropped, which terminates its process.
                Ok(reserved) => drop(calls.send(ReceivedActorCall { id, request, reserved })),
                Err(refusal) => send_answer(connection, admission, id, Err(refusal)),
            },
            ToHost::Log { level, text } => connection.log.write(log_level(level), &text),
        }
    }
    Ok(())
}

/// Sends the outcome of a call to an actor to the process. If not even a refusal fits its budget, the process is terminated.
pub(super) fn send_answer(connection: &Connection, admission: &AdmissionControl, id: u64, outcome: Outcome) {
    let AdmittedOutcome { outcome, reserved } = admission.admit(outcome);
    if reserved.is_none() {
        connection.terminate("it does not receive the answers to its calls".to_owned());
        return;
    }
    // Sending fails if the process has exited. Then it needs no answer.
    connection.send(OutgoingFrame { frame: ToPlugin::Answer { id, outcome }, reserved });
}

fn log_level(level: u32) -> log::Level {
    match level {
        1 => log::Level::Error,
        2 => log::Level::Warn,
        4 => log::Level::Debug,
        5 => log::Level::Trace,
        _ => log::Level::Info,
    }
}

/// Starts the thread that writes. It ends with the connection, or when the process stops reading.
///
/// # Errors
/// If the operating system cannot start a thread.
pub(super) fn start_writer(
    socket: UnixStream,
    connection: Weak<Connection>,
    outgoing: Receiver<OutgoingFrame>,
) -> std::io::Result<()> {
    socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
    std::thread::Builder::new().name("plugin-writes".to_owned()).spawn(move || {
        if let Err(reason) = write_frames(&socket, &outgoing)
            && let Some(connection) = connection.upgrade()
        {
            connection.terminate(reason);
        }
    })?;
    Ok(())
}

/// Writes queued frames until all senders are dropped or the connection is closed.
///
/// # Errors
/// Why the process has to be terminated.
fn write_frames(mut socket: &UnixStream, outgoing: &Receiver<OutgoingFrame>) -> Result<(), String> {
    while let Ok(first) = outgoing.recv() {
        let mut bytes = Vec::new();
        // Returned to the budgets once the batch is written.
        let mut reserved = Vec::new();
        let mut next = Some(first);
        while let Some(OutgoingFrame { frame, reserved: of_frame }) = next {
            frames::encode_onto(&mut bytes, &frame).map_err(|error| error.to_string())?;
            reserved.push(of_frame);
            next = if bytes.len() < BATCH { outgoing.try_recv().ok() } else { None };
        }
        if let Err(error) = socket.write_all(&bytes) {
            let timed_out = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            // On other errors the connection is closed, which the thread that reads reports.
            return if timed_out {
                Err(format!("it read nothing of what it was sent for {WRITE_TIMEOUT:?}"))
            } else {
                Ok(())
            };
        }
    }
    Ok(())
}
