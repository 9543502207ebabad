//! Guests from the fixtures, signed with keys made on the spot.

use std::path::{Path, PathBuf};

use nkeys::KeyPair;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use wasmcloud_host::Actor;
use wasmcloud_host::jwt::{self, Claims, WascapEntity};

/// Returns the path of something in the repository, whichever of its packages this is built for.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|folder| folder.join("fixtures").is_dir()).expect("a folder with fixtures");
    root.join(path)
}

/// The bytes of an unsigned guest.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = in_repository(&format!("fixtures/guests/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// When a module was signed, which shows in how it carries its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// As by wascap 0.6: in a section named `jwt`, by a token that names no revision of wascap.
    Old,
    /// As by wascap 0.13: in a section named `wasmcloud_jwt`.
    New,
}

impl Era {
    /// A token with these claims.
    pub(crate) fn token<T>(self, mut claims: Claims<T>, account: &KeyPair) -> String
    where
        T: Serialize + DeserializeOwned + WascapEntity,
    {
        if self == Era::Old {
            let mut fields = serde_json::to_value(&claims).unwrap();
            fields.as_object_mut().unwrap().remove("wascap_revision");
            claims = serde_json::from_value(fields).unwrap();
        }
        claims.encode(account).unwrap()
    }
}

/// What a token names signed bytes by.
pub(crate) fn hash(bytes: &[u8]) -> String {
    data_encoding::HEXUPPER.encode(&Sha256::digest(bytes))
}

/// A module that is about to be signed.
pub(crate) struct Signing {
    module: Vec<u8>,
    pub(crate) claims: Claims<jwt::Actor>,
    account: KeyPair,
}

/// A module with a token, whatever that says.
pub(crate) fn with_token(module: &[u8], era: Era, token: &str) -> Vec<u8> {
    let name = match era {
        Era::Old => "jwt",
        Era::New => "wasmcloud_jwt",
    };
    let mut bytes = module.to_vec();
    let section = wasm_encoder::CustomSection { name: name.into(), data: token.as_bytes().into() };
    wasm_encoder::Section::append_to(&section, &mut bytes);
    bytes
}

/// Begins to sign a guest of the fixtures.
pub(crate) fn sign(name: &str) -> Signing {
    sign_module(name, guest(name))
}

/// Begins to sign any bytes.
pub(crate) fn sign_module(name: &str, module: Vec<u8>) -> Signing {
    let account = KeyPair::new_account();
    let metadata = jwt::Actor {
        name: Some(name.to_owned()),
        caps: Some(vec![]),
        rev: Some(1),
        ver: Some("1.0.0".to_owned()),
        ..jwt::Actor::default()
    };
    let claims = metadata.claims(account.public_key(), KeyPair::new_module().public_key());
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

    /// Has it be signed by the account that signs `other`.
    pub(crate) fn issued_like(mut self, other: &Signing) -> Signing {
        self.account = KeyPair::from_seed(&other.account.seed().unwrap()).unwrap();
        self.claims.issuer = self.account.public_key();
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
        self.bytes_of(Era::New)
    }

    /// The token, as it was made in an era.
    pub(crate) fn token(&self, era: Era) -> String {
        let mut claims = self.claims.clone();
        if let Some(metadata) = &mut claims.metadata {
            metadata.module_hash = hash(&self.module);
        }
        era.token(claims, &self.account)
    }

    /// A token that says what it is told to, signed as it should be.
    pub(crate) fn token_saying(&self, payload: &str) -> String {
        let encode = |part: &[u8]| data_encoding::BASE64URL_NOPAD.encode(part);
        let signed = format!("{}.{}", encode(br#"{"typ":"jwt","alg":"Ed25519"}"#), encode(payload.as_bytes()));
        let signature = self.account.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(&signature))
    }

    /// The signed module, as it was made in an era.
    pub(crate) fn bytes_of(&self, era: Era) -> Vec<u8> {
        with_token(&self.module, era, &self.token(era))
    }

    /// The signed module, verified.
    pub(crate) fn actor(&self) -> Actor {
        Actor::from_slice(&self.bytes()).unwrap()
    }
}
