//! Limits the number of calls before one instance and in flight in a host.
//!
//! Each call takes a permit of both, on the thread that serves it. A single counter for the host would move between the
//! processor's cores with each call, so each thread has one. They are added up only when a thread has so many calls that the
//! sum might matter.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use arc_swap::ArcSwap;
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// A thread with less than this fraction of the host's limit does not look at the other threads. The limit is exact for up
/// to this many threads.
const FRACTIONS: usize = 64;

/// A number of calls, in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// The right of one call to be in flight. Dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct CallPermit(Arc<Count>);

impl CallPermit {
    /// Takes a permit, and returns how many were taken before.
    fn take(count: &Arc<Count>) -> (CallPermit, usize) {
        let before = count.0.fetch_add(1, Ordering::SeqCst);
        (CallPermit(count.clone()), before)
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Limits the calls before one instance. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct InstanceLimiter {
    count: Arc<Count>,
    limit: usize,
}

impl InstanceLimiter {
    pub(crate) fn new(limit: usize) -> InstanceLimiter {
        InstanceLimiter { count: Arc::default(), limit }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn in_use(&self) -> usize {
        self.count.get()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_use() >= self.limit
    }

    /// Takes a permit, if there is one. A failed attempt is never counted, so it cannot make another one fail.
    pub(crate) fn acquire(&self) -> Option<CallPermit> {
        let more = |in_use| (in_use < self.limit).then_some(in_use + 1);
        self.count.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(CallPermit(self.count.clone()))
    }
}

/// The counts of a host's threads.
type Threads = Vec<(ThreadId, Arc<Count>)>;

/// Limits the calls in flight in a host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HostLimiter {
    threads: Arc<ArcSwap<Threads>>,
    limit: usize,
}

/// Limits the calls in flight in a host, for calls that one thread serves. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ThreadLimiter {
    own: Arc<Count>,
    host: HostLimiter,
}

impl HostLimiter {
    pub(crate) fn new(limit: usize) -> HostLimiter {
        HostLimiter { threads: Arc::default(), limit }
    }

    /// Returns the limiter for calls that this thread serves. Threads without limiters are forgotten.
    pub(crate) fn on(&self, thread: ThreadId) -> ThreadLimiter {
        let mut own = Arc::default();
        self.threads.rcu(|threads| {
            let mut threads = Vec::clone(threads);
            // The former list and this one hold a reference each, and so does each limiter.
            threads.retain(|(_, count)| Arc::strong_count(count) > 2);
            match threads.iter().find(|(known, _)| *known == thread) {
                Some((_, count)) => own = count.clone(),
                None => threads.push((thread, own.clone())),
            }
            threads
        });
        ThreadLimiter { own, host: self.clone() }
    }
}

impl ThreadLimiter {
    pub(crate) fn acquire(&self) -> Result<CallPermit> {
        let HostLimiter { threads, limit } = &self.host;
        let (permit, before) = CallPermit::take(&self.own);
        if before < limit / FRACTIONS {
            return Ok(permit);
        }
        // The sum includes the permit just taken.
        let all: usize = threads.load().iter().map(|(_, count)| count.get()).sum();
        if all <= *limit {
            return Ok(permit);
        }
        Err(Error::new(ErrorKind::Busy, format!("the host is full: it has room for {limit} calls")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_at_the_limit_takes_no_permit() {
        let limiter = InstanceLimiter::new(2);
        let kept = [limiter.acquire().unwrap(), limiter.acquire().unwrap()];
        assert!(limiter.acquire().is_none() && limiter.is_full());
        assert_eq!(limiter.in_use(), 2);
        drop(kept);
        assert!(limiter.acquire().is_some());
        assert!(InstanceLimiter::new(0).acquire().is_none());
    }

    #[test]
    fn permits_are_counted_over_all_threads_and_given_back() {
        let host = HostLimiter::new(3);
        let here = host.on(std::thread::current().id());
        let elsewhere = std::thread::spawn(|| std::thread::current().id()).join().unwrap();
        let there = host.on(elsewhere);
        let kept = [here.acquire().unwrap(), there.acquire().unwrap(), here.acquire().unwrap()];
        assert_eq!(there.acquire().unwrap_err().kind(), ErrorKind::Busy);
        drop(kept);
        let again: Vec<CallPermit> = (0..3).map(|_| there.acquire().unwrap()).collect();
        assert!(here.acquire().is_err());
        drop(again);
        // Both instances of a thread count together.
        let beside = host.on(elsewhere);
        let kept = [beside.acquire().unwrap(), there.acquire().unwrap(), there.acquire().unwrap()];
        assert!(beside.acquire().is_err());
        drop(kept);
    }

    #[test]
    fn a_thread_without_instances_is_forgotten() {
        let host = HostLimiter::new(3);
        for _ in 0..5 {
            drop(host.on(std::thread::spawn(|| std::thread::current().id()).join().unwrap()));
        }
        let _last = host.on(std::thread::current().id());
        assert_eq!(host.threads.load().len(), 1);
    }
}
