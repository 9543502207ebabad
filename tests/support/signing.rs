//! Guests from the fixtures, signed with keys made on the spot.

use wascap::jwt::{self, Claims};
use wascap::prelude::KeyPair;
use wasmcloud_host::Actor;

/// The bytes of an unsigned guest.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/guests/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// A module that is about to be signed.
pub(crate) struct Signing {
    module: Vec<u8>,
    pub(crate) claims: Claims<jwt::Actor>,
    account: KeyPair,
}

/// Begins to sign a guest of the fixtures.
pub(crate) fn sign(name: &str) -> Signing {
    sign_module(name, guest(name))
}

/// Begins to sign any bytes.
pub(crate) fn sign_module(name: &str, module: Vec<u8>) -> Signing {
    let account = KeyPair::new_account();
    let claims = Claims::<jwt::Actor>::new(
        name.to_owned(),
        account.public_key(),
        KeyPair::new_module().public_key(),
        Some(vec![]),
        None,
        false,
        Some(1),
        Some("1.0.0".to_owned()),
        None,
    );
    Signing { module, claims, account }
}

impl Signing {
    pub(crate) fn capability(mut self, contract: &str) -> Signing {
        let metadata = self.claims.metadata.get_or_insert_default();
        metadata.caps.get_or_insert_default().push(contract.to_owned());
        self
    }

    pub(crate) fn alias(mut self, alias: &str) -> Signing {
        self.claims.metadata.get_or_insert_default().call_alias = Some(alias.to_owned());
        self
    }

    pub(crate) fn revision(mut self, revision: i32) -> Signing {
        self.claims.metadata.get_or_insert_default().rev = Some(revision);
        self
    }

    pub(crate) fn claims(mut self, change: impl FnOnce(&mut Claims<jwt::Actor>)) -> Signing {
        change(&mut self.claims);
        self
    }

    /// The same actor, with other code.
    pub(crate) fn module(mut self, module: Vec<u8>) -> Signing {
        self.module = module;
        self
    }

    /// Has what is signed from now on be another revision of the same actor.
    pub(crate) fn set_revision(&mut self, revision: i32) {
        self.claims.metadata.get_or_insert_default().rev = Some(revision);
    }

    /// The signed module.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        wascap::wasm::embed_claims(&self.module, &self.claims, &self.account).unwrap()
    }

    /// The signed module, verified.
    pub(crate) fn actor(&self) -> Actor {
        Actor::from_slice(&self.bytes()).unwrap()
    }
}
