//! Who has a place among the connections. When there is none for a newcomer, a connection that is quiet makes room.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot::{self, Receiver, Sender};

/// The most connections at a time.
const CONNECTIONS: usize = 256;

/// The places that only this machine has: its probes are answered whatever comes from elsewhere.
const OWN: usize = 16;

/// The most connections of an address of another machine, streams apart: only clients with the token have those.
const SHARE: usize = 32;

/// The places of all connections. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    places: HashMap<u64, Taker>,
    last: u64,
}

/// A connection that has a place.
#[derive(Debug)]
struct Taker {
    network: IpAddr,
    /// When it began, or asked for something.
    asked: Instant,
    is_stream: bool,
    /// Tells the connection, by its drop, that the place went to another one.
    _is_lost: Sender<()>,
}

impl Taker {
    fn is_foreign(&self) -> bool {
        !self.network.is_loopback()
    }
}

/// The place of a connection. It is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
}

impl Places {
    /// Returns a place, and what ends when another connection gets it. `None` if all others are streams.
    pub(super) fn take(&self, peer: IpAddr, now: Instant) -> Option<(Place, Receiver<()>)> {
        let mut taken = self.lock();
        let network = network(peer);
        taken.make_room(network)?;
        let (is_lost, lost) = oneshot::channel();
        taken.last += 1;
        let number = taken.last;
        taken.places.insert(number, Taker { network, asked: now, is_stream: false, _is_lost: is_lost });
        Some((Place { places: self.clone(), number }, lost))
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Sees to it that a newcomer finds a place. `None` if it cannot have one.
    fn make_room(&mut self, newcomer: IpAddr) -> Option<()> {
        if newcomer.is_loopback() {
            return self.leave(CONNECTIONS, |_| true);
        }
        self.leave(SHARE, |other| other.network == newcomer && !other.is_stream)?;
        self.leave(CONNECTIONS - OWN, Taker::is_foreign)
    }

    /// Takes the place of the quietest of some connections, if they have as many as they may. `None` if all of them are streams.
    fn leave(&mut self, most: usize, is_one: impl Fn(&Taker) -> bool) -> Option<()> {
        let some = || self.places.iter().filter(|(_, other)| is_one(other));
        if some().count() < most {
            return Some(());
        }
        let quietest = some().filter(|(_, other)| !other.is_stream).min_by_key(|(_, other)| other.asked);
        let number = *quietest?.0;
        self.places.remove(&number);
        Some(())
    }
}

impl Place {
    /// Notes that the connection asks for something.
    pub(super) fn asks(&self, now: Instant) {
        self.change(|taker| (taker.asked, taker.is_stream) = (now, false));
    }

    /// Notes that the connection is a stream from now on.
    pub(super) fn is_stream(&self) {
        self.change(|taker| taker.is_stream = true);
    }

    fn change(&self, change: impl FnOnce(&mut Taker)) {
        self.places.lock().places.get_mut(&self.number).map(change);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().places.remove(&self.number);
    }
}

/// Returns what stands for the owner of an address: the address itself, or the network of 64 bits of IPv6.
pub(super) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Takes places, each a moment after the one before.
    struct Test {
        places: Places,
        now: Instant,
    }

    impl Test {
        fn new() -> Test {
            Test { places: Places::default(), now: Instant::now() }
        }

        fn take(&mut self, peer: impl Into<IpAddr>) -> Option<(Place, Receiver<()>)> {
            self.now += Duration::from_millis(1);
            self.places.take(peer.into(), self.now)
        }

        fn many(&mut self, count: usize, peer: impl Fn(usize) -> IpAddr) -> Vec<(Place, Receiver<()>)> {
            (0..count).map(|number| self.take(peer(number)).unwrap()).collect()
        }
    }

    fn lost(taken: &mut [(Place, Receiver<()>)]) -> Vec<usize> {
        let mut numbers = Vec::new();
        for (number, (_, lost)) in taken.iter_mut().enumerate() {
            if lost.try_recv() == Err(oneshot::error::TryRecvError::Closed) {
                numbers.push(number);
            }
        }
        numbers
    }

    #[test]
    fn a_stranger_takes_no_place_but_its_own() {
        let mut test = Test::new();
        let mut probe = test.many(1, |_| [10, 0, 0, 1].into());
        let mut strangers = test.many(10 * CONNECTIONS, |_| [203, 0, 113, 7].into());
        assert_eq!(lost(&mut probe), [0; 0]);
        let kept = 10 * CONNECTIONS - SHARE;
        assert_eq!(lost(&mut strangers), (0..kept).collect::<Vec<_>>(), "the quietest of its own made room");
        assert!(test.take([10, 0, 0, 2]).is_some());
    }

    #[test]
    fn crowds_of_other_machines_take_no_place_of_this_one() {
        let mut test = Test::new();
        let mut probes = test.many(3, |_| HERE);
        let mut crowd = test.many(2 * CONNECTIONS, |number| (number as u32 + (10 << 24)).to_be_bytes().into());
        assert_eq!(lost(&mut probes), [0; 0]);
        assert_eq!(lost(&mut crowd).len(), 2 * CONNECTIONS - (CONNECTIONS - OWN));
        let mut own = test.many(CONNECTIONS, |_| "::1".parse().unwrap());
        assert_eq!(lost(&mut own), [0; 0]);
        assert_eq!(test.places.lock().places.len(), CONNECTIONS);
        assert_eq!(lost(&mut crowd).len(), 2 * CONNECTIONS, "a machine has all places if it needs them");
    }

    #[test]
    fn the_quietest_makes_room_and_no_stream_does() {
        let mut test = Test::new();
        let mut taken = test.many(CONNECTIONS, |_| HERE);
        taken[0].0.is_stream();
        taken[1].0.asks(test.now + Duration::from_secs(1));
        assert!(test.take(HERE).is_some_and(|(newcomer, _)| newcomer.number > 0));
        assert_eq!(lost(&mut taken), [2]);
        for (place, _) in &taken {
            place.is_stream();
        }
        let newcomer = test.take(HERE).unwrap();
        newcomer.0.is_stream();
        assert!(test.take(HERE).is_none(), "all are streams");
        drop(newcomer);
        assert!(test.take(HERE).is_some());
    }

    #[test]
    fn viewers_behind_one_address_have_as_many_streams_as_they_need() {
        let mut test = Test::new();
        let office = |_| [198, 51, 100, 1].into();
        let mut viewers = test.many(1, office);
        for _ in 0..2 * SHARE {
            viewers.last().unwrap().0.is_stream();
            viewers.extend(test.many(1, office));
        }
        assert_eq!(lost(&mut viewers), [0; 0]);
    }
}
