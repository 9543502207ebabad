//! The child process in which a plugin runs.
//!
//! One thread reads frames and one writes them. Requests are served on worker threads, and functions of the plugin that wait
//! for answers are called on a further thread. So neither the plugin nor a host that does not read can keep the process from
//! reading.
//!
//! # Layout
//! - `frame_writer`: writes frames to the host
//! - `subreaper`: the intermediate process between the host and this one

#![allow(unsafe_code, reason = "sets limits and file descriptors of the process")]

mod frame_writer;
mod subreaper;

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::threads::{CALL_THREADS, Job, spawn_worker};

use self::frame_writer::FrameWriter;
use super::budget::ByteBudget;
use super::callback_thread::{CallbackThread, Responder};
use super::frames::{self, LARGEST_TO_PLUGIN, START, Start, ToHost, ToPlugin, VERSION};
use super::host_vtable::HostServices;
use super::instance::PluginInstance;
use super::library::Library;
use super::request::{ActorRequest, FailureKind, Outcome, ProviderRequest, RequestFailure};

/// How many bytes of answers may wait for functions of the plugin. Further answers are replaced by refusals.
const ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Runs a plugin in this process, for the host that has started the process. Returns when the host stops the plugin or ends.
///
/// A program that is used as a [`PluginProcess`](crate::PluginProcess) calls this before anything else, and exits with the
/// returned code.
///
/// The standard input of the process is the connection to the host. The output of the plugin goes to the host's standard
/// error. The process starts the same program again, with the same arguments, for the plugin. When the plugin or the host
/// ends, the process kills the remaining descendants of the plugin.
#[must_use = "exit with this code, so that the host learns how the plugin has ended"]
pub fn serve_plugin() -> ExitCode {
    let result = match subreaper::parent() {
        Some(parent) => subreaper::exit_with_parent(parent).and_then(|()| take_connection()).and_then(run_plugin),
        None => take_connection().and_then(subreaper::run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot run a plugin: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Moves the connection away from the standard input, where a plugin could read it.
fn take_connection() -> Result<UnixStream> {
    let failed = |error| {
        let message = "the standard input is not a connection to a host: only hosts start this process";
        Error::new(ErrorKind::Io, message).caused_by(error)
    };
    let connection = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let null = File::open("/dev/null").map_err(failed)?;
    // SAFETY: both descriptors are open, and no other code of this process uses the standard input.
    if unsafe { libc::dup2(null.as_raw_fd(), 0) } < 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    Ok(UnixStream::from(connection))
}

/// The state that the threads of this process share.
struct ChildState {
    writer: Arc<FrameWriter>,
    last_id: AtomicU64,
    /// The receivers of the answers of actors, by the id of the call.
    pending_actor_calls: Mutex<HashMap<u64, Responder>>,
    /// The bytes of answers that may wait for functions of the plugin.
    answers: ByteBudget,
    callback_thread: CallbackThread,
    largest_payload: usize,
    instance: Mutex<Option<Arc<PluginInstance>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The contents are consistent after any panic: each use is a single operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ChildState {
    fn start(connection: &UnixStream, largest_payload: u64) -> Result<ChildState> {
        let unusable = |error| Error::new(ErrorKind::Io, "cannot use the connection to the host").caused_by(error);
        let no_thread = |error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error);
        Ok(ChildState {
            writer: FrameWriter::start(connection.try_clone().map_err(unusable)?, exit_now)?,
            last_id: AtomicU64::new(0),
            pending_actor_calls: Mutex::default(),
            answers: ByteBudget::new(ANSWER_BYTES),
            callback_thread: CallbackThread::start("answers".to_owned()).map_err(no_thread)?,
            largest_payload: usize::try_from(largest_payload).unwrap_or(usize::MAX),
            instance: Mutex::default(),
        })
    }

    fn send(&self, frame: &ToHost) {
        if let Err(error) = self.writer.send(frame) {
            // The host would wait for the frame forever.
            eprintln!("cannot send a frame to the host: {error}");
            exit_now();
        }
    }

    /// Delivers the outcome of a call to an actor without blocking.
    fn complete_actor_call(&self, id: u64, outcome: Outcome) {
        let Some(responder) = locked(&self.pending_actor_calls).remove(&id) else { return };
        let bytes = outcome.as_ref().map_or(0, |answer| answer.len());
        match self.answers.reserve(bytes) {
            reserved if reserved.is_some() || !responder.is_queued() => responder.respond(outcome, reserved),
            _ => {
                let text = format!("{ANSWER_BYTES} bytes of answers wait for functions of the provider");
                responder.respond(Err(RequestFailure::busy(text)), None);
            }
        }
    }
}

impl HostServices for ChildState {
    fn call_actor(&self, request: ActorRequest, responder: Responder) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        locked(&self.pending_actor_calls).insert(id, responder);
        self.send(&ToHost::CallActor { id, request });
    }

    fn largest_payload(&self) -> usize {
        self.largest_payload
    }

    fn callback_thread(&self) -> &CallbackThread {
        &self.callback_thread
    }

    fn log(&self, level: log::Level, text: &str) {
        self.send(&ToHost::Log { level: level as u32, text: text.to_owned() });
    }
}

/// The threads that serve requests, divided as those of a provider in the host's process.
struct Workers {
    calls: Sender<Job>,
    /// Starts, stops and changes of links, in order.
    lifecycle: Sender<Job>,
    checks: Sender<Job>,
}

impl Workers {
    fn start() -> Result<Workers> {
        let start = |count: usize, name: &str| {
            let (jobs, queue) = crossbeam_channel::unbounded();
            let started = (0..count).try_for_each(|_| spawn_worker(name.to_owned(), &queue));
            started.map(|()| jobs).map_err(|error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error))
        };
        Ok(Workers { calls: start(CALL_THREADS, "call")?, lifecycle: start(1, "link")?, checks: start(1, "health")? })
    }

    /// Queues a request for a thread of its kind.
    fn enqueue(&self, child: &Arc<ChildState>, id: u64, request: ProviderRequest) {
        let workers = match &request {
            ProviderRequest::Call(_) => &self.calls,
            ProviderRequest::Check => &self.checks,
            ProviderRequest::Bind(_)
            | ProviderRequest::Drain { .. }
            | ProviderRequest::Unbind { .. }
            | ProviderRequest::Stop => &self.lifecycle,
        };
        let child = child.clone();
        // Sending does not fail while `self` exists, because the threads run.
        let _ = workers.send(Box::new(move || serve_request(&child, id, &request)));
    }
}

/// Loads the plugin that the host sends, and serves the host's requests until the connection ends.
fn run_plugin(mut connection: UnixStream) -> Result<()> {
    let Some(ToPlugin::Start(start)) = frames::receive(&mut connection, LARGEST_TO_PLUGIN)? else {
        return Err(Error::new(ErrorKind::ProtocolViolation, "the first frame of the host is not a start"));
    };
    let child = Arc::new(ChildState::start(&connection, start.largest_payload)?);
    let workers = Workers::start()?;
    let starting = child.clone();
    let started = move || {
        let outcome = load(start, starting.clone()).map(|instance| {
            *locked(&starting.instance) = Some(Arc::new(instance));
            Default::default()
        });
        starting.send(&ToHost::Done { id: START, outcome });
    };
    // On a worker thread, so that this thread can read the answers to calls that the provider makes while it starts.
    let _ = workers.lifecycle.send(Box::new(started));
    while let Some(frame) = frames::receive(&mut connection, LARGEST_TO_PLUGIN)? {
        match frame {
            ToPlugin::Start(_) => {
                return Err(Error::new(ErrorKind::ProtocolViolation, "the host sent a second start"));
            }
            ToPlugin::Answer { id, outcome } => child.complete_actor_call(id, outcome),
            ToPlugin::Request { id, request } => workers.enqueue(&child, id, request),
        }
    }
    // The host has closed the connection. Requests that are being served do not delay the end.
    exit_now()
}

/// Serves a request of the host. After a stop, the process exits.
fn serve_request(child: &ChildState, id: u64, request: &ProviderRequest) {
    let stopping = *request == ProviderRequest::Stop;
    let instance = if stopping { locked(&child.instance).take() } else { locked(&child.instance).clone() };
    let outcome: Outcome = match instance {
        // This drops the instance, which destroys a stopped provider unless a call still uses it.
        Some(instance) => instance.request(request),
        None => Err(RequestFailure::new(FailureKind::Failed, "the provider was stopped")),
    };
    child.send(&ToHost::Done { id, outcome });
    if stopping {
        child.writer.flush();
        exit_now();
    }
}

/// Sets the limits of the process, opens the plugin and starts its provider.
fn load(start: Start, services: Arc<dyn HostServices>) -> Result<PluginInstance, RequestFailure> {
    let failed = |error: Error| RequestFailure::new(FailureKind::Failed, error.to_string());
    if start.version != VERSION {
        let text = format!(
            "the host has version {} of the plugin frames, and this program has {VERSION}: install matching releases",
            start.version
        );
        return Err(RequestFailure::new(FailureKind::Failed, text));
    }
    set_limit(libc::RLIMIT_DATA as _, start.memory).map_err(failed)?;
    set_limit(libc::RLIMIT_NOFILE as _, start.open_files).map_err(failed)?;
    // A core dump could contain secrets of the host.
    set_limit(libc::RLIMIT_CORE as _, 0).map_err(failed)?;
    let library = Library::open(&start.code).map_err(failed)?;
    PluginInstance::start(Arc::new(library), services)
}

fn set_limit(resource: libc::c_int, most: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: most as _, rlim_max: most as _ };
    // The type of the parameter depends on the C library.
    let resource = resource as _;
    // SAFETY: the limit is valid for reads during the call.
    if unsafe { libc::setrlimit(resource, &limit) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    let message = format!("cannot set a resource limit of the plugin's process to {most}");
    Err(Error::new(ErrorKind::Io, message).caused_by(error))
}

/// Exits immediately. Exit handlers and other threads are the plugin's code and must not delay the end.
fn exit_now() -> ! {
    // SAFETY: the process needs no cleanup.
    unsafe { libc::_exit(0) }
}
