//! How commands reach a lattice: the NATS server, the login, the namespace, and the keys that they sign with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use wasmcloud_lattice::ConnectionOptions;
use zeroize::Zeroizing;

use crate::input;
use crate::outcome::{CommandError, CommandResult};

/// The port of NATS servers.
const DEFAULT_PORT: u16 = 4222;

/// The NATS server of hosts that run here.
const DEFAULT_HOST: &str = "127.0.0.1";

/// The size of the largest file with a token or a seed. Unit: bytes.
const LARGEST_SECRET: usize = 16 * 1024;

/// The NATS servers, and how to log in.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Servers {
    /// The NATS server of the control interface, such as nats.example or tls://nats.example. Default: that of the calls, or
    /// else 127.0.0.1.
    #[arg(long, global = true, env = "CONTROL_HOST", hide_env_values = true, value_name = "HOST")]
    control_host: Option<String>,

    /// The port of that server. Default: 4222.
    #[arg(long, global = true, env = "CONTROL_PORT", hide_env_values = true, value_name = "PORT")]
    control_port: Option<u16>,

    /// The file of credentials to log in with.
    #[arg(long, global = true, env = "CONTROL_CREDS", hide_env_values = true, value_name = "FILE")]
    control_creds: Option<PathBuf>,

    /// The user's JWT to log in with, or a file that contains it.
    #[arg(long, global = true, env = "CONTROL_JWT", hide_env_values = true, value_name = "FILE")]
    control_jwt: Option<Hidden>,

    /// The file that contains the user's seed to log in with. The environment variable may also be the seed itself.
    #[arg(long, global = true, env = "CONTROL_SEED", hide_env_values = true, value_name = "FILE")]
    control_seed: Option<Hidden>,

    /// The NATS server of the calls. Default: that of the control interface.
    #[arg(long, global = true, env = "RPC_HOST", hide_env_values = true, value_name = "HOST", hide_short_help = true)]
    rpc_host: Option<String>,

    /// The port of that server. Default: 4222.
    #[arg(long, global = true, env = "RPC_PORT", hide_env_values = true, value_name = "PORT", hide_short_help = true)]
    rpc_port: Option<u16>,

    /// The file of credentials to log in with for calls.
    #[arg(long, global = true, env = "RPC_CREDS", hide_env_values = true, value_name = "FILE", hide_short_help = true)]
    rpc_creds: Option<PathBuf>,

    /// The user's JWT to log in with for calls, or a file that contains it.
    #[arg(long, global = true, env = "RPC_JWT", hide_env_values = true, value_name = "FILE", hide_short_help = true)]
    rpc_jwt: Option<Hidden>,

    /// The file that contains the user's seed to log in with for calls. The environment variable may also be the seed itself.
    #[arg(long, global = true, env = "RPC_SEED", hide_env_values = true, value_name = "FILE", hide_short_help = true)]
    rpc_seed: Option<Hidden>,

    /// The file with the certificates (PEM) of the authorities that may sign the server's. Default: those of the system.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    ca_file: Option<PathBuf>,
}

/// One of the two servers.
struct Server<'a> {
    /// The prefix of its environment variables.
    name: &'static str,
    host: Option<&'a str>,
    port: Option<u16>,
    creds: Option<&'a Path>,
    jwt: Option<&'a str>,
    seed: Option<&'a str>,
}

impl Servers {
    /// Returns the options of the connection for the control interface.
    pub(crate) fn control(&self) -> CommandResult<ConnectionOptions> {
        self.options(self.control_server().or(&self.calls_server()))
    }

    /// Returns the options of the connection for calls.
    pub(crate) fn calls(&self) -> CommandResult<ConnectionOptions> {
        self.options(self.calls_server().or(&self.control_server()))
    }

