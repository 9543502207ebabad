//! The signature by which a cluster vouches for a host.

use nkeys::{KeyPair, KeyPairType};

/// The length of a signature. Unit: bytes.
pub(crate) const SIGNATURE: usize = 64;

/// What signatures of clusters for hosts begin with, so that they sign nothing else.
const DOMAIN: &[u8] = b"wasmcloud host of a cluster 1\0";

/// A cluster's signature for a host in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endorsement {
    pub(crate) cluster: String,
    pub(crate) signature: [u8; SIGNATURE],
}

impl Endorsement {
    /// Returns the signature of a cluster for a host, or `None` if the key is not of a cluster or cannot sign.
    pub(crate) fn new(cluster: &KeyPair, namespace: &str, host: &str) -> Option<Endorsement> {
        if cluster.key_pair_type() != KeyPairType::Cluster {
            return None;
        }
        let signature = cluster.sign(&signed(namespace, host)).ok()?;
        Some(Endorsement { cluster: cluster.public_key(), signature: signature.try_into().ok()? })
    }

    /// Returns whether the cluster that it names has signed it for a host in a namespace.
    pub(crate) fn is_signed(&self, namespace: &str, host: &str) -> bool {
        let Ok(key) = KeyPair::from_public_key(&self.cluster) else { return false };
        key.key_pair_type() == KeyPairType::Cluster && key.verify(&signed(namespace, host), &self.signature).is_ok()
    }
}

/// Returns what is signed. A namespace holds no zero, so it ends where it ends.
fn signed(namespace: &str, host: &str) -> Vec<u8> {
    [DOMAIN, namespace.as_bytes(), b"\0", host.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endorsement_holds_for_its_host_and_namespace_alone() {
        let (cluster, host) = (KeyPair::new_cluster(), KeyPair::new_server().public_key());
        let endorsement = Endorsement::new(&cluster, "default", &host).unwrap();
        assert!(endorsement.is_signed("default", &host));
        assert!(!endorsement.is_signed("other", &host));
        assert!(!endorsement.is_signed("default", &KeyPair::new_server().public_key()));
        let stolen = Endorsement { cluster: KeyPair::new_cluster().public_key(), ..endorsement };
        assert!(!stolen.is_signed("default", &host));
        assert_eq!(Endorsement::new(&KeyPair::new_server(), "default", &host), None);
    }
}
