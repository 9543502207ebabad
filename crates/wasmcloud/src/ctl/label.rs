//! `wasmcloud ctl label`: sets and removes labels of a host.

use std::collections::BTreeMap;
use std::str::FromStr;

use futures_util::FutureExt;

use super::Session;
use super::orders::{Order, Waiting};
use super::values::Pair;
use crate::outcome::CommandResult;

/// Sets and removes labels of a host.
///
/// Auctions and manifests choose hosts by their labels.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl label NCG4IPZS zone=east tier=front
  wasmcloud ctl label NCG4IPZS tier-")]
pub(super) struct Label {
    /// The host, by its public key or the beginning of it.
    #[arg(value_name = "HOST")]
    host: String,

    /// A label to set as NAME=VALUE, or one to remove as NAME-.
    #[arg(value_name = "LABEL", required = true)]
    labels: Vec<Change>,

    #[command(flatten)]
    waiting: Waiting,
}

/// A change of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Set(Pair),
    Remove(String),
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Change, String> {
        if let Ok(pair) = text.parse() {
            return Ok(Change::Set(pair));
        }
        match text.strip_suffix('-') {
            Some(name) if !name.is_empty() => Ok(Change::Remove(name.to_owned())),
            _ => Err("write NAME=VALUE to set a label, and NAME- to remove one".to_owned()),
        }
    }
}

pub(super) async fn run(Label { host, labels, waiting }: Label, session: &Session) -> CommandResult {
    let host = session.host(&host).await?;
    let mut set = BTreeMap::new();
    let mut remove = Vec::new();
    for label in labels {
        match label {
            Change::Set(Pair { name, value }) => {
                set.insert(name, value);
            }
            Change::Remove(name) => remove.push(name),
        }
    }
    let order = Order {
        host: Some(host.clone()),
        target: host.clone(),
        doing: "changing labels".to_owned(),
        done: format!("set {} and removed {} labels of host {host}", set.len(), remove.len()),
        give: session.client().set_labels(&host, set, remove).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_removed() {
        let set = Pair { name: "zone".to_owned(), value: "east-".to_owned() };
        assert_eq!("zone=east-".parse(), Ok(Change::Set(set)));
        assert_eq!("zone-".parse(), Ok(Change::Remove("zone".to_owned())));
        for bad in ["", "-", "zone", "=east"] {
            assert!(bad.parse::<Change>().is_err(), "{bad}");
        }
    }
}
