//! What the values of a link mean.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use async_nats::ServerAddr;
use nkeys::KeyPair;

use super::super::link_values::{LinkValues, Names};
use super::subject::{check_filter, check_group};

const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

/// What fits a message to an actor, with some room for what is in it beside the body.
const LARGEST_BODY_LIMIT: usize = 63 * 1024 * 1024;

const NAMES: Names = Names {
    known: &[
        "SUBSCRIPTION",
        "URL",
        "QUEUEGROUP_NAME",
        "CLIENT_JWT",
        "CLIENT_SEED",
        "CREDSFILE",
        "CA_FILE",
        "ACCOUNT",
        "CONCURRENCY",
        "QUEUE_LIMIT",
        "BODY_LIMIT",
    ],
    without_effect: &[],
};

/// A link's values, read.
pub(super) struct Settings {
    pub(super) place: Place,
    /// What the actor is brought.
    pub(super) subscriptions: Vec<String>,
    pub(super) group: Option<String>,
    /// How many messages the actor may be handling at once.
    pub(super) concurrency: usize,
    /// How many messages may wait for it.
    pub(super) queue_limit: usize,
    pub(super) body_limit: usize,
}

/// Where messages are exchanged.
pub(super) enum Place {
    /// Among the links of one provider that have the same account.
    Embedded { account: String },
    /// On servers of NATS.
    Nats(Box<Servers>),
}

/// The servers of NATS, any of which will do, and what is shown to them.
pub(super) struct Servers {
    pub(super) addresses: Vec<ServerAddr>,
    pub(super) credentials: Credentials,
    pub(super) certificates: Option<PathBuf>,
}

/// Who a link is to a server.
pub(super) enum Credentials {
    None,
    Password { user: String, password: String },
    Token(String),
    Key { seed: String },
    Jwt { jwt: String, key: Box<KeyPair> },
    File(PathBuf),
}

impl Settings {
    /// Reads the values of a link.
    ///
    /// # Errors
    /// A text that names the value which cannot be read. It repeats none that may hold a secret.
    pub(super) fn read(values: &HashMap<String, String>) -> Result<Settings, String> {
        let values = LinkValues::of(values, NAMES)?;
        Ok(Settings {
            place: Place::read(values)?,
            subscriptions: subscriptions(values)?,
            group: group(values.get("QUEUEGROUP_NAME"))?,
            concurrency: values.number("CONCURRENCY", 8, 1..=1024)?,
            queue_limit: values.number("QUEUE_LIMIT", 1024, 1..=65536)?,
            body_limit: values.number("BODY_LIMIT", DEFAULT_BODY_LIMIT, 0..=LARGEST_BODY_LIMIT)?,
        })
    }
}

impl Place {
    fn read(values: LinkValues<'_>) -> Result<Place, String> {
        let Some(url) = values.get("URL") else {
            if let Some(key) = values.first_of(&["CLIENT_JWT", "CLIENT_SEED", "CREDSFILE", "CA_FILE"]) {
                return Err(format!("the value {key} is for a NATS server, and there is no URL of one"));
            }
            return Ok(Place::Embedded { account: values.get("ACCOUNT").unwrap_or_default().to_owned() });
        };
        if values.has("ACCOUNT") {
            return Err("the values URL and ACCOUNT exclude each other: accounts of a NATS server are told by \
                        credentials"
                .to_owned());
        }
        let addresses = url.split(',').map(|url| address(url.trim())).collect::<Result<Vec<_>, _>>()?;
        let credentials = Credentials::read(values, &addresses)?;
        let certificates = values.get("CA_FILE").map(PathBuf::from);
        Ok(Place::Nats(Box::new(Servers { addresses, credentials, certificates })))
    }
}

