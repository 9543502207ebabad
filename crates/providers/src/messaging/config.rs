//! The configuration of a link, parsed from its values.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use async_nats::ServerAddr;
use nkeys::KeyPair;

use super::super::link_values::{LinkValues, link_values};
use super::Messaging;
use super::subject::{check_filter, check_group};

const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

/// Fits the payload of a call to an actor, with the other fields of the message.
const MAX_BODY_LIMIT: usize = 63 * 1024 * 1024;

link_values! {
    Messaging:
    "SUBSCRIPTION"
        => "Subjects that the actor subscribes to, separated by commas. `*` matches one token. A final `>` matches one or more tokens.",
        "none";
    "QUEUEGROUP_NAME"
        => "Queue group of the subscriptions. One member of a group receives each message.",
        "none";
    "URL"
        => "NATS servers, separated by commas: `nats://[user:password@]host[:port]`, or `tls://` to require TLS. Any one of them is used. Excludes `ACCOUNT`.",
        "none: the embedded broker is used";
    "CLIENT_JWT"
        => "JWT of the NATS user. Requires `CLIENT_SEED` and `URL`.",
        "none";
    "CLIENT_SEED"
        => "Seed of the NATS user's nkey. Without `CLIENT_JWT`, the server must know the public key. Requires `URL`.",
        "none";
    "CREDSFILE"
        => "Path of a credentials file with JWT and seed, as written by `nsc`. Read when the link is established. Requires `URL`. Excludes `CLIENT_JWT` and `CLIENT_SEED`.",
        "none";
    "CA_FILE"
        => "Path of a PEM file with certificate authorities to trust in addition to the system's. Requires `URL`.",
        "none";
    "ACCOUNT"
        => "Account in the embedded broker. Links of different accounts do not receive each other's messages. Excludes `URL`.",
        "the account of all links without this value";
    "CONCURRENCY"
        => "Maximum number of messages that the actor handles at once. `1` preserves their order. Range: 1 to 1024.",
        "`8`";
    "QUEUE_LIMIT"
        => "Maximum number of messages that wait for the actor. Further ones are dropped. Range: 1 to 65536.",
        "`1024`";
    "BODY_LIMIT"
        => "Maximum size of a body that the actor sends or receives. Unit: bytes. Maximum: 66060288 (63 MiB).",
        "`1048576` (1 MiB)";
}

/// The configuration of a link.
pub(super) struct MessagingConfig {
    pub(super) broker: BrokerConfig,
    /// The filters that the actor subscribes to.
    pub(super) subscriptions: Vec<String>,
    pub(super) group: Option<String>,
    /// Maximum number of messages that the actor handles at once.
    pub(super) concurrency: usize,
    /// Maximum number of messages that wait for the actor.
    pub(super) queue_limit: usize,
    pub(super) body_limit: usize,
}

/// The broker of a link.
pub(super) enum BrokerConfig {
    /// The embedded broker of this account.
    Embedded { account: String },
    /// A NATS server.
    Nats(Box<NatsConfig>),
}

/// The NATS servers, any of which may be used, and the credentials for them.
pub(super) struct NatsConfig {
    pub(super) addresses: Vec<ServerAddr>,
    pub(super) credentials: NatsCredentials,
    pub(super) ca_file: Option<PathBuf>,
}

/// The credentials for a NATS server.
pub(super) enum NatsCredentials {
    None,
    Password { user: String, password: String },
    Token(String),
    Key { seed: String },
    Jwt { jwt: String, key: Box<KeyPair> },
    File(PathBuf),
}

impl MessagingConfig {
    /// Parses the values of a link.
    ///
    /// # Errors
    /// Names the value that is unknown or invalid. Values that may contain secrets are not shown.
    pub(super) fn from_link_values(values: &HashMap<String, String>) -> Result<MessagingConfig, String> {
        let values = LinkValues::check(values, Messaging::LINK_VALUES)?;
        Ok(MessagingConfig {
            broker: BrokerConfig::from_link_values(values)?,
            subscriptions: subscriptions(values)?,
            group: group(values.get("QUEUEGROUP_NAME"))?,
            concurrency: values.number("CONCURRENCY", 8, 1..=1024)?,
            queue_limit: values.number("QUEUE_LIMIT", 1024, 1..=65536)?,
            body_limit: values.number("BODY_LIMIT", DEFAULT_BODY_LIMIT, 0..=MAX_BODY_LIMIT)?,
        })
    }
}

