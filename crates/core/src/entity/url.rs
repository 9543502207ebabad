//! The URLs of entities, by which messages between hosts name the caller and the target.
//!
//! The URL of an actor is `wasmbus://<actor>`. That of a provider is `wasmbus://<contract>/<link name>/<provider>`,
//! with the contract's `:` written as `/`. The URL of a target ends with `/<operation>`. Contracts and link names are
//! written in lower case with `_` for blanks, so different entities may have the same URL: compare URLs, not the
//! entities read from them.

use super::{KeyKind, SYSTEM_ACTOR, WasmCloudEntity, is_key, shorten};
use crate::error::{Error, ErrorKind, Result};

const SCHEME: &str = "wasmbus://";

impl WasmCloudEntity {
    /// Returns the URL of the entity, such as `wasmbus://wasmcloud/keyvalue/default/V...`.
    pub fn url(&self) -> String {
        match self {
            WasmCloudEntity::Host => format!("{SCHEME}{SYSTEM_ACTOR}"),
            WasmCloudEntity::Actor(key) => format!("{SCHEME}{key}"),
            WasmCloudEntity::Capability { id, contract_id, link_name } => {
                let contract = written(&contract_id.replace(':', "/"));
                format!("{SCHEME}{contract}/{}/{id}", written(link_name))
            }
        }
    }

    /// Returns the entity that a URL names, and the operation, if it names one.
    ///
    /// ```
    /// use wasmcloud_host::WasmCloudEntity;
    ///
    /// let (entity, operation) = WasmCloudEntity::from_url("wasmbus://system")?;
    /// assert_eq!((entity, operation), (WasmCloudEntity::Host, None));
    /// # Ok::<(), wasmcloud_host::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` if the URL is malformed, contains an invalid key, or contains capitals or blanks.
    pub fn from_url(url: &str) -> Result<(WasmCloudEntity, Option<&str>)> {
        let read = url.strip_prefix(SCHEME).and_then(read);
        // Other hosts might read a URL differently if it is not in the canonical form, so it is refused.
        let read = read.filter(|(entity, operation)| {
            let rest = url.strip_prefix(&entity.url());
            rest.is_some_and(|rest| rest.strip_prefix('/') == *operation && (operation.is_some() || rest.is_empty()))
        });
        read.ok_or_else(|| {
            let message = format!(
                "{:?} is not the URL of an entity, such as wasmbus://M... or wasmbus://wasmcloud/keyvalue/default/V...",
                shorten(url)
            );
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }
}

fn written(name: &str) -> String {
    name.replace(' ', "_").to_lowercase()
}

fn read(path: &str) -> Option<(WasmCloudEntity, Option<&str>)> {
    if path == SYSTEM_ACTOR {
        return Some((WasmCloudEntity::Host, None));
    }
    let (first, rest) = split(path);
    if is_key(first, KeyKind::Actor) {
        return Some((WasmCloudEntity::Actor(first.to_owned()), operation(rest)?));
    }
    read_provider(path)
}

/// Reads the path of a provider's URL: the contract and the link name, the key, and an optional operation.
fn read_provider(path: &str) -> Option<(WasmCloudEntity, Option<&str>)> {
    let mut start = 0;
    for segment in path.split('/') {
        if !is_key(segment, KeyKind::Provider) {
            start += segment.len() + 1;
            continue;
        }
        let (contract, link_name) = path[..start].strip_suffix('/')?.rsplit_once('/')?;
        let entity = WasmCloudEntity::Capability {
            id: segment.to_owned(),
            contract_id: contract.replace('/', ":"),
            link_name: link_name.to_owned(),
        };
        let named = !contract.is_empty() && !link_name.is_empty();
        return named.then_some((entity, operation(split(&path[start..]).1)?));
    }
    None
}

fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)))
}

