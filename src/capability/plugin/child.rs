//! The other end: the process in which a plugin runs.

#![allow(unsafe_code, reason = "limits and file descriptors of the process are set")]

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use super::door::{Answered, Outside};
use super::frames::{self, LARGEST_TO_PLUGIN, START, Start, ToHost, ToPlugin, VERSION};
use super::instance::Instance;
use super::library::Library;
use super::order::{ActorRequest, Failure, FailureKind, Order, Outcome};
use crate::capability::threads::{CALL_THREADS, Job, work_off};
use crate::error::{Error, ErrorKind, Result};

/// Runs a plugin for a host that has started this process for it, until the host ends or has had enough of it. To be called
/// first of all by a program that is a [`PluginProcess`](crate::PluginProcess), and to return what it returns.
///
/// The line to the host is the process's standard input; what the plugin prints goes to the host's standard error.
pub fn serve_plugin() -> ExitCode {
    match take_line().and_then(serve) {
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
    line: Mutex<UnixStream>,
    last: AtomicU64,
    /// Those who wait for actors.
    asking: Mutex<HashMap<u64, Answered>>,
    instance: Mutex<Option<Arc<Instance>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Child {
    fn send(&self, frame: &ToHost) {
        if frames::send(&mut *locked(&self.line), frame).is_err() {
            // Without a host there is nobody to run for.
            end();
        }
    }
}

impl Outside for Child {
    fn call_actor(&self, request: ActorRequest, answered: Answered) {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        locked(&self.asking).insert(id, answered);
        self.send(&ToHost::CallActor { id, request });
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

    fn give(&self, order: &Order, job: Job) {
        let workers = match order {
            Order::Call(_) => &self.calls,
            Order::Check => &self.checks,
            Order::Bind(_) | Order::Drain { .. } | Order::Unbind { .. } | Order::Stop => &self.in_turn,
        };
        // They work off jobs for as long as this is here.
        let _ = workers.send(job);
    }
}

fn serve(mut line: UnixStream) -> Result<()> {
    let Some(ToPlugin::Start(start)) = frames::receive(&mut line, LARGEST_TO_PLUGIN)? else {
        return Err(Error::new(ErrorKind::ProtocolViolation, "the host did not begin with a plugin to run"));
    };
    let sending =
        line.try_clone().map_err(|error| Error::new(ErrorKind::Io, "cannot use the line").caused_by(error))?;
    let (last, asking, instance) = Default::default();
    let child = Arc::new(Child { line: Mutex::new(sending), last, asking, instance });
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
            ToPlugin::Answer { id, outcome } => {
                let asking = locked(&child.asking).remove(&id);
                asking.into_iter().for_each(|answered| answered(outcome.clone()));
            }
            ToPlugin::Order { id, order } => {
                let child = child.clone();
                workers.give(&order.clone(), Box::new(move || carry_out(&child, id, &order)));
            }
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
        end();
    }
}

/// Opens a plugin within its limits, and has it make its provider.
fn load(start: Start, outside: Arc<dyn Outside>) -> Result<Instance, Failure> {
    let told = |error: Error| Failure::new(FailureKind::Failed, error.to_string());
    if start.version != VERSION {
        let text = format!("the host speaks version {} of the frames, and this program {VERSION}", start.version);
        return Err(Failure::new(FailureKind::Failed, text));
    }
    limit(libc::RLIMIT_DATA, start.memory).map_err(told)?;
    limit(libc::RLIMIT_NOFILE, start.open_files).map_err(told)?;
    // A plugin that crashes leaves no copy of the host's secrets behind.
    limit(libc::RLIMIT_CORE, 0).map_err(told)?;
    let library = Library::open(&start.code).map_err(told)?;
    Instance::start(Arc::new(library), outside)
}

fn limit(resource: libc::__rlimit_resource_t, most: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
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
