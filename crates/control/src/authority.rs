//! Who may give orders to a host.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::replay::{NotFresh, ReplayCache, ReplayLimits};

use crate::token;

/// How many orders a host remembers, so that none is accepted twice.
const REMEMBERED: usize = 16 * 1024;

/// Decides who may give orders to a host: the issuers that it names, or any program on the NATS server.
#[derive(Debug)]
pub struct ControlAuthority {
    issuers: BTreeSet<String>,
    admitted: Mutex<ReplayCache>,
}

impl ControlAuthority {
    /// Returns an authority that accepts orders of these issuers (`A...`, `U...`, `C...`), within a window around their time.
    /// Without issuers it accepts any order.
    ///
    /// # Errors
    /// `InvalidArgument` for a key that is none of an issuer.
    pub fn new(issuers: impl IntoIterator<Item = String>, window: Duration) -> Result<ControlAuthority> {
        let issuers: BTreeSet<String> = issuers.into_iter().collect();
        if let Some(bad) = issuers.iter().find(|issuer| !token::is_issuer(issuer)) {
            let message = format!(
                "{:?} is no control issuer: name the public key of an account (A...), a user (U...) or a cluster (C...)",
                shorten(bad)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let limits = ReplayLimits { back: window, ahead: window, calls: REMEMBERED, ..ReplayLimits::default() };
        Ok(ControlAuthority { issuers, admitted: Mutex::new(ReplayCache::new(limits)) })
    }

    /// Returns whether any order is accepted, since no issuer is named.
    pub fn is_open(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Checks whether an order is accepted. `now` is the time in milliseconds since 1970. An order is accepted once.
    ///
    /// # Errors
    /// `Unauthorized` with the reason.
    pub fn admit(&self, subject: &str, content: &[u8], token: Option<&str>, now: u64) -> Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let refused = |reason: &str| {
            let message = format!("the order on {subject} is refused: {reason}");
            Error::new(ErrorKind::Unauthorized, message)
        };
        let Some(token) = token else {
            return Err(refused("it has no token: sign it with the seed of one of the host's control issuers"));
        };
        let verified = token::verify(token, subject, content).map_err(|error| refused(&error.to_string()))?;
        if !self.issuers.contains(&verified.issuer) {
            return Err(refused(&format!("{} is not one of the host's control issuers", verified.issuer)));
        }
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.admit(&verified.issuer, &verified.id, verified.issued_at, now).map_err(|reason| {
            refused(match reason {
                NotFresh::Replayed => "its token was used before: sign each order anew",
                NotFresh::Expired => "its token is too old: sign each order anew, and compare the clocks",
                NotFresh::FromFuture => "its token is from the future: compare the clocks",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn authority(key: &KeyPair) -> ControlAuthority {
        ControlAuthority::new([key.public_key()], Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn an_order_of_an_issuer_is_accepted_once_and_in_time() {
        let key = KeyPair::new_account();
        let authority = authority(&key);
        let token = token::sign("a", b"x", &key, NOW).unwrap();
        assert!(authority.admit("a", b"x", Some(&token), NOW + 59_000).is_ok());
        let refused = |now| authority.admit("a", b"x", Some(&token), now).unwrap_err();
        for now in [NOW, NOW + 61_000, NOW - 61_000] {
            assert_eq!(refused(now).kind(), ErrorKind::Unauthorized);
        }
        assert!(refused(NOW + 59_000).to_string().contains("used before"));
    }

    #[test]
    fn others_are_refused_and_an_open_interface_accepts_any_order() {
        let authority = authority(&KeyPair::new_account());
        let token = token::sign("a", b"x", &KeyPair::new_account(), NOW).unwrap();
        for token in [None, Some("x"), Some(token.as_str())] {
            assert_eq!(authority.admit("a", b"x", token, NOW).unwrap_err().kind(), ErrorKind::Unauthorized);
        }
        let open = ControlAuthority::new([], Duration::from_secs(60)).unwrap();
        assert!(open.is_open() && open.admit("a", b"x", None, NOW).is_ok());
    }

    #[test]
    fn only_keys_of_issuers_are_issuers() {
        for bad in ["A", "", &KeyPair::new_server().public_key()] {
            let error = ControlAuthority::new([bad.to_owned()], Duration::from_secs(60)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
