//! The connections with NATS that the settings name.
//!
//! A connection belongs to the host that is named for it, with the port and the login beside it. If only one of the two
//! hosts is named, the other connection uses the same server, and the login of its own settings if there is one.

use std::net::Ipv6Addr;
use std::path::Path;

use nkeys::KeyPairType;
use wasmcloud_host::ConnectionOptions;
use zeroize::Zeroizing;

use super::catalogue::{
    CONTROL_CREDS, CONTROL_HOST, CONTROL_JWT, CONTROL_PORT, CONTROL_SEED, NATS_CA_FILE, RPC_CREDS, RPC_HOST, RPC_JWT,
    RPC_PORT, RPC_SEED, Setting,
};
use super::settings::Settings;
use crate::input;
use crate::outcome::{CommandError, CommandResult};
use crate::secret::Secret;

/// The port of NATS.
const DEFAULT_PORT: u16 = 4222;

/// The size of the largest JWT in a file.
const LARGEST_JWT: usize = 64 * 1024;

/// The settings of one connection.
struct Group {
    host: &'static Setting,
    port: &'static Setting,
    jwt: &'static Setting,
    seed: &'static Setting,
    creds: &'static Setting,
}

static CALLS: Group = Group { host: &RPC_HOST, port: &RPC_PORT, jwt: &RPC_JWT, seed: &RPC_SEED, creds: &RPC_CREDS };
static CONTROL: Group =
    Group { host: &CONTROL_HOST, port: &CONTROL_PORT, jwt: &CONTROL_JWT, seed: &CONTROL_SEED, creds: &CONTROL_CREDS };

/// The connections of a host.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) calls: ConnectionOptions,
    /// `None` if the connection of the calls carries control too.
    pub(super) control: Option<ConnectionOptions>,
    /// The servers, for messages.
    pub(super) servers: String,
}

impl Connections {
    /// Returns the connections, or `None` if no server is named.
    ///
    /// # Errors
    /// `Usage` for settings that do not fit each other, `Failed` for files that cannot be read.
    pub(super) fn of(settings: &Settings) -> CommandResult<Option<Connections>> {
        let has_host = [&CALLS, &CONTROL].map(|group| settings.has(group.host));
        let (calls, control) = match has_host {
            [false, false] => {
                return expect_none(settings).map(|()| None);
            }
            [_, false] => (Server::of(&CALLS, &CALLS, settings)?, Server::of(&CONTROL, &CALLS, settings)?),
            [false, true] => (Server::of(&CALLS, &CONTROL, settings)?, Server::of(&CONTROL, &CONTROL, settings)?),
            [true, true] => (Server::of(&CALLS, &CALLS, settings)?, Server::of(&CONTROL, &CONTROL, settings)?),
        };
        let is_separate = has_host == [true, true] || CALLS.is_given(settings) && CONTROL.is_given(settings);
        let servers = match calls.url == control.url {
            true => calls.url.clone(),
            false => format!("{} and {}", calls.url, control.url),
        };
        let calls = calls.options(settings)?;
        let control = if is_separate { Some(control.options(settings)?) } else { None };
        Ok(Some(Connections { calls, control, servers }))
    }
}

impl Group {
    /// Returns all settings of the connection.
    fn all(&self) -> [&'static Setting; 5] {
        [self.host, self.port, self.jwt, self.seed, self.creds]
    }

    fn is_given(&self, settings: &Settings) -> bool {
        self.all().iter().any(|setting| settings.has(setting))
    }

    fn has_login(&self, settings: &Settings) -> bool {
        [self.jwt, self.seed, self.creds].iter().any(|setting| settings.has(setting))
    }
}

/// Refuses settings of connections without a server: they would be ignored.
fn expect_none(settings: &Settings) -> CommandResult<()> {
    let lone = [&CALLS, &CONTROL].into_iter().flat_map(|group| group.all()).find(|setting| settings.has(setting));
    let lone = lone.or_else(|| settings.has(&NATS_CA_FILE).then_some(&NATS_CA_FILE));
    match lone {
        None => Ok(()),
        Some(setting) => Err(CommandError::Usage(format!(
            "{} has no effect without a NATS server: name one by --rpc-host or RPC_HOST",
            settings.place(setting)
        ))),
    }
}

/// A server, and the login for it.
struct Server {
    url: String,
    login: &'static Group,
}

impl Server {
    /// Returns the server of a group. What it lacks is taken from another group, which names the host.
    fn of(group: &'static Group, named: &'static Group, settings: &Settings) -> CommandResult<Server> {
        let host = settings.text(named.host).unwrap_or_default();
        let host = host_of(host).map_err(|reason| settings.invalid(named.host, reason))?;
        let port = if settings.has(group.port) { group.port } else { named.port };
        let number: u16 = settings.number(port)?.unwrap_or(DEFAULT_PORT);
        if number == 0 {
            return Err(settings.invalid(port, "it should be from 1 to 65535"));
        }
        let login = if group.has_login(settings) { group } else { named };
        Ok(Server { url: format!("{host}:{number}"), login })
    }

