//! Room for calls: how many there may be, before an instance and in a whole host.
//!
//! Every call takes a place in both, on whichever thread it is served. A single count for the host would go back and forth
//! between the processor's cores with each call, so there is one for each thread, and they are added up only where a thread
//! has so many calls that it might matter.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use arc_swap::ArcSwap;

use crate::error::{Error, ErrorKind, Result};

/// A thread that has less than this part of the host's places does not look at what the others have. So this is the largest
/// number of threads for which the limit holds to the letter.
const PARTS: usize = 64;

/// How many calls there are, in a line of the processor's cache of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A taken place. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Count>);

impl Place {
    /// Takes a place, and tells how many were taken before.
    fn take(count: &Arc<Count>) -> (Place, usize) {
        let taken = count.0.fetch_add(1, Ordering::SeqCst);
        (Place(count.clone()), taken)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The room before one instance.
#[derive(Debug, Clone)]
pub(super) struct InstanceRoom {
    taken: Arc<Count>,
    limit: usize,
}

impl InstanceRoom {
    pub(super) fn new(limit: usize) -> InstanceRoom {
        InstanceRoom { taken: Arc::default(), limit }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.get()
    }

    pub(super) fn is_full(&self) -> bool {
        self.taken() >= self.limit
    }

    /// Takes a place, if there is one. An attempt that fails is never counted as a call: the next one may find a place
    /// that was given back meanwhile.
    pub(super) fn take(&self) -> Option<Place> {
        let more = |taken| (taken < self.limit).then_some(taken + 1);
        self.taken.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Place(self.taken.clone()))
    }
}

/// The counts of a host's threads.
type Threads = Vec<(ThreadId, Arc<Count>)>;

/// The room in a host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HostRoom {
    threads: Arc<ArcSwap<Threads>>,
    limit: usize,
}

/// The room in a host, for calls that are served on one thread. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ThreadRoom {
    own: Arc<Count>,
    host: HostRoom,
}

impl HostRoom {
    pub(crate) fn new(limit: usize) -> HostRoom {
        HostRoom { threads: Arc::default(), limit }
    }

    /// The room for calls that are served on this thread. Threads that nobody serves calls on any more are forgotten.
    pub(crate) fn on(&self, thread: ThreadId) -> ThreadRoom {
        let mut own = Arc::default();
        self.threads.rcu(|threads| {
            let mut threads = Vec::clone(threads);
            // The list before this one and this one hold each; whoever uses it holds it too.
            threads.retain(|(_, count)| Arc::strong_count(count) > 2);
            match threads.iter().find(|(known, _)| *known == thread) {
                Some((_, count)) => own = count.clone(),
                None => threads.push((thread, own.clone())),
            }
            threads
        });
        ThreadRoom { own, host: self.clone() }
    }
}

impl ThreadRoom {
    pub(super) fn take(&self) -> Result<Place> {
        let HostRoom { threads, limit } = &self.host;
        let (place, taken) = Place::take(&self.own);
        if taken < limit / PARTS {
            return Ok(place);
        }
        // This one's own place is among them.
        let all: usize = threads.load().iter().map(|(_, count)| count.get()).sum();
        if all <= *limit {
            return Ok(place);
        }
        Err(Error::new(ErrorKind::Busy, format!("the host is full: it has room for {limit} calls")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_no_place_takes_none() {
        let room = InstanceRoom::new(2);
        let kept = [room.take().unwrap(), room.take().unwrap()];
        assert!(room.take().is_none() && room.is_full());
        assert_eq!(room.taken(), 2);
        drop(kept);
        assert!(room.take().is_some());
        assert!(InstanceRoom::new(0).take().is_none());
    }

    #[test]
    fn places_are_counted_over_all_threads_and_given_back() {
        let host = HostRoom::new(3);
        let here = host.on(std::thread::current().id());
        let elsewhere = std::thread::spawn(|| std::thread::current().id()).join().unwrap();
        let there = host.on(elsewhere);
        let kept = [here.take().unwrap(), there.take().unwrap(), here.take().unwrap()];
        assert_eq!(there.take().unwrap_err().kind(), ErrorKind::Busy);
        drop(kept);
        let again: Vec<Place> = (0..3).map(|_| there.take().unwrap()).collect();
        assert!(here.take().is_err());
        drop(again);
        // Both instances of a thread count together.
        let beside = host.on(elsewhere);
        let kept = [beside.take().unwrap(), there.take().unwrap(), there.take().unwrap()];
        assert!(beside.take().is_err());
        drop(kept);
    }

    #[test]
    fn a_thread_without_instances_is_forgotten() {
        let host = HostRoom::new(3);
        for _ in 0..5 {
            drop(host.on(std::thread::spawn(|| std::thread::current().id()).join().unwrap()));
        }
        let _last = host.on(std::thread::current().id());
        assert_eq!(host.threads.load().len(), 1);
    }
}
