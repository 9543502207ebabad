//! Makes the first connection: in the background, and again until it succeeds.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::{Auth, AuthError, Client, ConnectOptions};
use nkeys::KeyPair;

use super::shared::Shared;
use crate::options::{ConnectionOptions, Login};

/// The bound of the delay before the second attempt. It doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The largest file of credentials that is read. Unit: bytes.
const LONGEST_CREDS: usize = 64 * 1024;

/// Connects, and tries again until it succeeds or the connection is closed. Returns the client, or `None` if it is closed.
pub(super) async fn dial(shared: &Arc<Shared>, options: &ConnectionOptions, servers: &[String]) -> Option<Client> {
    let mut closing = shared.closing();
    for failures in 1.. {
        let attempt = client_options(shared, options).connect(servers);
        let outcome = tokio::select! {
            outcome = attempt => outcome,
            _ = closing.wait_for(|is_closing| *is_closing) => return None,
        };
        match outcome {
            Ok(client) => return Some(client),
            Err(error) => shared.attempt_failed(error.to_string()),
        }
        tokio::select! {
            () = tokio::time::sleep(delay(failures, options.longest_delay)) => {}
            _ = closing.wait_for(|is_closing| *is_closing) => return None,
        }
    }
    None
}

/// Returns the options of a client. It connects again by itself when it has once been connected.
fn client_options(shared: &Arc<Shared>, options: &ConnectionOptions) -> ConnectOptions {
    let longest_delay = options.longest_delay;
    let reports = Arc::downgrade(shared);
    let mut client = login(options)
        .name(format!("wasmcloud-host {}", shared.role()))
        .connection_timeout(options.connect_timeout)
        .ping_interval(options.ping_interval)
        .subscription_capacity(options.subscription_capacity)
        .require_tls(options.require_tls)
        .reconnect_delay_callback(move |attempts| delay(attempts, longest_delay))
        .event_callback(move |event| {
            if let Some(shared) = Weak::upgrade(&reports) {
                shared.hear(event);
            }
            std::future::ready(())
        });
    if let Some(file) = &options.ca_file {
        client = client.add_root_certificates(file.clone());
    }
    if let (Some(certificate), Some(key)) = (&options.client_certificate, &options.client_key) {
        client = client.add_client_certificate(certificate.clone(), key.clone());
    }
    client
}

/// Returns the options of a client that logs in as configured. Each attempt logs in anew, with files as they are then.
fn login(options: &ConnectionOptions) -> ConnectOptions {
    match options.login().cloned() {
        None => ConnectOptions::new(),
        Some(login) => ConnectOptions::with_auth_callback(move |nonce| {
            let login = login.clone();
            async move { log_in(&login, &nonce).await }
        }),
    }
}

/// Returns what the server wants to see. The texts of errors hold no secret.
async fn log_in(login: &Login, nonce: &[u8]) -> Result<Auth, AuthError> {
    let mut auth = Auth::new();
    match login {
        Login::UserAndPassword { user, password } => {
            auth.username = Some(user.clone());
            auth.password = Some(password.reveal().to_owned());
        }
        Login::Token(token) => auth.token = Some(token.reveal().to_owned()),
        Login::NkeySeed(seed) => {
            let (key, signature) = sign(seed.reveal(), nonce)?;
            auth.nkey = Some(key);
            auth.signature = Some(signature);
        }
        Login::Jwt { jwt, seed } => {
            auth.jwt = Some(jwt.reveal().to_owned());
            auth.signature = Some(sign(seed.reveal(), nonce)?.1);
        }
        Login::CredsFile(path) => {
            let failed = |error: std::io::Error| AuthError::new(format!("cannot read {}: {error}", path.display()));
            let text = tokio::fs::read_to_string(path).await.map_err(failed)?;
            let (jwt, seed) = parts_of_creds(&text)
                .ok_or_else(|| AuthError::new(format!("{} is not a file of credentials", path.display())))?;
            auth.jwt = Some(jwt.to_owned());
            auth.signature = Some(sign(seed, nonce)?.1);
        }
    }
    Ok(auth)
}

/// Returns the public key of a seed and its signature.
fn sign(seed: &str, nonce: &[u8]) -> Result<(String, Vec<u8>), AuthError> {
    let failed = |_| AuthError::new("the seed is invalid");
    let key = KeyPair::from_seed(seed).map_err(failed)?;
    let signature = key.sign(nonce).map_err(failed)?;
    Ok((key.public_key(), signature))
}

/// Returns the JWT and the seed of a file of credentials: the lines that follow the lines `-----BEGIN ...`.
fn parts_of_creds(text: &str) -> Option<(&str, &str)> {
    if text.len() > LONGEST_CREDS {
        return None;
    }
    let mut parts = text.lines().zip(text.lines().skip(1)).filter(|(line, _)| line.trim().starts_with("-----BEGIN"));
    let jwt = parts.next()?.1.trim();
    let seed = parts.next()?.1.trim();
    Some((jwt, seed))
}

/// Returns the delay before an attempt: at random between the half and the whole of a bound that doubles up to the longest.
pub(crate) fn delay(attempts: usize, longest: Duration) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let bound = FIRST_DELAY.saturating_mul(1 << doublings).min(longest);
    bound.mul_f64(0.5 + 0.5 * random_share())
}

/// Returns a random number of at least 0 and less than 1. Without a source of randomness it is 1/2.
pub(crate) fn random_share() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_differ() {
        let longest = Duration::from_secs(10);
        assert!(delay(1, longest) <= FIRST_DELAY && delay(1, longest) >= FIRST_DELAY / 2);
        assert!(delay(0, longest) >= FIRST_DELAY / 2, "an accepted connection that is lost at once is no busy loop");
        for attempts in [8, 30, usize::MAX] {
            let found = delay(attempts, longest);
            assert!(longest / 2 <= found && found <= longest, "{attempts}: {found:?}");
        }
        let mut seen: Vec<Duration> = (0..20).map(|_| delay(20, longest)).collect();
        seen.dedup();
        assert!(seen.len() > 10);
    }

    #[test]
    fn credentials_are_found_between_their_lines() {
        let text = "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\nsecret\n\
                    -----BEGIN USER NKEY SEED-----\r\nSUA\r\n------END USER NKEY SEED------\n";
        assert_eq!(parts_of_creds(text), Some(("a.b.c", "SUA")));
        for bad in ["", "-----BEGIN", "-----BEGIN NATS USER JWT-----\na.b.c\n"] {
            assert_eq!(parts_of_creds(bad), None, "{bad:?}");
        }
    }
}
