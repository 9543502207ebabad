//! Shards: the threads that actors and providers run on. A host has one per core, and single actors may have their own.
//!
//! A shard is an actix arbiter. Shard 0 is the arbiter that started the host; the host creates and ends the others.
//! Actors and providers never leave their shard, and nothing on a shard may block.
//!
//! # Layout
//! - `slow_path`: runs long steps of a shard one at a time, with time for other tasks in between
//! - `batches`: runs work on many items in batches

mod batches;
mod slow_path;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result, panic_text};

pub(crate) use batches::{BATCH, BatchCounter, for_each_in_batches};
pub(crate) use slow_path::SlowPathQueue;

/// How long a thread of the host may take to end once its tasks have ended.
const THREAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A thread that runs actors. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    arbiter: ArbiterHandle,
    thread: ThreadId,
    slow_path: SlowPathQueue,
}

/// A thread that the host created. Dropping it ends the thread; [`OwnThread::end`] also waits for the end.
#[derive(Debug)]
pub(crate) struct OwnThread {
    shard: Shard,
    arbiter: Mutex<Option<Arbiter>>,
}

/// All shards of a host.
#[derive(Debug)]
pub(crate) struct Shards {
    all: Vec<Shard>,
    /// The threads that the host created.
    own: Vec<OwnThread>,
    /// The number of round-robin choices so far.
    last: AtomicUsize,
    /// Whether the threads that the host created have ended.
    ended: watch::Sender<bool>,
}

/// The index of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardNumber(usize);

impl Shards {
    /// Creates `count` shards, with the arbiter of this thread as the first.
    ///
    /// # Errors
    /// - `NoActixSystem` if this thread has no arbiter
    /// - `Io` if a thread cannot be created
    pub(crate) async fn start(count: usize) -> Result<Shards> {
        let first = Arbiter::try_current().ok_or_else(|| {
            Error::new(
                ErrorKind::NoActixSystem,
                "no actix System runs on this thread: start the host under #[actix_rt::main], #[actix::main] or \
                 inside an actix-web application, or anywhere with Host::start_on_own_thread",
            )
        })?;
        let first = Shard::new(first, std::thread::current().id());
        let mut shards =
            Shards { all: vec![first], own: Vec::new(), last: AtomicUsize::new(0), ended: watch::Sender::new(false) };
        for _ in 1..count {
            match OwnThread::start().await {
                Ok(thread) => {
                    shards.all.push(thread.shard.clone());
                    shards.own.push(thread);
                }
                Err(error) => {
                    shards.stop_own().await;
                    return Err(error);
                }
            }
        }
        Ok(shards)
    }

    /// Returns the shard of this thread, if it is one.
    pub(crate) fn current(&self) -> Option<ShardNumber> {
        let thread = std::thread::current().id();
        self.all.iter().position(|shard| shard.thread == thread).map(ShardNumber)
    }

    /// Returns the shard of this thread, or else the next one in rotation.
    pub(crate) fn current_or_next(&self) -> ShardNumber {
        self.current().unwrap_or_else(|| self.take_turn())
    }

    /// Returns the next shard in rotation.
    pub(crate) fn take_turn(&self) -> ShardNumber {
        ShardNumber(self.last.fetch_add(1, Ordering::Relaxed) % self.all.len())
    }

    /// Returns the shard that is `steps` after another one, in rotation.
    pub(crate) fn after(&self, ShardNumber(first): ShardNumber, steps: usize) -> ShardNumber {
        ShardNumber(first.wrapping_add(steps) % self.all.len())
    }

    pub(crate) fn shard(&self, ShardNumber(number): ShardNumber) -> &Shard {
        &self.all[number]
    }

    /// Returns all shards.
    #[cfg_attr(not(feature = "telemetry"), expect(dead_code, reason = "only telemetry asks each of them"))]
    pub(crate) fn all(&self) -> &[Shard] {
        &self.all
    }

    /// Starts work on the next shard in rotation, without waiting for it.
    ///
    /// # Errors
    /// `HostNotRunning` if the shard has ended.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        if self.all[self.take_turn().0].arbiter.spawn(work) { Ok(()) } else { Err(shard_is_gone()) }
    }

    /// Ends the shards that the host created, and waits for their threads for up to 10 s.
    pub(crate) async fn stop_own(&self) {
        join_all(self.own.iter().map(OwnThread::end)).await;
        self.ended.send_replace(true);
    }

    /// Waits until [`Shards::stop_own`] has ended.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as `self`.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

impl Shard {
    fn new(arbiter: ArbiterHandle, thread: ThreadId) -> Shard {
        Shard { arbiter, thread, slow_path: SlowPathQueue::new() }
    }

    /// Returns the queue for slow paths on this shard.
    pub(crate) fn slow_path(&self) -> SlowPathQueue {
        self.slow_path.clone()
    }

    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Runs work on this shard and returns its result. The future of the work need not be `Send`.
    ///
    /// # Errors
    /// - the error of the work
    /// - `HostNotRunning` if the shard has ended
    /// - `Internal` if the work panics
    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: AsyncFnOnce() -> Result<T> + Send + 'static,
    {
        run_on(&self.arbiter, work).await
    }
}

impl OwnThread {
    /// Starts a thread.
    ///
    /// # Errors
    /// `Io` if the operating system cannot start one.
    pub(crate) async fn start() -> Result<OwnThread> {
        let arbiter = Arbiter::try_new()
            .map_err(|error| Error::new(ErrorKind::Io, "a thread for actors could not be started").caused_by(error))?;
        let handle = arbiter.handle();
        let thread = run_on(&handle, async || Ok(std::thread::current().id())).await?;
        Ok(OwnThread { shard: Shard::new(handle, thread), arbiter: Mutex::new(Some(arbiter)) })
    }

    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Ends the thread, and waits for it for up to 10 s.
    pub(crate) async fn end(&self) {
        let arbiter = self.arbiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(arbiter) = arbiter else { return };
        arbiter.stop();
        let (ended, end) = oneshot::channel();
        // Joining blocks, and a thread that never ends must not block a runtime.
        let join = std::thread::Builder::new().name("shard-join".to_owned()).spawn(move || ended.send(arbiter.join()));
        match tokio::time::timeout(THREAD_TIMEOUT, end).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) if join.is_ok() => log::error!("a shard's thread ended with a panic"),
            Ok(_) => log::error!("a shard's thread was not waited for: no thread could be started to do so"),
            Err(_) => log::error!("a shard's thread is held by a guest or provider and was left behind"),
        }
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        self.shard.arbiter.stop();
    }
}

async fn run_on<T, W>(arbiter: &ArbiterHandle, work: W) -> Result<T>
where
    T: Send + 'static,
    W: AsyncFnOnce() -> Result<T> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let spawned = arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            let done = AssertUnwindSafe(work()).catch_unwind().await;
            // The receiver is gone if the host was stopped meanwhile.
            let _ = answer.send(done.unwrap_or_else(|panic| {
                Err(Error::new(ErrorKind::Internal, format!("a shard met a panic: {}", panic_text(&*panic))))
            }));
        });
    });
    if !spawned {
        return Err(shard_is_gone());
    }
    answered.await.map_err(|_| shard_is_gone())?
}

fn shard_is_gone() -> Error {
    Error::new(ErrorKind::HostNotRunning, "the thread that this would run on has ended: the host was stopped")
}
