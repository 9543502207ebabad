//! Shards: the threads that actors and providers live on, one for each core.
//!
//! A shard is an actix arbiter. Shard 0 is the arbiter that started the host; the host makes the others and ends
//! them. Whatever lives on a shard never leaves it, and nothing on a shard may block.

use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// One thread of actors.
#[derive(Debug)]
pub(crate) struct Shard {
    arbiter: ArbiterHandle,
    thread: ThreadId,
}

/// All shards of a host.
#[derive(Debug)]
pub(crate) struct Shards {
    all: Vec<Shard>,
    /// The arbiters that the host made itself.
    own: Mutex<Vec<Arbiter>>,
    /// Which shard was taken last, where one is as good as another.
    last: AtomicUsize,
}

/// The way onto the shard of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardNumber(usize);

impl Shards {
    /// Makes `count` shards, with the arbiter of this thread as the first.
    ///
    /// # Errors
    /// `NoActixSystem` where this thread has no arbiter.
    pub(crate) async fn start(count: usize) -> Result<Shards> {
        let first = Arbiter::try_current().ok_or_else(|| {
            Error::new(
                ErrorKind::NoActixSystem,
                "no actix System runs on this thread: start the host under #[actix_rt::main], #[actix::main] or \
                 inside an actix-web application, or make a System with actix_rt::System::new()",
            )
        })?;
        let mut all = vec![Shard { arbiter: first, thread: std::thread::current().id() }];
        let mut own = Vec::new();
        for _ in 1..count {
            let arbiter = Arbiter::new();
            let thread = run_on(&arbiter.handle(), async || Ok(std::thread::current().id())).await?;
            all.push(Shard { arbiter: arbiter.handle(), thread });
            own.push(arbiter);
        }
        Ok(Shards { all, own: Mutex::new(own), last: AtomicUsize::new(0) })
    }

    /// The shard that this thread is, if it is one.
    pub(crate) fn current(&self) -> Option<ShardNumber> {
        let thread = std::thread::current().id();
        self.all.iter().position(|shard| shard.thread == thread).map(ShardNumber)
    }

    /// Another shard at each turn.
    pub(crate) fn take_turn(&self) -> ShardNumber {
        ShardNumber(self.last.fetch_add(1, Ordering::Relaxed) % self.all.len())
    }

    /// Runs a piece of work to its end on a shard. The work may hold what cannot leave a thread.
    ///
    /// # Errors
    /// Those of the work, and `HostNotRunning` where the shard is gone.
    pub(crate) async fn run<T, W>(&self, shard: ShardNumber, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: AsyncFnOnce() -> Result<T> + Send + 'static,
    {
        run_on(&self.all[shard.0].arbiter, work).await
    }

    /// Starts a piece of work on some shard and does not wait for it.
    ///
    /// # Errors
    /// `HostNotRunning` where the shard is gone.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        if self.all[self.take_turn().0].arbiter.spawn(work) { Ok(()) } else { Err(shard_is_gone()) }
    }

    /// Ends the shards that the host made, and waits for their threads. It blocks: never call it on a shard.
    pub(crate) fn stop_own(&self) {
        let own = match self.own.lock() {
            Ok(mut own) => std::mem::take(&mut *own),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        for arbiter in own {
            arbiter.stop();
            if arbiter.join().is_err() {
                log::error!("a shard's thread ended with a panic");
            }
        }
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
            // Nobody waits any more where the host was stopped in between.
            let _ = answer.send(work().await);
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
