//! A plugin in a process of its own, seen from the host: orders go out as frames, and whatever becomes of the process,
//! everybody who waits for it is answered.

use std::collections::HashMap;
use std::os::unix::net::UnixStream as Socket;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_bytes::ByteBuf;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Surroundings;
use super::desk::Desk;
use super::frames::{self, LARGEST_TO_HOST, START, Start, ToHost, ToPlugin, VERSION};
use super::isolation::{INHERITED, PluginProcess};
use super::order::{ActorRequest, Failure, LinkOrder, Order, Outcome};
use crate::capability::traits::{AsyncCapabilityProvider, Binding, ProviderCallContext};
use crate::error::{BoxedError, Error, ErrorKind, Result, printable};

/// How long after its time a process may still be at a call before it is taken for stuck.
const OVERDUE: Duration = Duration::from_secs(1);

/// How long a process may take to end after it was stopped.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// How many frames wait to be taken by the process.
const WAITING: usize = 256;

/// How much of calls to actors a process may have under way at once, in pieces: each call takes one at least. While it has
/// that much, nothing more is taken from it.
const CALLS_OUT: usize = 4096;

/// How many bytes of a call's payload take one piece.
const PIECE: usize = 64 * 1024;

/// A provider of another process, seen from its shard.
pub(super) struct Process {
    line: Arc<Line>,
    desk: Arc<Desk>,
    /// Those who send, receive and watch. They end with this.
    tasks: [JoinHandle<()>; 2],
}

/// The line to a process.
struct Line {
    frames: mpsc::Sender<Vec<u8>>,
    /// Those who wait to be answered, by the numbers of their orders.
    waiting: Mutex<HashMap<u64, oneshot::Sender<Outcome>>>,
    /// Why the process is to be ended at once, once that is so.
    condemned: Mutex<Option<String>>,
    condemn: Notify,
    /// Why it has ended, once it has.
    ended: Mutex<Option<String>>,
    end: Notify,
    /// Whether its end is what everybody waits for.
    stopping: AtomicBool,
    name: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in them is whole after any panic: each use is a single operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Starts a process, and has it load the plugin.
    ///
    /// # Errors
    /// `Io` where there is no such program, and what the process says of the plugin.
    pub(super) async fn start(program: &PluginProcess, code: Arc<[u8]>, surroundings: Surroundings) -> Result<Process> {
        let Surroundings { identity, instance, dispatch, lost } = surroundings;
        let (child, socket) = spawn(program)?;
        let (receiving, sending) = socket.into_split();
        let (frames, outgoing) = mpsc::channel(WAITING);
        let line = Arc::new(Line::new(frames, identity.to_string()));
        let desk = Arc::new(Desk::new((identity, instance), dispatch));
        let send = actix_rt::spawn(send(outgoing, sending));
        let watch = actix_rt::spawn(watch(child, receiving, line.clone(), desk.clone(), lost));
        let started = Process { line, desk, tasks: [send, watch] };
        let (memory, open_files) = (program.memory, program.open_files);
        let start = Start { version: VERSION, code: ByteBuf::from(&*code), memory, open_files };
        started.line.ask(START, &ToPlugin::Start(start)).await?.map_err(|refusal| {
            let message = format!("{} could not be started", started.desk.identity());
            Error::new(ErrorKind::ProviderFailed, message).context_of(refusal.into_error())
        })?;
        Ok(started)
    }

    /// Has the process do something, and takes it for stuck where that is given up and goes on all the same.
    async fn order(&self, id: u64, order: Order) -> Result<Vec<u8>, BoxedError> {
        let _overdue = Overdue { line: &self.line, id, what: order.name() };
        let outcome = self.line.ask(id, &ToPlugin::Order { id, order }).await?;
        outcome.map(ByteBuf::into_vec).map_err(Failure::into_error)
    }

    async fn simply(&self, order: Order) -> Result<(), BoxedError> {
        self.order(self.desk.next(), order).await.map(drop)
    }
}

