//! The namespace of a lattice, and the subjects that its hosts use.

use std::fmt;
use std::sync::Arc;

use wasmcloud_core::entity::{WasmCloudEntity, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The namespace that hosts join unless another is set, as in 2021.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// The greatest length of a namespace. NATS limits the length of a whole line of its protocol to 4 KB. Unit: bytes.
const LONGEST: usize = 64;

/// The namespace of a lattice. Hosts with different namespaces share nothing, although they use one NATS server. Cheap to
/// clone.
///
/// ```
/// use wasmcloud_lattice::Namespace;
///
/// let namespace = Namespace::new("cellar").unwrap();
/// assert_eq!(namespace.events(), "wasmbus.ctl.cellar.events");
/// assert!(Namespace::new("a.b").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Returns a namespace.
    ///
    /// # Errors
    /// `InvalidArgument` unless it consists of 1 to 64 letters, digits, hyphens and underscores.
    pub fn new(name: &str) -> Result<Namespace> {
        let is_valid = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
        if !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_valid) {
            return Ok(Namespace(name.into()));
        }
        let message = format!(
            "{:?} is not a namespace: use 1 to {LONGEST} letters, digits, hyphens and underscores",
            shorten(name)
        );
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the subject on which an actor or provider is called, or `None` for the host, which is never called. Hosts that
    /// run the entity share a queue group of the same name.
    ///
    /// A link name may hold characters that a subject may not. They are written as `_`, so two links of a provider may share
    /// a subject; the invocation names the target exactly.
    pub fn call(&self, target: &WasmCloudEntity) -> Option<String> {
        match target {
            WasmCloudEntity::Actor(key) => Some(format!("wasmbus.rpc.{self}.{key}")),
            WasmCloudEntity::Capability { id, link_name, .. } => {
                Some(format!("wasmbus.rpc.{self}.{id}.{}", token(link_name)))
            }
            _ => None,
        }
    }

    /// Returns the subject of one of the advertisements of 2021: `claims`, `links` or `remlinks`.
    pub fn advertisement(&self, kind: &str) -> String {
        format!("wasmbus.rpc.{self}.{kind}")
    }

    /// Returns the subject of a request of the control interface of 2021, such as `get.hosts`.
    pub fn control(&self, request: &str) -> String {
        format!("wasmbus.ctl.{self}.{request}")
    }

    /// Returns the subject of the events of 2021.
    pub fn events(&self) -> String {
        self.control("events")
    }

    /// Returns a subject of messages between current hosts, which those of 2021 do not know.
    pub fn peer(&self, name: &str) -> String {
        format!("wasmbus.peer.{self}.{name}")
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace(DEFAULT_NAMESPACE.into())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether a text has the form of a host's public key, so that it can be part of a subject.
pub fn is_host_key(text: &str) -> bool {
    text.len() == 56 && text.starts_with('N') && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns a text as one token of a subject.
fn token(text: &str) -> String {
    let is_plain =
        |character: char| !character.is_whitespace() && !character.is_control() && !".*>".contains(character);
    text.chars().map(|character| if is_plain(character) { character } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_2021() {
        let namespace = Namespace::default();
        let actor = WasmCloudEntity::Actor("MBC".to_owned());
        assert_eq!(namespace.call(&actor).unwrap(), "wasmbus.rpc.default.MBC");
        let provider = WasmCloudEntity::Capability {
            id: "VDX".to_owned(),
            contract_id: "wasmcloud:keyvalue".to_owned(),
            link_name: "default".to_owned(),
        };
        assert_eq!(namespace.call(&provider).unwrap(), "wasmbus.rpc.default.VDX.default");
        assert_eq!(namespace.call(&WasmCloudEntity::Host), None);
        assert_eq!(namespace.advertisement("remlinks"), "wasmbus.rpc.default.remlinks");
        assert_eq!(namespace.control("get.claims"), "wasmbus.ctl.default.get.claims");
    }

    #[test]
    fn a_link_name_is_one_token() {
        let provider = WasmCloudEntity::Capability {
            id: "V".to_owned(),
            contract_id: "a:b".to_owned(),
            link_name: "a b.>*\n".to_owned(),
        };
        assert_eq!(Namespace::default().call(&provider).unwrap(), "wasmbus.rpc.default.V.a_b____");
    }

    #[test]
    fn only_plain_names_are_namespaces() {
        for bad in ["", ">", "*", "a.b", "a b", "é", &"a".repeat(65)] {
            assert_eq!(Namespace::new(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
    }
}
