//! The options of one connection with NATS servers.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;
use nkeys::KeyPairType;
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::Result;

use super::Secret;
use super::check::{expect_between, expect_seed, invalid};

/// How the host connects with NATS servers and logs in, or a client that is connected already.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "options have no effect until a host is built with them"]
pub struct ConnectionOptions {
    pub(crate) source: Source,
    pub(crate) logins: Vec<Login>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) require_tls: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) longest_delay: Duration,
    pub(crate) subscription_capacity: usize,
}

/// Where a connection comes from.
#[derive(Clone)]
pub(crate) enum Source {
    /// One of these servers.
    Servers(Vec<String>),
    /// A client that the embedder supplies.
    Ready(async_nats::Client),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // One with a password is invalid, but may be printed before it is refused.
            Source::Servers(servers) => {
                let places = servers.iter().map(|server| server.rsplit('@').next().unwrap_or_default());
                f.debug_list().entries(places).finish()
            }
            Source::Ready(_) => f.write_str("(a ready client)"),
        }
    }
}

/// How a host logs in.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    UserAndPassword { user: String, password: Secret },
    Token(Secret),
    NkeySeed(Secret),
    Jwt { jwt: Secret, seed: Secret },
    CredsFile(PathBuf),
}

impl Default for ConnectionOptions {
    /// Returns options without a server.
    fn default() -> ConnectionOptions {
        ConnectionOptions {
            source: Source::Servers(Vec::new()),
            logins: Vec::new(),
            ca_file: None,
            client_certificate: None,
            client_key: None,
            require_tls: false,
            connect_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            longest_delay: Duration::from_secs(10),
            subscription_capacity: 16 * 1024,
        }
    }
}

impl From<async_nats::Client> for ConnectionOptions {
    /// Returns options for a client that is connected already. See [`ConnectionOptions::ready`].
    fn from(client: async_nats::Client) -> ConnectionOptions {
        ConnectionOptions::ready(client)
    }
}

impl ConnectionOptions {
    /// Returns options for a server, such as `nats://127.0.0.1:4222`. The scheme may be `nats` or `tls`.
    pub fn new(server: impl Into<String>) -> ConnectionOptions {
        ConnectionOptions::default().server(server)
    }

    /// Returns options for a client that is connected already. The host never closes it, and sees its disconnections a little
    /// later than those of its own connections, since events of the client reach only the program that made it.
    pub fn ready(client: async_nats::Client) -> ConnectionOptions {
        ConnectionOptions { source: Source::Ready(client), ..ConnectionOptions::default() }
    }

    /// Adds a server. One that can be reached is used; the others that it names are found by themselves.
    pub fn server(mut self, server: impl Into<String>) -> ConnectionOptions {
        match &mut self.source {
            Source::Servers(servers) => servers.push(server.into()),
            Source::Ready(_) => self.source = Source::Servers(vec![server.into()]),
        }
        self
    }

    /// Logs in with a user and a password.
    pub fn user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> ConnectionOptions {
        self.logins.push(Login::UserAndPassword { user: user.into(), password: Secret::new(password) });
        self
    }

    /// Logs in with a token.
    pub fn token(mut self, token: impl Into<String>) -> ConnectionOptions {
        self.logins.push(Login::Token(Secret::new(token)));
        self
    }

    /// Logs in with the seed of a user's nkey (`SU...`).
    pub fn nkey_seed(mut self, seed: impl Into<String>) -> ConnectionOptions {
        self.logins.push(Login::NkeySeed(Secret::new(seed)));
        self
    }

    /// Logs in with a user's JWT and the seed of its nkey (`SU...`).
    pub fn jwt_and_seed(mut self, jwt: impl Into<String>, seed: impl Into<String>) -> ConnectionOptions {
        self.logins.push(Login::Jwt { jwt: Secret::new(jwt), seed: Secret::new(seed) });
        self
    }

    /// Logs in with a file of credentials, which holds a JWT and a seed. It is read again for each connection.
    pub fn creds_file(mut self, path: impl Into<PathBuf>) -> ConnectionOptions {
        self.logins.push(Login::CredsFile(path.into()));
        self
    }

    /// Sets a file with the certificates (PEM) of the authorities that may sign the server's. Default: those of the system.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> ConnectionOptions {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets the files with the certificate and the key (PEM) that the server verifies: mutual TLS. Default: none.
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> ConnectionOptions {
        self.client_certificate = Some(certificate.into());
        self.client_key = Some(key.into());
        self
    }

    /// Sets whether connections without TLS are refused. Default: no. TLS is used if the server offers it.
    pub fn require_tls(mut self, required: bool) -> ConnectionOptions {
        self.require_tls = required;
        self
    }

    /// Sets how long one attempt to connect may take. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> ConnectionOptions {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the time between pings. A server that leaves two pings unanswered is given up, which takes three intervals.
    /// Default: 5 s.
    pub fn ping_interval(mut self, interval: Duration) -> ConnectionOptions {
        self.ping_interval = interval;
        self
    }

