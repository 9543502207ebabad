//! The other end: the process in which a plugin runs.
//!
//! One thread reads and never waits for anything else; one writes; orders are carried out on others, and functions of the
//! plugin that wait for answers are called on yet another one. So neither the plugin nor a host that takes nothing keeps the
//! process from reading.
//!
//! # Layout
//! - `outbox`: what is to be written
//! - `reaper`: the process between the host and this one

#![allow(unsafe_code, reason = "limits and file descriptors of the process are set")]

mod outbox;
mod reaper;

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::threads::{CALL_THREADS, Job, work_off};

use self::outbox::Outbox;
use super::budget::Budget;
use super::callbacks::{Asker, Callbacks};
use super::frames::{self, LARGEST_TO_PLUGIN, START, Start, ToHost, ToPlugin, VERSION};
use super::host_vtable::HostServices;
use super::instance::Instance;
use super::library::Library;
use super::order::{ActorRequest, Failure, FailureKind, Order, Outcome};

/// How many bytes of answers may wait for functions of the plugin. Further ones are brought as refusals.
const MOST_ANSWERS: usize = 256 * 1024 * 1024;

/// Runs a plugin for a host that has started this process for it, until the host ends or has had enough of it. To be called
/// first of all by a program that is a [`PluginProcess`](crate::PluginProcess), and to return what it returns.
///
/// The line to the host is the process's standard input; what the plugin prints goes to the host's standard error. The
/// process starts the same program again, with the same arguments, as the process of the plugin, and ends whatever is left of
/// that one's descendants when it has ended or the host has.
pub fn serve_plugin() -> ExitCode {
    let served = match reaper::parent() {
        Some(parent) => reaper::end_with(parent).and_then(|()| take_line()).and_then(serve),
        None => take_line().and_then(reaper::run),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot run a plugin: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes the line away from the standard input, where a plugin could find it.
fn take_line() -> Result<UnixStream> {
    let no_line = |error| {
        let message = "this is started by a host, with a line to it as its standard input";
        Error::new(ErrorKind::Io, message).caused_by(error)
    };
    let line = std::io::stdin().as_fd().try_clone_to_owned().map_err(no_line)?;
    let nothing = File::open("/dev/null").map_err(no_line)?;
    // SAFETY: both are descriptors that are open; the standard input is nobody's in this process.
    if unsafe { libc::dup2(nothing.as_raw_fd(), 0) } < 0 {
        return Err(no_line(std::io::Error::last_os_error()));
    }
    Ok(UnixStream::from(line))
}

/// What the threads of this process share.
struct Child {
    outbox: Arc<Outbox>,
    last: AtomicU64,
    /// Those who wait for actors.
    asking: Mutex<HashMap<u64, Asker>>,
    /// The bytes of answers that may wait for functions of the plugin.
    answers: Budget,
    callbacks: Callbacks,
    largest_message: usize,
    instance: Mutex<Option<Arc<Instance>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Child {
    fn start(line: &UnixStream, largest_message: u64) -> Result<Child> {
        let unusable = |error| Error::new(ErrorKind::Io, "cannot use the line").caused_by(error);
        let outbox = Outbox::start(line.try_clone().map_err(unusable)?, end)?;
        let no_thread = |error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error);
        let callbacks = Callbacks::start("answers".to_owned()).map_err(no_thread)?;
        let (last, asking, instance) = Default::default();
        let answers = Budget::new(MOST_ANSWERS);
        let largest_message = usize::try_from(largest_message).unwrap_or(usize::MAX);
        Ok(Child { outbox, last, asking, answers, callbacks, largest_message, instance })
    }

    fn send(&self, frame: &ToHost) {
        if let Err(error) = self.outbox.send(frame) {
            // The host would wait for it in vain.
            eprintln!("cannot tell the host: {error}");
            end();
        }
    }

    /// Brings what came of a call to an actor. It does not block.
    fn bring(&self, id: u64, outcome: Outcome) {
        let Some(asker) = locked(&self.asking).remove(&id) else { return };
        let bytes = outcome.as_ref().map_or(0, |answer| answer.len());
        match self.answers.reserve(bytes) {
            held if held.is_some() || !asker.lets_wait() => asker.bring(outcome, held),
            _ => {
                let text = format!("{MOST_ANSWERS} bytes of answers wait for functions of the provider");
                asker.bring(Err(Failure::busy(text)), None);
            }
        }
    }
}

impl HostServices for Child {
    fn call_actor(&self, request: ActorRequest, asker: Asker) {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        locked(&self.asking).insert(id, asker);
        self.send(&ToHost::CallActor { id, request });
    }

    fn largest_message(&self) -> usize {
        self.largest_message
    }

    fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }

    fn log(&self, level: log::Level, text: &str) {
        self.send(&ToHost::Log { level: level as u32, text: text.to_owned() });
    }
}

/// The threads that orders are carried out on, as those of a provider in the host's process.
struct Workers {
    calls: Sender<Job>,
    in_turn: Sender<Job>,
    checks: Sender<Job>,
}

impl Workers {
    fn start() -> Result<Workers> {
        let start = |count: usize, name: &str| {
            let (jobs, waiting) = crossbeam_channel::unbounded();
            let started = (0..count).try_for_each(|_| work_off(name.to_owned(), &waiting));
            started.map(|()| jobs).map_err(|error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error))
        };
        Ok(Workers { calls: start(CALL_THREADS, "call")?, in_turn: start(1, "link")?, checks: start(1, "health")? })
    }

    fn give(&self, child: &Arc<Child>, id: u64, order: Order) {
        let workers = match &order {
            Order::Call(_) => &self.calls,
            Order::Check => &self.checks,
            Order::Bind(_) | Order::Drain { .. } | Order::Unbind { .. } | Order::Stop => &self.in_turn,
        };
        let child = child.clone();
        // They work off jobs for as long as this is here.
        let _ = workers.send(Box::new(move || carry_out(&child, id, &order)));
    }
}