impl BrokerConfig {
    fn from_link_values(values: LinkValues<'_>) -> Result<BrokerConfig, String> {
        let Some(url) = values.get("URL") else {
            if let Some(key) = values.first_of(&["CLIENT_JWT", "CLIENT_SEED", "CREDSFILE", "CA_FILE"]) {
                return Err(format!(
                    "the value {key} requires URL, which names a NATS server: set URL, or remove {key}"
                ));
            }
            return Ok(BrokerConfig::Embedded { account: values.get("ACCOUNT").unwrap_or_default().to_owned() });
        };
        if values.has("ACCOUNT") {
            return Err("the values URL and ACCOUNT exclude each other: the credentials select the \
                        account of a NATS server"
                .to_owned());
        }
        let addresses = url.split(',').map(|url| parse_address(url.trim())).collect::<Result<Vec<_>, _>>()?;
        let credentials = NatsCredentials::from_link_values(values, &addresses)?;
        let ca_file = values.get("CA_FILE").map(PathBuf::from);
        Ok(BrokerConfig::Nats(Box::new(NatsConfig { addresses, credentials, ca_file })))
    }
}

impl NatsCredentials {
    fn from_link_values(values: LinkValues<'_>, addresses: &[ServerAddr]) -> Result<NatsCredentials, String> {
        let jwt = values.get("CLIENT_JWT").map(ToOwned::to_owned);
        match (values.get("CREDSFILE"), jwt, values.get("CLIENT_SEED").map(parse_seed).transpose()?) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                Err("the value CREDSFILE excludes CLIENT_JWT and CLIENT_SEED: the file holds both".to_owned())
            }
            (Some(path), None, None) => Ok(NatsCredentials::File(path.into())),
            (None, Some(jwt), Some((key, _))) => Ok(NatsCredentials::Jwt { jwt, key: Box::new(key) }),
            (None, Some(_), None) => Err("the value CLIENT_JWT requires CLIENT_SEED".to_owned()),
            (None, None, Some((_, seed))) => Ok(NatsCredentials::Key { seed }),
            (None, None, None) => Ok(NatsCredentials::from_addresses(addresses)),
        }
    }

    fn from_addresses(addresses: &[ServerAddr]) -> NatsCredentials {
        let named = addresses.iter().find_map(|address| Some((address.username()?, address.password())));
        match named {
            Some((user, Some(password))) => {
                NatsCredentials::Password { user: user.to_owned(), password: password.to_owned() }
            }
            Some((token, None)) => NatsCredentials::Token(token.to_owned()),
            None => NatsCredentials::None,
        }
    }
}

fn parse_address(url: &str) -> Result<ServerAddr, String> {
    let is_known = url.starts_with("nats://") || url.starts_with("tls://") || !url.contains("://");
    let address = url.parse::<ServerAddr>().ok().filter(|_| is_known && !url.is_empty());
    // The URL is not shown: it may contain a password.
    address.ok_or_else(|| {
        "the value URL is not of the form nats://[user:password@]host[:port] or tls://[user:password@]host[:port]"
            .to_owned()
    })
}

fn parse_seed(seed: &str) -> Result<(KeyPair, String), String> {
    let key = KeyPair::from_seed(seed).map_err(|_| "the value CLIENT_SEED is not the seed of an nkey".to_owned())?;
    Ok((key, seed.to_owned()))
}

fn subscriptions(values: LinkValues<'_>) -> Result<Vec<String>, String> {
    let filter = |filter: &str| check_filter(filter).map(|()| filter.to_owned());
    let mut subscriptions = values.list("SUBSCRIPTION", filter)?.unwrap_or_default();
    let mut known = HashSet::new();
    subscriptions.retain(|filter| known.insert(filter.clone()));
    Ok(subscriptions)
}

