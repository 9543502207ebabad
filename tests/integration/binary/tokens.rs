//! Tokens that the stock binary does not sign because no host would take them, and those whose time is not now.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use wasmcloud_host::ProviderArchive;
use wasmcloud_host::signing::{ActorClaims, sign_module};

use super::{KEYS, Shell};
use crate::signing::guest;

#[test]
fn tokens_that_can_never_work_are_not_signed() {
    let (shell, account, _) = Shell::with_keys();
    let sign = |rest: &str| format!("sign echo.wasm -o signed.wasm -n Echo {rest} {KEYS}");
    for (rest, expected) in [
        ("--valid-in 2d --expires-in 1d", "would never be valid"),
        ("--alias a:b", "a name with a colon"),
        (&format!("--alias {}", shell.key("module", "other.seed")), "has the form of a public key"),
        (&format!("--tag {}", "x".repeat(100_000)), "hosts read at most 65536"),
    ] {
        let said = shell.refused(&sign(rest));
        assert!(said.contains(expected), "{rest}: {said}");
    }
    for contract in ["a:", ":b", ":", "clock"] {
        assert!(shell.misused(&sign(&format!("-c {contract}"))).contains("contract"), "{contract}");
    }
    assert!(!shell.path("signed.wasm").exists());
    shell.done(&sign(&format!("--valid-in 1d --expires-in 2d --alias {}", &account[..20].to_lowercase())));
}

#[test]
fn a_token_whose_time_is_not_now_is_shown_all_the_same() {
    let (shell, ..) = Shell::with_keys();
    let (account, actor) = (nkeys::KeyPair::new_account(), nkeys::KeyPair::new_module());
    let provider = nkeys::KeyPair::new_service();
    let (past, future) = (SystemTime::now() - Duration::from_secs(90), SystemTime::now() + Duration::from_secs(90));
    let issued = past - Duration::from_secs(90);
    let claims = |claims: ActorClaims| sign_module(&guest("echo"), &claims.revision(7), &account, &actor).unwrap();
    shell.write("ended.wasm", claims(ActorClaims::new("Echo").issued_at(issued).expires(past)));
    shell.write("early.wasm", claims(ActorClaims::new("Echo").not_before(future)));
    let archive = ProviderArchive::builder("Clock", "test:clock", "Example").revision(7).target("x86_64-linux", "x");
    shell.write("ended.par", archive.issued_at(issued).expires(past).sign(&account, &provider).unwrap());
    for (file, key, reason) in [
        ("ended.wasm", actor.public_key(), "expired"),
        ("early.wasm", actor.public_key(), "becomes valid in"),
        ("ended.par", provider.public_key(), "expired"),
    ] {
        let ended = shell.run(&format!("inspect {file} --json"));
        assert_eq!(ended.code, 3, "{ended:?}");
        let shown: Value = serde_json::from_str(&ended.output).unwrap();
        assert_eq!((&shown["public_key"], &shown["revision"]), (&Value::from(key), &Value::from(7)));
        assert!(ended.errors.contains(reason), "{ended:?}");
    }
    assert!(shell.run("inspect ended.par").output.contains("x86_64-linux"));
}
