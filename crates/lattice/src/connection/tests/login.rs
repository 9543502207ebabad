//! TLS and the ways to log in.

use std::fs;

use nkeys::KeyPair;

use super::*;
use crate::testing::Certificates;

#[test]
fn mutual_tls_is_needed_to_join() {
    run(async {
        let certificates = Certificates::new();
        let config = certificates.mutual_tls();
        let server = Server::with(ServerOptions { config: Some(config), ..ServerOptions::default() });
        let trusting = options(&server.address()).ca_file(certificates.path("authority.pem")).require_tls(true);
        let nameless = start(&trusting);
        alone(&nameless).await;
        let (certificate, key) = (certificates.path("client.pem"), certificates.path("client.key"));
        let connection = start(&trusting.client_certificate(certificate.clone(), key.clone()));
        joined(&connection).await;
        works(&connection).await;
        let distrusting = start(&options(&server.address()).client_certificate(certificate, key));
        let reason = alone(&distrusting).await;
        assert!(reason.contains("certificate"), "{reason}");
        let missing = start(&options(&server.address()).ca_file("/nowhere/authority.pem"));
        alone(&missing).await;
    });
}

#[test]
fn require_tls_refuses_a_server_without_it() {
    run(async {
        let server = Server::start();
        let connection = start(&options(&server.address()).require_tls(true));
        alone(&connection).await;
    });
}

#[test]
fn an_nkey_and_a_token_log_in() {
    run(async {
        let user = KeyPair::new_user();
        let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key());
        let server = Server::with(ServerOptions { config: Some(config), ..ServerOptions::default() });
        let stranger = start(&options(&server.address()).nkey_seed(KeyPair::new_user().seed().unwrap()));
        alone(&stranger).await;
        let connection = start(&options(&server.address()).nkey_seed(user.seed().unwrap()));
        joined(&connection).await;
        works(&connection).await;
        let config = "authorization { token: hidden }".to_owned();
        let server = Server::with(ServerOptions { config: Some(config), ..ServerOptions::default() });
        let connection = start(&options(&server.address()).token("hidden"));
        joined(&connection).await;
    });
}

/// The NATS server's tokens, as its tools issue them.
mod operator {
    use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
    use nkeys::KeyPair;
    use serde_json::{Value, json};
    use sha2::{Digest, Sha512_256};

    /// Returns a signed JWT of version 2.
    pub(super) fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: Value) -> String {
        let mut claims = json!({
            "iat": 1, "iss": issuer.public_key(), "name": name, "sub": subject.public_key(), "nats": nats,
        });
        claims["jti"] = BASE32_NOPAD.encode(&Sha512_256::digest(claims.to_string())).into();
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&claims));
        let signature = BASE64URL_NOPAD.encode(&issuer.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    }
}

#[test]
fn a_jwt_with_its_seed_and_a_file_of_credentials_log_in() {
    run(async {
        let (root, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
        let claims = |kind: &str| serde_json::json!({"type": kind, "version": 2});
        let operator_jwt = operator::jwt(&root, &root, "operator", claims("operator"));
        let limits = serde_json::json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1});
        let mut account_claims = claims("account");
        account_claims["limits"] = limits;
        let account_jwt = operator::jwt(&root, &account, "account", account_claims);
        let mut user_claims = claims("user");
        for limit in ["subs", "data", "payload"] {
            user_claims[limit] = serde_json::json!(-1);
        }
        let user_jwt = operator::jwt(&account, &user, "user", user_claims);
        let config = format!(
            "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt} }}",
            account.public_key()
        );
        let server = Server::with(ServerOptions { config: Some(config), ..ServerOptions::default() });
        let seed = user.seed().unwrap();
        let connection = start(&options(&server.address()).jwt_and_seed(user_jwt.clone(), seed.clone()));
        joined(&connection).await;
        works(&connection).await;
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("host.creds");
        let connection = start(&options(&server.address()).creds_file(&path));
        assert!(!alone(&connection).await.contains(&seed));
        // The file appears later, and is read then.
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        fs::write(&path, text).unwrap();
        joined(&connection).await;
        works(&connection).await;
    });
}
