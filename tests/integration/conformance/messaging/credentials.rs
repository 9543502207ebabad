//! Who a link is to a NATS server: what it lets in, what it refuses, and that secrets are told to nobody else.

use nkeys::KeyPair;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wasmcloud_host::ErrorKind;

use super::super::kit::{Caller, with_provider};
use super::super::nats_server::NatsServer;
use super::{CONTRACT, Embedded, publish};
use crate::support::{certificate, values};

/// Links with these values, and says what the refusal says.
async fn refusal(caller: &Caller, provider: &str, pairs: &[(&str, &str)]) -> String {
    let refused = caller.link(provider, values(pairs)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LinkRefused);
    refused.to_string()
}

#[actix_rt::test]
async fn a_password_or_token_is_used_and_never_told() {
    let passwords = NatsServer::start_with("authorization { user: somebody, password: secret-1 }\n");
    let tokens = NatsServer::start_with("authorization { token: secret-3 }\n");
    with_provider(&Embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        for (server, good, bad) in
            [(&passwords, "somebody:secret-1", "somebody:secret-2"), (&tokens, "secret-3", "secret-4")]
        {
            let url = |who: &str| format!("nats://{who}@127.0.0.1:{}", server.port);
            for bad in [url(bad), server.url()] {
                let refusal = refusal(&caller, &provider, &[("URL", &bad)]).await;
                assert!(refusal.contains("URL") && !refusal.contains("secret"), "{refusal}");
            }
            caller.link(&provider, values(&[("URL", &url(good))])).await.unwrap();
            publish(&caller, "a", "", b"x").await.unwrap();
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_key_that_the_server_knows_is_enough() {
    let key = KeyPair::new_user();
    let server = NatsServer::start_with(&format!("authorization {{ users: [{{ nkey: {} }}] }}\n", key.public_key()));
    with_provider(&Embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let stranger = KeyPair::new_user().seed().unwrap();
        let refusal = refusal(&caller, &provider, &[("URL", &server.url()), ("CLIENT_SEED", &stranger)]).await;
        assert!(refusal.contains("CLIENT_SEED") && !refusal.contains(&stranger), "{refusal}");
        let known = values(&[("URL", &server.url()), ("CLIENT_SEED", &key.seed().unwrap())]);
        caller.link(&provider, known).await.unwrap();
        publish(&caller, "a", "", b"x").await.unwrap();
    })
    .await;
}

/// A token of NATS: claims of `issuer` about `subject`.
fn token(issuer: &KeyPair, subject: &str, name: &str, nats: Value) -> String {
    let mut claims = json!({"jti": "", "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name, "sub": subject,
        "nats": nats});
    let hash = Sha256::digest(serde_json::to_vec(&claims).unwrap());
    claims["jti"] = data_encoding::BASE32_NOPAD.encode(&hash).into();
    let encode = |part: &[u8]| data_encoding::BASE64URL_NOPAD.encode(part);
    let signed = format!(
        "{}.{}",
        encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#),
        encode(&serde_json::to_vec(&claims).unwrap())
    );
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(&signature))
}

fn user_token(account: &KeyPair, user: &KeyPair) -> String {
    let nats = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    token(account, &user.public_key(), "user", nats)
}

/// A server that knows one account, by its operator's word.
fn server_of(account: &KeyPair) -> NatsServer {
    let operator = KeyPair::new_operator();
    let of_operator = token(&operator, &operator.public_key(), "operator", json!({"type": "operator", "version": 2}));
    let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1});
    let nats = json!({"type": "account", "version": 2, "limits": limits});
    let of_account = token(&operator, &account.public_key(), "account", nats);
    let configuration = format!(
        "operator: {of_operator}\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}\n",
        account.public_key()
    );
    NatsServer::start_with(&configuration)
}

#[actix_rt::test]
async fn a_token_with_its_seed_is_enough_as_values_or_in_a_file() {
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let server = server_of(&account);
    let (jwt, seed) = (user_token(&account, &user), user.seed().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    let block = |what: &str, text: &str| format!("-----BEGIN {what}-----\n{text}\n------END {what}------\n\n");
    std::fs::write(&file, block("NATS USER JWT", &jwt) + &block("USER NKEY SEED", &seed)).unwrap();
    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&broken, "-----BEGIN NATS USER JWT-----\nsecret\n").unwrap();
    with_provider(&Embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let url = server.url();
        let strangers = user_token(&KeyPair::new_account(), &user);
        let bad = [("URL", url.as_str()), ("CLIENT_JWT", &strangers), ("CLIENT_SEED", &seed)];
        let text = refusal(&caller, &provider, &bad).await;
        assert!(text.contains("CLIENT_JWT") && !text.contains(&seed) && !text.contains(&strangers), "{text}");
        let text = refusal(&caller, &provider, &[("URL", &url), ("CREDSFILE", broken.path().to_str().unwrap())]).await;
        assert!(text.contains("CREDSFILE") && !text.contains("secret"), "{text}");
        for good in [
            &[("CLIENT_JWT", jwt.as_str()), ("CLIENT_SEED", &seed)][..],
            &[("CREDSFILE", file.path().to_str().unwrap())],
        ] {
            caller.link(&provider, values(&[good, &[("URL", &url)]].concat())).await.unwrap();
            publish(&caller, "a", "", b"x").await.unwrap();
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_subscription_that_the_server_forbids_has_the_link_refused() {
    let server = NatsServer::start_with(
        "authorization { users: [{ user: u, password: p, permissions: { subscribe: { deny: \"private.>\" } } }] }\n",
    );
    with_provider(&Embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let url = format!("nats://u:p@127.0.0.1:{}", server.port);
        let text = refusal(&caller, &provider, &[("URL", &url), ("SUBSCRIPTION", "public.>,private.a")]).await;
        assert!(text.contains("SUBSCRIPTION") && text.contains("private.a"), "{text}");
        caller.link(&provider, values(&[("URL", &url), ("SUBSCRIPTION", "public.>")])).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_server_behind_tls_is_reached_by_those_who_trust_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = certificate();
    std::fs::write(path("certificate"), certificate).unwrap();
    std::fs::write(path("key"), key).unwrap();
    let server = NatsServer::start_with(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n",
        path("certificate"),
        path("key")
    ));
    with_provider(&Embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let url = format!("tls://localhost:{}", server.port);
        let text = refusal(&caller, &provider, &[("URL", &url)]).await;
        assert!(text.contains("URL") && text.contains("certificate"), "{text}");
        caller.link(&provider, values(&[("URL", &url), ("CA_FILE", &path("certificate"))])).await.unwrap();
        publish(&caller, "a", "", b"x").await.unwrap();
    })
    .await;
}