/// Reads the operation after an entity. The outer `None` is an empty operation, which is malformed.
#[expect(clippy::option_option, reason = "malformed, no operation, or an operation")]
fn operation(rest: Option<&str>) -> Option<Option<&str>> {
    (rest != Some("")).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nkeys::KeyPair;
    use proptest::prelude::*;

    const ACTOR: &str = "MB2ZOJXL67TBHKRPHX6EE3PUAX7QASN3SDX4ALNPO272HB42IBYUA6BV";
    const PROVIDER: &str = "VDX7LHSMBKTDVL5YFKSCVUB4SWWXRXRDTU4K6UQKFCIX4QQOJPWRGXRY";

    fn provider(contract_id: &str, link_name: &str) -> WasmCloudEntity {
        WasmCloudEntity::Capability {
            id: PROVIDER.into(),
            contract_id: contract_id.into(),
            link_name: link_name.into(),
        }
    }

    #[test]
    fn urls_are_those_of_the_hosts_of_2021() {
        // Captured from messages between those hosts.
        let actor = WasmCloudEntity::Actor(ACTOR.into());
        assert_eq!(WasmCloudEntity::Host.url(), "wasmbus://system");
        assert_eq!(actor.url(), format!("wasmbus://{ACTOR}"));
        let store = provider("wasmcloud:keyvalue", "default");
        assert_eq!(store.url(), format!("wasmbus://wasmcloud/keyvalue/default/{PROVIDER}"));
        assert_eq!(provider("My Co:Thing", "Link One").url(), format!("wasmbus://my_co/thing/link_one/{PROVIDER}"));
        for (url, entity, operation) in [
            ("wasmbus://system".to_owned(), WasmCloudEntity::Host, None),
            (format!("wasmbus://{ACTOR}/HandleRequest"), actor.clone(), Some("HandleRequest")),
            (format!("wasmbus://{ACTOR}/a/b"), actor, Some("a/b")),
            (format!("wasmbus://wasmcloud/keyvalue/default/{PROVIDER}/Add"), store, Some("Add")),
            (format!("wasmbus://system/x/default/{PROVIDER}"), provider("system:x", "default"), None),
        ] {
            assert_eq!(WasmCloudEntity::from_url(&url).unwrap(), (entity, operation), "{url}");
        }
    }

    #[test]
    fn malformed_urls_are_refused() {
        for url in [
            "",
            "wasmbus://",
            "wasmbus:///",
            "http://system",
            "wasmbus://SYSTEM",
            "wasmbus://system/",
            "wasmbus://M",
            &format!("wasmbus://{ACTOR}/"),
            &format!("wasmbus://{}", ACTOR.to_lowercase()),
            &format!("wasmbus://{PROVIDER}"),
            &format!("wasmbus://keyvalue/{PROVIDER}"),
            &format!("wasmbus:////{PROVIDER}"),
            &format!("wasmbus://wasmcloud/keyvalue/default/{PROVIDER}/"),
            &format!("wasmbus://wasmcloud/keyvalue/default/{ACTOR}"),
            &format!("wasmbus://wasmCloud/keyvalue/default/{PROVIDER}"),
            &format!("wasmbus://wasmcloud:keyvalue/default/{PROVIDER}"),
            &format!("wasmbus://wasmcloud/keyvalue/back up/{PROVIDER}"),
        ] {
            assert_eq!(WasmCloudEntity::from_url(url).unwrap_err().kind(), ErrorKind::InvalidArgument, "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC*") {
            let _ = WasmCloudEntity::from_url(&text);
            let _ = WasmCloudEntity::from_url(&format!("wasmbus://{text}/{PROVIDER}/{text}"));
        }

        #[test]
        fn a_parsed_url_is_written_as_it_was(
            contract in "[^\0]{1,20}", link_name in "[^\0]{1,20}", operation in "\\PC{1,20}", seed: [u8; 32],
        ) {
            let key = |kind| KeyPair::new_from_raw(kind, seed).unwrap().public_key();
            let id = key(nkeys::KeyPairType::Service);
            for entity in [
                WasmCloudEntity::Actor(key(nkeys::KeyPairType::Module)),
                WasmCloudEntity::Capability { id, contract_id: contract, link_name },
            ] {
                let url = entity.url();
                let target = format!("{url}/{operation}");
                                // A link name that ends in a slash cannot be read back.
                if let Ok((read, named)) = WasmCloudEntity::from_url(&target) {
                    prop_assert_eq!(read.url(), url);
                    prop_assert_eq!(named, Some(operation.as_str()));
                }
            }
        }

        #[test]
        fn names_without_capitals_blanks_and_slashes_survive(
            contract in "[a-z0-9_.]{1,9}(:[a-z0-9_.-]{1,9}){0,3}", link_name in "[a-z0-9_:-]{1,20}",
        ) {
            let entity = provider(&contract, &link_name);
            let url = entity.url();
            prop_assert_eq!(WasmCloudEntity::from_url(&url).unwrap(), (entity, None));
        }
    }
}