/// Starts the program, with one end of a line as its standard input.
fn spawn(program: &PluginProcess) -> Result<(Child, UnixStream)> {
    let no_line = |error| Error::new(ErrorKind::Io, "cannot make a line to a plugin's process").caused_by(error);
    let (here, there) = Socket::pair().map_err(no_line)?;
    here.set_nonblocking(true).map_err(no_line)?;
    let here = UnixStream::from_std(here).map_err(no_line)?;
    let log = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned().map_err(no_line)?;
    let mut command = Command::new(&program.program);
    let inherited = INHERITED.iter().filter_map(|key| Some((key, std::env::var_os(key)?)));
    command
        .args(&program.arguments)
        .env_clear()
        .envs(inherited)
        .envs(program.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(there)))
        .stdout(Stdio::from(log))
        .kill_on_drop(true);
    let child = command.spawn().map_err(|error| {
        let message = format!(
            "cannot start {} as the process of a plugin: install the binary `wasmcloud` beside this program or on the \
             PATH, or name another one",
            program.program.display()
        );
        Error::new(ErrorKind::Io, message).caused_by(error)
    })?;
    Ok((child, here))
}

impl Line {
    fn new(frames: mpsc::Sender<Vec<u8>>, name: String) -> Line {
        let (waiting, condemned, condemn, ended, end, stopping) = Default::default();
        Line { frames, waiting, condemned, condemn, ended, end, stopping, name }
    }

    /// Sends something that is answered, and waits for the answer.
    async fn ask(&self, id: u64, frame: &ToPlugin) -> Result<Outcome> {
        let frame = frames::encode(frame)?;
        let (answer, answered) = oneshot::channel();
        locked(&self.waiting).insert(id, answer);
        // Whoever ends the line does so before looking for those who wait.
        if locked(&self.ended).is_some() || self.frames.send(frame).await.is_err() {
            locked(&self.waiting).remove(&id);
            return Err(self.gone());
        }
        answered.await.map_err(|_| self.gone())
    }

    /// Has the process ended at once.
    fn condemn(&self, why: String) {
        locked(&self.condemned).get_or_insert(why);
        self.condemn.notify_one();
    }

    /// Takes note that the process has ended.
    fn close(&self, why: String) {
        locked(&self.ended).get_or_insert(why);
        // Dropped, they tell that nothing comes any more.
        locked(&self.waiting).clear();
        self.end.notify_one();
    }

    fn gone(&self) -> Error {
        let why = locked(&self.ended).clone();
        let why = why.unwrap_or_else(|| "its process is just ending".to_owned());
        Error::new(ErrorKind::ProviderDied, format!("{} died: {why}", self.name))
    }
}

/// Sends what is to be sent, until nobody sends any more or nobody takes it.
async fn send(mut outgoing: mpsc::Receiver<Vec<u8>>, mut to: OwnedWriteHalf) {
    while let Some(frame) = outgoing.recv().await {
        if to.write_all(&frame).await.is_err() {
            // Whoever receives sees that the line is cut.
            return;
        }
    }
}

/// Serves a process until it ends, or has to be ended.
async fn watch(
    mut child: Child,
    receiving: OwnedReadHalf,
    line: Arc<Line>,
    desk: Arc<Desk>,
    lost: Box<dyn FnOnce(String) + Send>,
) {
    let served = tokio::select! {
        served = serve(receiving, &line, &desk) => served.map_err(|error| error.to_string()),
        () = line.condemn.notified() => Err(locked(&line.condemned).clone().unwrap_or_default()),
    };
    if served.is_err() || tokio::time::timeout(LAST_MOMENTS, child.wait()).await.is_err() {
        // It may have ended by itself; then there is nobody to kill.
        let _ = child.start_kill();
    }
    let status = match child.wait().await {
        Ok(status) => format!("its process ended with {status}"),
        Err(error) => format!("its process cannot be waited for: {error}"),
    };
    let why = served.err().map_or(status.clone(), |cause| format!("{cause}; {status}"));
    line.close(why.clone());
    if !line.stopping.load(Ordering::Acquire) {
        lost(why);
    }
}