    /// Sets the longest delay between attempts to connect. Each delay is drawn at random, up to a bound that doubles with each
    /// failure. Default: 10 s.
    pub fn longest_delay(mut self, delay: Duration) -> ConnectionOptions {
        self.longest_delay = delay;
        self
    }

    /// Sets how many messages each subscription buffers. Messages beyond that are dropped, which is an event and counted.
    /// Default: 16,384.
    pub fn subscription_capacity(mut self, messages: usize) -> ConnectionOptions {
        self.subscription_capacity = messages;
        self
    }

    /// Returns the way to log in.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.logins.first()
    }

    /// Checks the options. `owner` names the option that holds them.
    pub(crate) fn validate(&self, owner: &str) -> Result<()> {
        let name = |option: &str| format!("{owner}.{option}");
        match &self.source {
            Source::Ready(_) => return Ok(()),
            Source::Servers(servers) if servers.is_empty() => {
                return Err(invalid(&name("server"), "there is none: name at least one"));
            }
            Source::Servers(servers) => {
                for server in servers {
                    expect_server(&name("server"), server)?;
                }
            }
        }
        if self.logins.len() > 1 {
            return Err(invalid(&name("login"), "there are several ways to log in: choose one"));
        }
        if let Some(login) = self.login() {
            expect_login(login, &name)?;
        }
        let (second, most) = (Duration::from_millis(10), Duration::from_secs(600));
        expect_between(&name("connect_timeout"), &self.connect_timeout, &second, &most)?;
        expect_between(&name("ping_interval"), &self.ping_interval, &second, &most)?;
        expect_between(&name("longest_delay"), &self.longest_delay, &second, &most)?;
        expect_between(&name("subscription_capacity"), &self.subscription_capacity, &1, &(1 << 20))
    }
}

/// Checks the address of a server. The error does not show one that holds a password.
fn expect_server(option: &str, server: &str) -> Result<()> {
    if server.contains('@') {
        return Err(invalid(option, "it holds a user or password: use user_and_password or token"));
    }
    let address: ServerAddr = server.parse().map_err(|_| {
        invalid(option, format!("{:?} is not an address such as nats://127.0.0.1:4222", shorten(server)))
    })?;
    if !address.is_websocket() && !address.host().is_empty() {
        return Ok(());
    }
    Err(invalid(option, format!("{:?} is not an address of the schemes nats and tls", shorten(server))))
}

fn expect_login(login: &Login, name: &dyn Fn(&str) -> String) -> Result<()> {
    let seed = "the seed of a user (SU...)";
    match login {
        Login::UserAndPassword { user, .. } if user.is_empty() => {
            Err(invalid(&name("user_and_password"), "the user is empty"))
        }
        Login::Token(token) if token.reveal().is_empty() => Err(invalid(&name("token"), "it is empty")),
        Login::NkeySeed(given) => expect_seed(&name("nkey_seed"), given, KeyPairType::User, seed).map(|_| ()),
        Login::Jwt { jwt, .. } if jwt.reveal().split('.').count() != 3 => {
            Err(invalid(&name("jwt_and_seed"), "the JWT is not one"))
        }
        Login::Jwt { seed: given, .. } => {
            expect_seed(&name("jwt_and_seed"), given, KeyPairType::User, seed).map(|_| ())
        }
        Login::UserAndPassword { .. } | Login::Token(_) | Login::CredsFile(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ConnectionOptions {
        ConnectionOptions::new("tls://nats.example:4222")
    }

    #[test]
    fn the_error_of_an_invalid_option_names_it_and_shows_no_secret() {
        let cases = [
            (ConnectionOptions::default(), "calls.server"),
            (ConnectionOptions::new(""), "calls.server"),
            (ConnectionOptions::new("http://a"), "calls.server"),
            (ConnectionOptions::new("ws://a"), "calls.server"),
            (ConnectionOptions::new("nats://me:hidden@a"), "calls.server"),
            (options().token("hidden").user_and_password("me", "hidden"), "calls.login"),
            (options().user_and_password("", "hidden"), "calls.user_and_password"),
            (options().token(""), "calls.token"),
            (options().nkey_seed("hidden"), "calls.nkey_seed"),
            (options().jwt_and_seed("hidden", "hidden"), "calls.jwt_and_seed"),
            (options().jwt_and_seed("a.b.c", "hidden"), "calls.jwt_and_seed"),
            (options().ping_interval(Duration::ZERO), "calls.ping_interval"),
            (options().connect_timeout(Duration::MAX), "calls.connect_timeout"),
            (options().longest_delay(Duration::ZERO), "calls.longest_delay"),
            (options().subscription_capacity(0), "calls.subscription_capacity"),
        ];
        assert!(options().validate("calls").is_ok());
        for (invalid, name) in cases {
            let error = invalid.validate("calls").unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("hidden"), "{name}: {error}");
            assert!(!format!("{invalid:?}").contains("hidden"), "{invalid:?}");
        }
    }
}