impl Credentials {
    fn read(values: LinkValues<'_>, addresses: &[ServerAddr]) -> Result<Credentials, String> {
        let jwt = values.get("CLIENT_JWT").map(ToOwned::to_owned);
        match (values.get("CREDSFILE"), jwt, values.get("CLIENT_SEED").map(key).transpose()?) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                Err("the value CREDSFILE excludes CLIENT_JWT and CLIENT_SEED: the file holds both".to_owned())
            }
            (Some(path), None, None) => Ok(Credentials::File(path.into())),
            (None, Some(jwt), Some((key, _))) => Ok(Credentials::Jwt { jwt, key: Box::new(key) }),
            (None, Some(_), None) => Err("the value CLIENT_JWT needs a CLIENT_SEED beside it".to_owned()),
            (None, None, Some((_, seed))) => Ok(Credentials::Key { seed }),
            (None, None, None) => Ok(Credentials::of_address(addresses)),
        }
    }

    fn of_address(addresses: &[ServerAddr]) -> Credentials {
        let named = addresses.iter().find_map(|address| Some((address.username()?, address.password())));
        match named {
            Some((user, Some(password))) => {
                Credentials::Password { user: user.to_owned(), password: password.to_owned() }
            }
            Some((token, None)) => Credentials::Token(token.to_owned()),
            None => Credentials::None,
        }
    }
}

fn address(url: &str) -> Result<ServerAddr, String> {
    let is_known = url.starts_with("nats://") || url.starts_with("tls://") || !url.contains("://");
    let address = url.parse::<ServerAddr>().ok().filter(|_| is_known && !url.is_empty());
    // What cannot be read may hold a password all the same.
    address.ok_or_else(|| {
        "the value URL is none of a NATS server, which is nats://[user:password@]host[:port], or begins with tls://"
            .to_owned()
    })
}

fn key(seed: &str) -> Result<(KeyPair, String), String> {
    let key = KeyPair::from_seed(seed).map_err(|_| "the value CLIENT_SEED is no seed of an nkey".to_owned())?;
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

    fn read(values: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(&values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    fn servers(values: &[(&str, &str)]) -> Servers {
        match read(values).unwrap().place {
            Place::Nats(servers) => *servers,
            Place::Embedded { .. } => panic!("there is a URL"),
        }
    }

    #[test]
    fn without_a_url_messages_stay_in_the_host() {
        let settings = read(&[("SUBSCRIPTION", "a.*, b ,a.*,"), ("QUEUEGROUP_NAME", "g"), ("ACCOUNT", "x")]).unwrap();
        assert_eq!(settings.subscriptions, ["a.*", "b"]);
        assert_eq!(settings.group.as_deref(), Some("g"));
        assert!(matches!(settings.place, Place::Embedded { account } if account == "x"));
        let settings = read(&[]).unwrap();
        assert!(settings.subscriptions.is_empty() && settings.group.is_none());
        assert_eq!((settings.concurrency, settings.queue_limit, settings.body_limit), (8, 1024, 1_048_576));
    }

    #[test]
    fn servers_and_credentials_are_read() {
        let hosts = |servers: &Servers| -> Vec<_> {
            servers.addresses.iter().map(|address| (address.host().to_owned(), address.port())).collect()
        };
        let plain = servers(&[("URL", "nats://a:1, tls://b")]);
        assert_eq!(hosts(&plain), [("a".to_owned(), 1), ("b".to_owned(), 4222)]);
        assert!(matches!(plain.credentials, Credentials::None));
        let named = servers(&[("URL", "nats://u:p@a")]).credentials;
        assert!(matches!(named, Credentials::Password { user, password } if user == "u" && password == "p"));
        assert!(matches!(servers(&[("URL", "nats://t@a")]).credentials, Credentials::Token(token) if token == "t"));
        let seed = KeyPair::new_user().seed().unwrap();
        let credentials = |values: &[(&str, &str)]| servers(&[values, &[("URL", "a")]].concat()).credentials;
        assert!(matches!(credentials(&[("CLIENT_SEED", &seed)]), Credentials::Key { .. }));
        assert!(matches!(credentials(&[("CLIENT_SEED", &seed), ("CLIENT_JWT", "j")]), Credentials::Jwt { .. }));
        assert!(matches!(credentials(&[("CREDSFILE", "/f")]), Credentials::File(_)));
    }

    #[test]
    fn a_bad_value_is_named_and_secrets_are_never_told() {
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
