//! How often strangers may try tokens: each address a few times at once, and then once a second.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many attempts an address has at once.
const AT_ONCE: u32 = 10;

/// How long it takes until an address has one more.
const ONE_MORE: Duration = Duration::from_secs(1);

/// The most addresses that are remembered.
const REMEMBERED: usize = 4_096;

/// The failed attempts of addresses.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Failed>>);

/// The failed attempts of one address.
#[derive(Debug, Clone, Copy)]
struct Failed {
    count: u32,
    last: Instant,
}

impl Failed {
    /// Returns how many attempts are not forgiven yet.
    fn now(self, now: Instant) -> u32 {
        let forgiven = now.saturating_duration_since(self.last).as_millis() / ONE_MORE.as_millis();
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

impl Attempts {
    /// Returns whether an address may try a token now.
    pub(super) fn may_try(&self, peer: IpAddr, now: Instant) -> bool {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.get(&network(peer)) {
            Some(failed) => failed.now(now) < AT_ONCE,
            // With so many at it, newcomers wait as well.
            None => failed.len() < REMEMBERED,
        }
    }

    /// Records that an address has tried a wrong token.
    pub(super) fn has_failed(&self, peer: IpAddr, now: Instant) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= REMEMBERED {
            failed.retain(|_, failed| failed.now(now) > 0);
        }
        let count = failed.get(&network(peer)).map_or(0, |failed| failed.now(now));
        failed.insert(network(peer), Failed { count: count + 1, last: now });
    }
}

/// Returns what stands for the owner of an address: the address itself, or the network of 64 bits of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_few_attempts_and_then_one_each_second() {
        let attempts = Attempts::default();
        let (guesser, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut now = Instant::now();
        for _ in 0..AT_ONCE {
            assert!(attempts.may_try(guesser, now));
            attempts.has_failed(guesser, now);
        }
        assert!(!attempts.may_try(guesser, now) && attempts.may_try(other, now));
        now += ONE_MORE;
        assert!(attempts.may_try(guesser, now));
        attempts.has_failed(guesser, now);
        assert!(!attempts.may_try(guesser, now));
        assert!(attempts.may_try(guesser, now + ONE_MORE * AT_ONCE));
    }

    #[test]
    fn neither_many_addresses_nor_a_wide_network_help_a_guesser() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..AT_ONCE {
            attempts.has_failed(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number as u16).into(), now);
        }
        assert!(!attempts.may_try(Ipv6Addr::new(0xfd00, 0, 0, 0, 9, 9, 9, 9).into(), now));
        for number in 0..2 * REMEMBERED as u32 {
            let peer = IpAddr::from(number.to_be_bytes());
            if attempts.may_try(peer, now) {
                attempts.has_failed(peer, now);
            }
        }
        assert!(attempts.0.lock().unwrap().len() <= REMEMBERED);
        let later = now + ONE_MORE * AT_ONCE;
        attempts.has_failed(IpAddr::from([10, 0, 0, 1]), later);
        assert!(attempts.may_try(IpAddr::from([10, 0, 0, 2]), later));
    }
}
