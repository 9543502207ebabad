//! Which hosts a host accepts messages from.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use nkeys::{KeyPair, KeyPairType};
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The hosts whose messages a host accepts. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostTrust(Option<Arc<HashSet<String>>>);

impl HostTrust {
    /// Returns the trust in any host that proves its key. Any client of the NATS server can be such a host.
    pub fn any() -> HostTrust {
        HostTrust(None)
    }

    /// Returns the trust in some keys: public keys of hosts (`N...`) and clusters (`C...`), and seeds of either (`SN...`,
    /// `SC...`), which stand for their public keys. Seeds are not kept.
    ///
    /// # Errors
    /// `InvalidArgument` if a key is malformed or of another kind, or if there is none.
    pub fn only<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Result<HostTrust> {
        let trusted: HashSet<String> = keys.into_iter().map(|key| public_key(key.as_ref())).collect::<Result<_>>()?;
        if trusted.is_empty() {
            let message = "no host key is named: name the hosts or clusters to trust, or trust any host";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(HostTrust(Some(Arc::new(trusted))))
    }

    /// Returns whether any host is accepted.
    pub fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whether messages that were signed with a key are accepted.
    pub fn accepts(&self, key: &str) -> bool {
        self.0.as_ref().is_none_or(|keys| keys.contains(key))
    }
}

impl fmt::Display for HostTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("any host"),
            Some(keys) => write!(f, "{} host and cluster keys", keys.len()),
        }
    }
}

fn public_key(key: &str) -> Result<String> {
    let is_seed = key.starts_with('S');
    let pair = if is_seed { KeyPair::from_seed(key) } else { KeyPair::from_public_key(key) };
    match pair {
        Ok(pair) if matches!(pair.key_pair_type(), KeyPairType::Server | KeyPairType::Cluster) => Ok(pair.public_key()),
        _ => {
            let shown = if is_seed { "a seed".to_owned() } else { format!("{:?}", shorten(key)) };
            let message = format!("{shown} is no key of a host (N...) or a cluster (C...)");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_stands_for_its_public_key() {
        let (host, cluster) = (KeyPair::new_server(), KeyPair::new_cluster());
        let trust = HostTrust::only([host.public_key(), cluster.seed().unwrap()]).unwrap();
        assert!(trust.accepts(&host.public_key()) && trust.accepts(&cluster.public_key()));
        assert!(!trust.accepts(&KeyPair::new_server().public_key()) && !trust.is_any());
        assert!(!format!("{trust:?}").contains(&cluster.seed().unwrap()));
        assert!(HostTrust::any().accepts("N"));
    }

    #[test]
    fn other_keys_are_refused_and_seeds_are_not_told() {
        let account = KeyPair::new_account();
        let damaged = KeyPair::new_cluster().seed().unwrap().replace('A', "B");
        for key in [account.public_key(), account.seed().unwrap(), damaged.clone(), String::new()] {
            let error = HostTrust::only([&key]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(!key.starts_with('S') || !error.to_string().contains(&key));
        }
        assert!(HostTrust::only(Vec::<String>::new()).is_err());
    }
}