    fn control_server(&self) -> Server<'_> {
        Server {
            name: "CONTROL",
            host: text(self.control_host.as_deref()),
            port: self.control_port,
            creds: path(self.control_creds.as_deref()),
            jwt: text(self.control_jwt.as_ref().map(Hidden::reveal)),
            seed: text(self.control_seed.as_ref().map(Hidden::reveal)),
        }
    }

    fn calls_server(&self) -> Server<'_> {
        Server {
            name: "RPC",
            host: text(self.rpc_host.as_deref()),
            port: self.rpc_port,
            creds: path(self.rpc_creds.as_deref()),
            jwt: text(self.rpc_jwt.as_ref().map(Hidden::reveal)),
            seed: text(self.rpc_seed.as_ref().map(Hidden::reveal)),
        }
    }

    fn options(&self, server: Server<'_>) -> CommandResult<ConnectionOptions> {
        let address = address(server.host.unwrap_or(DEFAULT_HOST), server.port.unwrap_or(DEFAULT_PORT))?;
        let mut options = server.log_in(ConnectionOptions::new(address))?;
        if let Some(file) = &self.ca_file {
            options = options.ca_file(file);
        }
        Ok(options)
    }
}

impl<'a> Server<'a> {
    /// Returns this server if it is named. Otherwise returns the other one, with the port and the login of this one if it has
    /// them. Credentials of one server are not shown to another.
    fn or(self, other: &Server<'a>) -> Server<'a> {
        if self.host.is_some() {
            return self;
        }
        let has_login = self.creds.is_some() || self.jwt.is_some() || self.seed.is_some();
        let Server { name, creds, jwt, seed, .. } = if has_login { &self } else { other };
        Server { name, host: other.host, port: self.port.or(other.port), creds: *creds, jwt: *jwt, seed: *seed }
    }

    fn log_in(&self, options: ConnectionOptions) -> CommandResult<ConnectionOptions> {
        let name = self.name;
        match (self.creds, self.jwt, self.seed) {
            (None, None, None) => Ok(options),
            (Some(creds), None, None) => Ok(options.creds_file(creds)),
            (None, None, Some(seed)) => Ok(options.nkey_seed(secret(seed, is_seed, "a user's seed (SU...)")?.as_str())),
            (None, Some(jwt), Some(seed)) => {
                let jwt = secret(jwt, is_token, "a user's JWT")?;
                let seed = secret(seed, is_seed, "a user's seed (SU...)")?;
                Ok(options.jwt_and_seed(jwt.as_str(), seed.as_str()))
            }
            (None, Some(_), None) => {
                Err(CommandError::Usage(format!("{name}_JWT needs {name}_SEED: the seed of the same user (SU...)")))
            }
            (Some(_), ..) => Err(CommandError::Usage(format!(
                "{name}_CREDS holds a JWT and a seed: set either it, or {name}_JWT and {name}_SEED"
            ))),
        }
    }
}

/// Returns the address of a server. The host may have a scheme and a port.
fn address(host: &str, port: u16) -> CommandResult<String> {
    let (scheme, rest) = host.split_once("://").unwrap_or(("nats", host));
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains('@') {
        let message =
            "the NATS server is not a host such as nats.example; to log in, use CONTROL_CREDS or CONTROL_SEED";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let is_bare_ipv6 = rest.parse::<std::net::Ipv6Addr>().is_ok();
    let has_port = !is_bare_ipv6 && rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(match (is_bare_ipv6, has_port) {
        (true, _) => format!("{scheme}://[{rest}]:{port}"),
        (false, true) => format!("{scheme}://{rest}"),
        (false, false) => format!("{scheme}://{rest}:{port}"),
    })
}

/// Returns a secret that is given as it is, or as a file that contains it. An error does not show what is no file: it may be
/// a mistyped secret.
fn secret(given: &str, is_secret: fn(&str) -> bool, name: &str) -> CommandResult<Zeroizing<String>> {
    let given = given.trim();
    if is_secret(given) {
        return Ok(Zeroizing::new(given.to_owned()));
    }
    if !Path::new(given).exists() {
        return Err(CommandError::Usage(format!(
            "{name} is needed: what is given is neither one nor a file that contains one"
        )));
    }
    let bytes = input::read_secret(Path::new(given), name, LARGEST_SECRET)?;
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if is_secret(text) {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    Err(CommandError::Failed(format!("the file {given} must contain {name} and nothing else")))
}

fn is_seed(text: &str) -> bool {
    text.len() == 58
        && text.starts_with('S')
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn is_token(text: &str) -> bool {
    text.starts_with("ey") && text.split('.').count() == 3 && !text.contains(['/', '\\', ' ', '\n'])
}

/// Returns a value unless it is empty: an empty environment variable counts as absent.
fn text(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

fn path(value: Option<&Path>) -> Option<&Path> {
    value.filter(|value| !value.as_os_str().is_empty())
}

/// A text that is not printed: a token, a seed or the name of their file. It is wiped when it is dropped.
#[derive(Clone)]
struct Hidden(Zeroizing<String>);

impl Hidden {
    fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hidden {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Hidden, Self::Err> {
        Ok(Hidden(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use nkeys::KeyPair;

    use super::*;

    #[derive(Debug, Parser)]
    struct Shell {
        #[command(flatten)]
        servers: Servers,
    }

    fn servers(arguments: &str) -> Servers {
        Shell::try_parse_from(["ctl"].into_iter().chain(arguments.split_whitespace())).unwrap().servers
    }

    fn shown(options: CommandResult<ConnectionOptions>) -> String {
        format!("{:?}", options.unwrap())
    }

    #[test]
    fn addresses_have_a_scheme_and_a_port() {
        for (host, expected) in [
            ("nats.example", "nats://nats.example:4222"),
            ("nats.example:5000", "nats://nats.example:5000"),
            ("tls://nats.example", "tls://nats.example:4222"),
            ("nats://127.0.0.1:9/", "nats://127.0.0.1:9"),
            ("::1", "nats://[::1]:4222"),
            ("[::1]", "nats://[::1]:4222"),
        ] {
            assert_eq!(address(host, 4222).unwrap(), expected);
        }
        for bad in ["", "nats://", "me:hidden@nats.example"] {
            let error = format!("{:?}", address(bad, 4222).unwrap_err());
            assert!(error.contains("NATS server") && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn each_server_falls_back_to_the_other() {
        let only_calls = servers("--rpc-host a --rpc-port 7");
        assert!(shown(only_calls.control()).contains("a:7") && shown(only_calls.calls()).contains("a:7"));
        let only_control = servers("--control-host b");
        assert!(shown(only_control.control()).contains("b:4222") && shown(only_control.calls()).contains("b:4222"));
        let both = servers("--rpc-host a --control-host b --control-port 8");
        assert!(shown(both.control()).contains("b:8") && shown(both.calls()).contains("a:4222"));
        assert!(shown(servers("").control()).contains("127.0.0.1:4222"));
    }

    #[test]
    fn credentials_are_not_shown_to_another_server() {
        let apart = servers("--rpc-host a --rpc-creds calls.creds --control-host b");
        assert!(!shown(apart.control()).contains("calls.creds") && shown(apart.calls()).contains("calls.creds"));
        let shared = servers("--rpc-host a --rpc-creds calls.creds");
        assert!(shown(shared.control()).contains("calls.creds"));
    }

    #[test]
    fn secrets_are_given_by_themselves_or_as_files_and_never_shown() {
        let seed = KeyPair::new_user().seed().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("user.seed");
        std::fs::write(&file, format!("{seed}\n")).unwrap();
        for given in [seed.as_str(), file.to_str().unwrap()] {
            let given = servers(&format!("--control-seed {given}"));
            let options = shown(given.control());
            assert!(options.contains("NkeySeed") && !options.contains(&seed), "{options}");
            assert!(!format!("{given:?}").contains(&seed));
        }
        std::fs::write(&file, "nonsense").unwrap();
        let error = servers(&format!("--control-seed {}", file.display())).control().unwrap_err();
        assert!(format!("{error:?}").contains("user.seed"));
        let error = servers(&format!("--control-seed {}", &seed[..50])).control().unwrap_err();
        assert!(!format!("{error:?}").contains(&seed[..50]));
    }

    #[test]
    fn a_login_is_whole_and_there_is_one() {
        for arguments in ["--control-jwt a.b.c", "--control-creds a --control-seed b"] {
            assert!(matches!(servers(arguments).control(), Err(CommandError::Usage(_))), "{arguments}");
        }
    }
}