    fn options(&self, settings: &Settings) -> CommandResult<ConnectionOptions> {
        let options = ConnectionOptions::new(&self.url).require_tls(self.url.starts_with("tls://"));
        let options = match settings.path(&NATS_CA_FILE) {
            Some(path) => options.ca_file(expect_file(settings, &NATS_CA_FILE, path)?),
            None => options,
        };
        let Group { jwt, seed, creds, .. } = self.login;
        match (settings.has(creds), settings.has(jwt), settings.has(seed)) {
            (false, false, false) => Ok(options),
            (true, false, false) => {
                let path = settings.path(creds).unwrap_or_default();
                Ok(options.creds_file(expect_file(settings, creds, path)?))
            }
            (false, false, true) => Ok(options.nkey_seed(user_seed(settings, seed)?.as_str())),
            (false, true, true) => {
                Ok(options.jwt_and_seed(token(settings, jwt)?.as_str(), user_seed(settings, seed)?.as_str()))
            }
            (false, true, false) => {
                let message = format!("a JWT proves nothing without its seed: set {} too", seed.variable);
                Err(settings.invalid(jwt, message))
            }
            (true, ..) => {
                let message = format!("it has a JWT and a seed already: leave out {} and {}", jwt.name, seed.name);
                Err(settings.invalid(creds, message))
            }
        }
    }
}

/// Returns the host of a server with its scheme.
fn host_of(text: &str) -> Result<String, &'static str> {
    let (scheme, host) = match text.split_once("://") {
        None => ("nats", text),
        Some((scheme @ ("nats" | "tls"), host)) => (scheme, host),
        Some(_) => return Err("its scheme should be nats:// or tls://"),
    };
    if host.contains('@') {
        return Err("it holds a user or a password: use a file of credentials");
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("{scheme}://[{host}]"));
    }
    let is_bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = is_bracketed.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_address || is_name {
        return Ok(format!("{scheme}://{host}"));
    }
    Err("it should be a host name or an address, and the port is a setting of its own")
}

fn expect_file(settings: &Settings, setting: &Setting, path: std::path::PathBuf) -> CommandResult<std::path::PathBuf> {
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(metadata) if !metadata.is_dir() => Ok(path),
        Ok(_) => Err(CommandError::Failed(format!("{}: {} is a folder", settings.place(setting), path.display()))),
        Err(error) => {
            let place = settings.place(setting);
            Err(CommandError::Failed(format!("{place}: cannot read the file {}: {error}", path.display())))
        }
    }
}

/// Returns the JWT that a setting holds, or that is in the file which it names.
fn token(settings: &Settings, setting: &Setting) -> CommandResult<Zeroizing<String>> {
    let text = settings.text(setting).unwrap_or_default();
    if is_token(text) {
        return Ok(Zeroizing::new(text.trim().to_owned()));
    }
    let path = settings.resolve_path(setting, text);
    let bytes = read_or_explain(settings, setting, &path, "a JWT")?;
    let found = std::str::from_utf8(&bytes).ok().filter(|text| is_token(text));
    let found = found.ok_or_else(|| {
        let place = settings.place(setting);
        CommandError::Failed(format!("{place}: the file {} must contain one JWT and nothing else", path.display()))
    })?;
    Ok(Zeroizing::new(found.trim().to_owned()))
}

/// Returns the seed of a user that a setting holds, or that is in the file which it names.
fn user_seed(settings: &Settings, setting: &Setting) -> CommandResult<Zeroizing<String>> {
    let text = settings.text(setting).unwrap_or_default();
    let secret = match Secret::parse(text.as_bytes()) {
        Some(secret) => secret,
        None => {
            let path = settings.resolve_path(setting, text);
            read_or_explain(settings, setting, &path, "a seed (SU...)")?;
            Secret::from_file(&path)?
        }
    };
    if secret.key_pair().key_pair_type() != KeyPairType::User {
        return Err(settings.invalid(setting, "it is not the seed of a user (SU...)"));
    }
    Ok(secret.seed())
}

/// Reads a file that a setting may name. The error does not show the value, which may be a mistyped secret.
fn read_or_explain(
    settings: &Settings,
    setting: &Setting,
    path: &Path,
    what: &str,
) -> CommandResult<Zeroizing<Vec<u8>>> {
    if !path.is_file() {
        return Err(settings.invalid(setting, format!("it is neither {what} nor the path of a file")));
    }
    input::read_secret(path, "the file", LARGEST_JWT)
}

/// Returns whether a text has the form of a JWT: three parts in base64url.
fn is_token(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let text = text.trim();
    text.starts_with("eyJ") && text.split('.').count() == 3 && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_and_hold_no_port_and_no_password() {
        for (text, expected) in [
            ("nats.example.com", "nats://nats.example.com"),
            ("tls://10.0.0.1", "tls://10.0.0.1"),
            ("::1", "nats://[::1]"),
            ("tls://[::1]", "tls://[::1]"),
        ] {
            assert_eq!(host_of(text).as_deref(), Ok(expected), "{text}");
        }
        for bad in ["", "a:4222", "nats://a:4222", "http://a", "me:hidden@a", "a/b", "[a]", "a b", "tls://"] {
            assert!(host_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_told_from_paths() {
        assert!(is_token("eyJ0eXAi.eyJqdGki.c2ln-_"));
        for path in ["user.jwt", "/etc/eyJ.a.b", "eyJ.b", "eyJ.b.c.d", "eyJ..c", ""] {
            assert!(!is_token(path), "{path}");
        }
    }
}
