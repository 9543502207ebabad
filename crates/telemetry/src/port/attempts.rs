//! How often strangers may try tokens: each address a few times at once, and then once a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::places::network;

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
    /// Returns whether an address may try a token now. One that has tried no wrong token lately always may.
    pub(super) fn may_try(&self, peer: IpAddr, now: Instant) -> bool {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(&network(peer)).is_none_or(|failed| failed.now(now) < AT_ONCE)
    }

    /// Records that an address has tried a wrong token.
    pub(super) fn has_failed(&self, peer: IpAddr, now: Instant) {
        let network = network(peer);
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= REMEMBERED && !failed.contains_key(&network) {
            make_room(&mut failed, now);
        }
        let count = failed.get(&network).map_or(0, |failed| failed.now(now));
        failed.insert(network, Failed { count: count + 1, last: now });
    }
}

/// Forgets what is forgiven, or else the attempt that is longest ago: guesses from thousands of addresses must not shut those out
/// who know the token, and no rate of guesses finds it.
fn make_room(failed: &mut HashMap<IpAddr, Failed>, now: Instant) {
    failed.retain(|_, failed| failed.now(now) > 0);
    if failed.len() >= REMEMBERED {
        let oldest = failed.iter().min_by_key(|(_, failed)| failed.last).map(|(network, _)| *network);
        oldest.and_then(|oldest| failed.remove(&oldest));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

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
    fn a_wide_network_has_the_attempts_of_one_address() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..AT_ONCE {
            attempts.has_failed(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number as u16).into(), now);
        }
        assert!(!attempts.may_try(Ipv6Addr::new(0xfd00, 0, 0, 0, 9, 9, 9, 9).into(), now));
        assert!(attempts.may_try(Ipv6Addr::new(0xfd00, 0, 0, 1, 9, 9, 9, 9).into(), now));
    }

    #[test]
    fn guesses_of_thousands_of_addresses_shut_no_newcomer_out() {
        const MANY: u32 = REMEMBERED as u32 + 100;
        let attempts = Attempts::default();
        let mut now = Instant::now();
        let newcomer = IpAddr::from([192, 0, 2, 1]);
        for number in 0..MANY {
            now += Duration::from_micros(1);
            let guesser = IpAddr::from(number.to_be_bytes());
            (0..AT_ONCE).for_each(|_| attempts.has_failed(guesser, now));
            assert!(attempts.may_try(newcomer, now));
        }
        assert!(attempts.0.lock().unwrap().len() <= REMEMBERED);
        let last = IpAddr::from((MANY - 1).to_be_bytes());
        assert!(!attempts.may_try(last, now), "the latest guessers are remembered");
        attempts.has_failed(newcomer, now + ONE_MORE * AT_ONCE);
        assert_eq!(attempts.0.lock().unwrap().len(), 1, "what is forgiven is forgotten");
    }
}