/// Takes what comes from a process, until it ends.
///
/// # Errors
/// What the process does that no process should.
async fn serve(mut from: OwnedReadHalf, line: &Arc<Line>, desk: &Arc<Desk>) -> Result<()> {
    let room = Arc::new(Semaphore::new(CALLS_OUT));
    while let Some(frame) = frames::receive_async(&mut from, LARGEST_TO_HOST).await? {
        match frame {
            ToHost::Done { id, outcome } => {
                let waiting = locked(&line.waiting).remove(&id);
                // Nobody listens any more where the caller's time was up.
                let _ = waiting.map(|waiting| waiting.send(outcome));
            }
            ToHost::CallActor { id, request } => call_actor(id, request, line, desk, &room).await?,
            ToHost::Log { level, text } => log::log!(level_of(level), "{}: {}", line.name, printable(text.as_bytes())),
        }
    }
    Ok(())
}

/// Calls an actor for a process, beside everything else, once there is room for it.
async fn call_actor(
    id: u64,
    request: ActorRequest,
    line: &Arc<Line>,
    desk: &Arc<Desk>,
    room: &Arc<Semaphore>,
) -> Result<()> {
    let pieces = (request.message.len() / PIECE + 1).min(CALLS_OUT);
    let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
    let closed = |error| Error::new(ErrorKind::Internal, "the room for calls is closed").caused_by(error);
    let place = room.clone().acquire_many_owned(pieces).await.map_err(closed)?;
    let (line, desk) = (line.clone(), desk.clone());
    actix_rt::spawn(async move {
        // Held until the process has taken the answer: one that does not is given no more of them.
        let _place = place;
        let outcome = desk.serve(request).await;
        match frames::encode(&ToPlugin::Answer { id, outcome }) {
            // A process that has ended needs no answer.
            Ok(frame) => drop(line.frames.send(frame).await),
            Err(error) => line.condemn(error.to_string()),
        }
    });
    Ok(())
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

/// Watches over an order. Where nobody waits for it any more and the process is still at it a while later, it is stuck.
struct Overdue<'a> {
    line: &'a Arc<Line>,
    id: u64,
    what: &'static str,
}

impl Drop for Overdue<'_> {
    fn drop(&mut self) {
        if !locked(&self.line.waiting).contains_key(&self.id) {
            return;
        }
        let (line, id, what) = (self.line.clone(), self.id, self.what);
        actix_rt::spawn(async move {
            tokio::time::sleep(OVERDUE).await;
            if locked(&line.waiting).remove(&id).is_some() {
                line.condemn(format!("it was still at a {what} {OVERDUE:?} after the time for it was up"));
            }
        });
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Process {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.simply(Order::Bind(LinkOrder::of(binding))).await
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        self.simply(Order::Drain { actor: actor.to_owned() }).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.simply(Order::Unbind { actor: actor.to_owned() }).await
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let (call, _, _serving) = self.desk.begin(call);
        self.order(call.id, Order::Call(call)).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let id = self.desk.next();
        let outcome = self.line.ask(id, &ToPlugin::Order { id, order: Order::Check }).await;
        outcome?.map(drop).map_err(Failure::into_error)
    }

    async fn stop(&self) {
        self.line.stopping.store(true, Ordering::Release);
        if let Err(error) = self.simply(Order::Stop).await {
            log::error!("{} failed while it was stopped: {error}", self.desk.identity());
        }
        let ended = self.line.end.notified();
        if locked(&self.line.ended).is_none() && tokio::time::timeout(LAST_MOMENTS, ended).await.is_err() {
            self.line.condemn("it did not end when it was stopped".to_owned());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process is killed with the task that holds it.
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
