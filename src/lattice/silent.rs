//! The hosts that fell silent, which viewers and alerts should know of for longer than the lattice itself does.
//!
//! The roster forgets a host once its heartbeats are too old to be replayed, two minutes by default. One that is still down at
//! three in the morning has to be there when the alert is looked into.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmcloud_lattice::{Peer, PeerStatus};

/// How long a host is remembered after it was heard.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// The most hosts that are remembered.
const MOST: usize = 256;

/// A host, as far as its silence matters.
pub(super) trait Heard: Clone {
    fn key(&self) -> &str;
    fn last_heard(&self) -> Instant;
    /// Returns whether it is silent without having left.
    fn is_silent(&self) -> bool;
}

impl Heard for Peer {
    fn key(&self) -> &str {
        &self.host
    }

    fn last_heard(&self) -> Instant {
        self.last_heard
    }

    fn is_silent(&self) -> bool {
        self.status == PeerStatus::Down
    }
}

/// Remembers silent hosts until they are heard again or leave, for a day at most.
#[derive(Debug)]
pub(super) struct SilentHosts<P>(Mutex<HashMap<String, P>>);

impl<P> Default for SilentHosts<P> {
    fn default() -> Self {
        SilentHosts(Mutex::default())
    }
}

impl<P: Heard> SilentHosts<P> {
    /// Takes note of a host as it is known now.
    pub(super) fn note(&self, peer: &P) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), peer);
    }

    /// Takes note of all hosts that are known now, and adds those that are remembered.
    pub(super) fn complete(&self, mut peers: Vec<P>, now: Instant) -> Vec<P> {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.iter().for_each(|peer| note(&mut silent, peer));
        silent.retain(|_, peer| now.saturating_duration_since(peer.last_heard()) < MEMORY);
        let known: HashSet<&str> = peers.iter().map(Heard::key).collect();
        let remembered: Vec<P> = silent.values().filter(|peer| !known.contains(peer.key())).cloned().collect();
        peers.extend(remembered);
        peers
    }
}

fn note<P: Heard>(silent: &mut HashMap<String, P>, peer: &P) {
    if !peer.is_silent() {
        silent.remove(peer.key());
        return;
    }
    if silent.len() >= MOST && !silent.contains_key(peer.key()) {
        let oldest = silent.values().min_by_key(|peer| peer.last_heard()).map(|peer| peer.key().to_owned());
        oldest.and_then(|oldest| silent.remove(&oldest));
    }
    silent.insert(peer.key().to_owned(), peer.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone)]
    struct Host {
        key: String,
        heard: Instant,
        is_silent: bool,
    }

    impl Heard for Host {
        fn key(&self) -> &str {
            &self.key
        }

        fn last_heard(&self) -> Instant {
            self.heard
        }

        fn is_silent(&self) -> bool {
            self.is_silent
        }
    }

    fn host(key: &str, heard: Instant, is_silent: bool) -> Host {
        Host { key: key.to_owned(), heard, is_silent }
    }

    #[test]
    fn a_host_that_fell_silent_is_remembered_until_it_is_heard_or_a_day_has_passed() {
        let silent = SilentHosts::default();
        let start = Instant::now();
        assert_eq!(silent.complete(vec![host("a", start, false), host("b", start, true)], start).len(), 2);
        // The roster has forgotten both.
        let known = silent.complete(Vec::new(), start + Duration::from_secs(180));
        assert_eq!((known.len(), known[0].key.as_str(), known[0].is_silent), (1, "b", true));
        let later = start + Duration::from_secs(200);
        assert_eq!(silent.complete(vec![host("b", later, false)], later).len(), 1);
        assert!(silent.complete(Vec::new(), later).is_empty(), "it left, or was heard");
        silent.note(&host("b", later, true));
        assert_eq!(silent.complete(Vec::new(), later + MEMORY / 2).len(), 1);
        assert!(silent.complete(Vec::new(), later + MEMORY).is_empty());
    }

    #[test]
    fn those_that_were_heard_last_are_remembered() {
        let silent = SilentHosts::default();
        let start = Instant::now();
        for number in 0..MOST as u64 + 50 {
            silent.note(&host(&number.to_string(), start + Duration::from_millis(number), true));
        }
        let known = silent.complete(Vec::new(), start + Duration::from_secs(1));
        assert_eq!(known.len(), MOST);
        assert!(!known.iter().any(|host| host.key == "49") && known.iter().any(|host| host.key == "50"));
    }
}