fn serve(mut line: UnixStream) -> Result<()> {
    let Some(ToPlugin::Start(start)) = frames::receive(&mut line, LARGEST_TO_PLUGIN)? else {
        return Err(Error::new(ErrorKind::ProtocolViolation, "the host did not begin with a plugin to run"));
    };
    let child = Arc::new(Child::start(&line, start.largest_message)?);
    let workers = Workers::start()?;
    let starting = child.clone();
    let started = move || {
        let outcome = load(start, starting.clone()).map(|instance| {
            *locked(&starting.instance) = Some(Arc::new(instance));
            Default::default()
        });
        starting.send(&ToHost::Done { id: START, outcome });
    };
    // In turn, so that the provider can call actors while it starts.
    let _ = workers.in_turn.send(Box::new(started));
    while let Some(frame) = frames::receive(&mut line, LARGEST_TO_PLUGIN)? {
        match frame {
            ToPlugin::Start(_) => return Err(Error::new(ErrorKind::ProtocolViolation, "there is a plugin already")),
            ToPlugin::Answer { id, outcome } => child.bring(id, outcome),
            ToPlugin::Order { id, order } => workers.give(&child, id, order),
        }
    }
    // The host is gone, whatever the provider is at.
    end()
}

fn carry_out(child: &Child, id: u64, order: &Order) {
    let stopping = *order == Order::Stop;
    let instance = if stopping { locked(&child.instance).take() } else { locked(&child.instance).clone() };
    let outcome: Outcome = match instance {
        // A provider that was stopped is destroyed with this, unless a call that goes on holds it.
        Some(instance) => instance.carry_out(order),
        None => Err(Failure::new(FailureKind::Failed, "the provider was stopped")),
    };
    child.send(&ToHost::Done { id, outcome });
    if stopping {
        child.outbox.flush();
        end();
    }
}

/// Opens a plugin within its limits, and has it make its provider.
fn load(start: Start, services: Arc<dyn HostServices>) -> Result<Instance, Failure> {
    let told = |error: Error| Failure::new(FailureKind::Failed, error.to_string());
    if start.version != VERSION {
        let text = format!("the host speaks version {} of the frames, and this program {VERSION}", start.version);
        return Err(Failure::new(FailureKind::Failed, text));
    }
    limit(libc::RLIMIT_DATA as _, start.memory).map_err(told)?;
    limit(libc::RLIMIT_NOFILE as _, start.open_files).map_err(told)?;
    // A plugin that crashes leaves no copy of the host's secrets behind.
    limit(libc::RLIMIT_CORE as _, 0).map_err(told)?;
    let library = Library::open(&start.code).map_err(told)?;
    Instance::start(Arc::new(library), services)
}

fn limit(resource: libc::c_int, most: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: most as _, rlim_max: most as _ };
    // The type of the number depends on the C library.
    let resource = resource as _;
    // SAFETY: the limit is there until the function returns.
    if unsafe { libc::setrlimit(resource, &limit) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Error::new(ErrorKind::Io, format!("cannot limit the process of a plugin to {most}")).caused_by(error))
}

/// Ends the process at once: what else runs in it, and what it has left to be done at its end, is the plugin's.
fn end() -> ! {
    // SAFETY: nothing of this process is needed afterwards.
    unsafe { libc::_exit(0) }
}
