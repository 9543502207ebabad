//! Shards: the threads that actors and providers live on, one for each core, and those that single actors have for
//! themselves.
//!
//! A shard is an actix arbiter. Shard 0 is the arbiter that started the host; the host makes the others and ends
//! them. Whatever lives on a shard never leaves it, and nothing on a shard may block.
//!
//! # Layout
//! - `slow_path`: work that takes a shard long is done one piece after the other, with time for everything else in between
//! - `batches`: work on many things at once is done in batches

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

/// How long a thread of the host's own may take to end once nothing runs on it any more.
const THREAD_TIMEOUT: Duration = Duration::from_secs(10);

/// One thread of actors. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    arbiter: ArbiterHandle,
    thread: ThreadId,
    slow_path: SlowPathQueue,
}

/// A thread that the host made. It ends when this is dropped; [`OwnThread::end`] waits for that.
#[derive(Debug)]
pub(crate) struct OwnThread {
    shard: Shard,
    arbiter: Mutex<Option<Arbiter>>,
}

/// All shards of a host.
#[derive(Debug)]
pub(crate) struct Shards {
    all: Vec<Shard>,
    /// The threads of those that the host made itself.
    own: Vec<OwnThread>,
    /// Which shard was taken last, where one is as good as another.
    last: AtomicUsize,
    /// Whether the host's own threads have been ended, with everything that ran on them.
    ended: watch::Sender<bool>,
}

/// The way onto the shard of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardNumber(usize);

impl Shards {
    /// Makes `count` shards, with the arbiter of this thread as the first.
    ///
    /// # Errors
    /// `NoActixSystem` where this thread has no arbiter, `Io` where a thread cannot be made.
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

    /// The shard that this thread is, if it is one.
    pub(crate) fn current(&self) -> Option<ShardNumber> {
        let thread = std::thread::current().id();
        self.all.iter().position(|shard| shard.thread == thread).map(ShardNumber)
    }

    /// The shard that this thread is, or another one at each turn.
    pub(crate) fn current_or_next(&self) -> ShardNumber {
        self.current().unwrap_or_else(|| self.take_turn())
    }

    /// Another shard at each turn.
    pub(crate) fn take_turn(&self) -> ShardNumber {
        ShardNumber(self.last.fetch_add(1, Ordering::Relaxed) % self.all.len())
    }

    /// The shard that comes so many after another one, around.
    pub(crate) fn after(&self, ShardNumber(first): ShardNumber, steps: usize) -> ShardNumber {
        ShardNumber(first.wrapping_add(steps) % self.all.len())
    }

    pub(crate) fn shard(&self, ShardNumber(number): ShardNumber) -> &Shard {
        &self.all[number]
    }

    /// Starts a piece of work on some shard and does not wait for it.
    ///
    /// # Errors
    /// `HostNotRunning` where the shard is gone.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        if self.all[self.take_turn().0].arbiter.spawn(work) { Ok(()) } else { Err(shard_is_gone()) }
    }

    /// Ends the shards that the host made, and waits for their threads as long as that makes sense.
    pub(crate) async fn stop_own(&self) {
        join_all(self.own.iter().map(OwnThread::end)).await;
        self.ended.send_replace(true);
    }

    /// Waits until [`Shards::stop_own`] has ended.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as this.
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

    /// Runs a piece of work to its end on this shard. The work may hold what cannot leave a thread.
    ///
    /// # Errors
    /// Those of the work, and `HostNotRunning` where the shard is gone.
    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: AsyncFnOnce() -> Result<T> + Send + 'static,
    {
        run_on(&self.arbiter, work).await
    }
}

impl OwnThread {
    /// Makes a thread.
    ///
    /// # Errors
    /// `Io` where the operating system has none to give.
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

    /// Ends the thread, and waits for it as long as that makes sense.
    pub(crate) async fn end(&self) {
        let arbiter = self.arbiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(arbiter) = arbiter else { return };
        arbiter.stop();
        let (ended, end) = oneshot::channel();
        // Joining blocks, and a thread that never ends must not hold up anybody's runtime.
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
            // Nobody waits any more where the host was stopped in between.
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
