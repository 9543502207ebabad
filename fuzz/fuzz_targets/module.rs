//! Fuzzes the modules of actors: arbitrary bytes, and the same bytes with a valid signature.
#![no_main]

use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use libfuzzer_sys::fuzz_target;
use nkeys::{KeyPair, KeyPairType};
use wasmcloud_host::Actor;
use wasmcloud_host::fuzzing::admit;
use wasmcloud_host::signing::{ActorClaims, sign_module};

struct Signer {
    account: KeyPair,
    actor: KeyPair,
    claims: ActorClaims,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer {
    account: KeyPair::new_from_raw(KeyPairType::Account, [7; 32]).expect("any 32 bytes are a seed"),
    actor: KeyPair::new_from_raw(KeyPairType::Module, [8; 32]).expect("any 32 bytes are a seed"),
    claims: ActorClaims::new("Fuzzed").capability("wasmcloud:keyvalue").issued_at(UNIX_EPOCH),
});

fuzz_target!(|data: &[u8]| {
    if let Ok(actor) = Actor::from_slice(data) {
        let _ = admit(&actor);
    }
    let Signer { account, actor, claims } = &*SIGNER;
    if let Ok(signed) = sign_module(data, claims, account, actor) {
        let actor = Actor::from_slice(&signed).expect("what was just signed is accepted");
        let _ = admit(&actor);
    }
});
