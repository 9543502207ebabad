//! The capabilities of an actor in development, and the values of its links.

use std::collections::{BTreeMap, HashMap};

use super::Dev;
use crate::outcome::{CommandError, CommandResult};
use crate::sign;
use crate::state_folder::StateFolder;

/// The contract of the HTTP server, which the actor is linked to last: then it can serve.
pub(super) const HTTP: &str = "wasmcloud:httpserver";

const KEY_VALUE: &str = "wasmcloud:keyvalue";
const BLOB_STORE: &str = "wasmcloud:blobstore";

/// The contracts that every actor in development may use.
const ALWAYS: [&str; 4] = [HTTP, KEY_VALUE, "wasmcloud:logging", "wasmcloud:extras"];

/// A value of a link, as it is given on the command line. `Debug` does not show it, since it may be a secret.
#[derive(Clone)]
pub(super) struct LinkValue {
    contract: String,
    name: String,
    value: String,
}

impl std::fmt::Debug for LinkValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkValue").field("contract", &self.contract).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Parses `CONTRACT:NAME=VALUE`. The contract may be a short name.
pub(super) fn value(text: &str) -> Result<LinkValue, String> {
    const FORM: &str = "a value has the form CONTRACT:NAME=VALUE, such as httpclient:ALLOWED_HOSTS=example.com";
    let (key, value) = text.split_once('=').ok_or(FORM)?;
    let (contract, name) = key.rsplit_once(':').filter(|(_, name)| !name.is_empty()).ok_or(FORM)?;
    Ok(LinkValue { contract: sign::contract(contract)?, name: name.to_owned(), value: value.to_owned() })
}

/// Parses `CONTRACT:NAME=VARIABLE`, and reads the variable.
pub(super) fn variable(text: &str) -> Result<LinkValue, String> {
    let given = value(text).map_err(|error| error.replace("NAME=VALUE", "NAME=VARIABLE"))?;
    let value = std::env::var(&given.value).map_err(|error| format!("the variable {}: {error}", given.value))?;
    Ok(LinkValue { value, ..given })
}

/// The contracts that an actor is linked to, each with the values of its link.
pub(super) struct Links(BTreeMap<String, HashMap<String, String>>);

impl Links {
    /// # Errors
    /// `Usage` if a value belongs to a contract that the actor does not use.
    pub(super) fn new(command: &Dev) -> CommandResult<Links> {
        let contracts =
            ALWAYS.iter().map(|contract| (*contract).to_owned()).chain(command.capabilities.iter().cloned());
        let mut links: BTreeMap<String, HashMap<String, String>> =
            contracts.map(|contract| (contract, HashMap::new())).collect();
        for LinkValue { contract, name, value } in command.values.iter().chain(&command.variables) {
            let values = links.get_mut(contract).ok_or_else(|| {
                CommandError::Usage(format!(
                    "the actor has no capability {contract} for the value {name}: add -c {contract}"
                ))
            })?;
            values.insert(name.clone(), value.clone());
        }
        Ok(Links(links))
    }

    /// Returns all contracts.
    pub(super) fn contracts(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Returns the links that come before the one to the HTTP server, with the values that they have by default.
    pub(super) fn before_http(&self, folder: &StateFolder) -> Vec<(String, HashMap<String, String>)> {
        let with_defaults = |(contract, values): (&String, &HashMap<String, String>)| {
            let mut values = values.clone();
            let default = |file: &str| folder.join("dev").join(file).display().to_string();
            if contract == KEY_VALUE && !values.contains_key("URL") {
                values.entry("PATH".to_owned()).or_insert_with(|| default("keyvalue.redb"));
            }
            if contract == BLOB_STORE && !values.contains_key("URL") {
                values.entry("ROOT".to_owned()).or_insert_with(|| default("blobs"));
            }
            (contract.clone(), values)
        };
        self.0.iter().filter(|(contract, _)| *contract != HTTP).map(with_defaults).collect()
    }

    /// Returns the values of the link to the HTTP server that were given.
    pub(super) fn http(&self) -> HashMap<String, String> {
        self.0.get(HTTP).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_name_a_contract_and_are_not_shown() {
        let given = value("httpclient:ALLOWED_HOSTS=a=b").unwrap();
        let LinkValue { contract, name, value: text } = &given;
        assert_eq!((contract.as_str(), name.as_str(), text.as_str()), ("wasmcloud:httpclient", "ALLOWED_HOSTS", "a=b"));
        assert!(!format!("{given:?}").contains("a=b"));
        assert_eq!(value("example:clock:ZONE=x").unwrap().contract, "example:clock");
        for bad in ["", "A=b", "httpclient:=b", "httpclient:A", "clock:A=b"] {
            assert!(value(bad).is_err(), "{bad}");
        }
        assert!(variable("httpclient:A=NO_SUCH_VARIABLE").unwrap_err().contains("NO_SUCH_VARIABLE"));
    }
}