fn group(text: Option<&str>) -> Result<Option<String>, String> {
    let Some(group) = text else { return Ok(None) };
    check_group(group).map_err(|error| format!("the value QUEUEGROUP_NAME cannot be used: {error}"))?;
    Ok(Some(group.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<MessagingConfig, String> {
        MessagingConfig::from_link_values(
            &values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        )
    }

    fn servers(values: &[(&str, &str)]) -> NatsConfig {
        match read(values).unwrap().broker {
            BrokerConfig::Nats(servers) => *servers,
            BrokerConfig::Embedded { .. } => panic!("there is a URL"),
        }
    }

    #[test]
    fn without_a_url_messages_stay_in_the_host() {
        let config = read(&[("SUBSCRIPTION", "a.*, b ,a.*,"), ("QUEUEGROUP_NAME", "g"), ("ACCOUNT", "x")]).unwrap();
        assert_eq!(config.subscriptions, ["a.*", "b"]);
        assert_eq!(config.group.as_deref(), Some("g"));
        assert!(matches!(config.broker, BrokerConfig::Embedded { account } if account == "x"));
        let config = read(&[]).unwrap();
        assert!(config.subscriptions.is_empty() && config.group.is_none());
        assert_eq!((config.concurrency, config.queue_limit, config.body_limit), (8, 1024, 1_048_576));
    }

    #[test]
    fn servers_and_credentials_are_read() {
        let hosts = |servers: &NatsConfig| -> Vec<_> {
            servers.addresses.iter().map(|address| (address.host().to_owned(), address.port())).collect()
        };
        let plain = servers(&[("URL", "nats://a:1, tls://b")]);
        assert_eq!(hosts(&plain), [("a".to_owned(), 1), ("b".to_owned(), 4222)]);
        assert!(matches!(plain.credentials, NatsCredentials::None));
        let named = servers(&[("URL", "nats://u:p@a")]).credentials;
        assert!(matches!(named, NatsCredentials::Password { user, password } if user == "u" && password == "p"));
        assert!(matches!(servers(&[("URL", "nats://t@a")]).credentials, NatsCredentials::Token(token) if token == "t"));
        let seed = KeyPair::new_user().seed().unwrap();
        let credentials = |values: &[(&str, &str)]| servers(&[values, &[("URL", "a")]].concat()).credentials;
        assert!(matches!(credentials(&[("CLIENT_SEED", &seed)]), NatsCredentials::Key { .. }));
        assert!(matches!(credentials(&[("CLIENT_SEED", &seed), ("CLIENT_JWT", "j")]), NatsCredentials::Jwt { .. }));
        assert!(matches!(credentials(&[("CREDSFILE", "/f")]), NatsCredentials::File(_)));
    }

    #[test]
    fn an_invalid_value_is_named_and_secrets_are_not_shown() {
        let seed = KeyPair::new_user().seed().unwrap();
        for (key, values) in [
            ("SUBSCRIPTION", &[("SUBSCRIPTION", "a..b")][..]),
            ("SUBSCRIPTION", &[("SUBSCRIPTION", "a,>.b")]),
            ("QUEUEGROUP_NAME", &[("QUEUEGROUP_NAME", "a b")]),
            ("CONCURRENCY", &[("CONCURRENCY", "0")]),
            ("QUEUE_LIMIT", &[("QUEUE_LIMIT", "many")]),
            ("BODY_LIMIT", &[("BODY_LIMIT", "70000000")]),
            ("URL", &[("URL", "http://u:secret@h")]),
            ("URL", &[("URL", "nats://u:secret@h:port")]),
            ("URL", &[("URL", "nats://h,")]),
            ("ACCOUNT", &[("URL", "nats://u:secret@h"), ("ACCOUNT", "x")]),
            ("CLIENT_SEED", &[("URL", "h"), ("CLIENT_SEED", "secret")]),
            ("CLIENT_SEED", &[("URL", "h"), ("CLIENT_JWT", "secret")]),
            ("CLIENT_JWT", &[("CLIENT_JWT", "secret")]),
            ("CREDSFILE", &[("URL", "h"), ("CREDSFILE", "f"), ("CLIENT_SEED", &seed)]),
        ] {
            let refusal = read(values).err().expect("the values should be refused");
            assert!(refusal.contains(key) && !refusal.contains("secret") && !refusal.contains(&seed), "{refusal}");
        }
    }
}
