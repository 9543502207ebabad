//! What was acknowledged in a history, and what may have been stored besides.

use std::collections::BTreeMap;

use super::super::Follower;
use crate::registry::entry::{Value, holder};
use crate::registry::{Key, Registry, RegistryChange};

/// What a change states about its key.
#[derive(Debug, Clone)]
pub(super) enum Stated {
    Is(Value),
    Removed,
    /// The token has at least this revision: a lower one changes nothing.
    Token(i32),
    Holder(String),
    NotHolder(String),
}

impl Stated {
    fn holds(&self, value: Option<&Value>) -> bool {
        match self {
            Stated::Is(stated) => value == Some(stated),
            Stated::Removed => matches!(value, None | Some(Value::Removed(_))),
            Stated::Token(least) => match value {
                Some(Value::Claims(token)) => super::super::super::entry::summarise(token).unwrap().revision >= *least,
                _ => false,
            },
            Stated::Holder(actor) => value.and_then(holder_of).as_ref() == Some(actor),
            Stated::NotHolder(actor) => value.and_then(holder_of).as_ref() != Some(actor),
        }
    }
}

/// The statements about a key.
#[derive(Debug, Default)]
struct Account {
    /// The greatest revision that was acknowledged.
    revision: u64,
    /// What was stated with that revision.
    stated: Vec<Stated>,
    /// What may have been stored without an acknowledgement.
    open: Vec<Stated>,
}

/// The statements about all keys.
#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<Key, Account>);

impl Ledger {
    pub(super) fn acknowledge(&mut self, key: Key, revision: u64, stated: Stated) {
        let account = self.0.entry(key).or_default();
        if revision > account.revision {
            account.revision = revision;
            account.stated.clear();
        }
        if revision == account.revision {
            account.stated.push(stated);
        }
    }

    pub(super) fn leave_open(&mut self, key: Key, stated: Stated) {
        self.0.entry(key).or_default().open.push(stated);
    }

    pub(super) fn merge(&mut self, other: Ledger) {
        for (key, account) in other.0 {
            for stated in account.stated {
                self.acknowledge(key.clone(), account.revision, stated);
            }
        }
    }

    /// Returns whether a key may have changed after a revision.
    pub(super) fn has_later(&self, key: &Key, revision: u64) -> bool {
        self.0.get(key).is_some_and(|account| account.revision > revision || !account.open.is_empty())
    }

    /// Checks that what the bucket holds under a key follows from the history. Returns it.
    pub(super) async fn check(&self, registry: &Registry, key: &Key) -> Option<Value> {
        let current = registry.current(key).await.unwrap();
        let (revision, value) = (current.revision(), current.value().cloned());
        assert_eq!(revision > 0, value.is_some(), "the entry {key} is valid: {current:?}");
        let account = Account::default();
        let account = self.0.get(key).unwrap_or(&account);
        assert!(revision >= account.revision, "{key}: an acknowledged change is lost: {current:?}, {account:?}");
        if revision == account.revision {
            let is_respected = account.stated.iter().all(|stated| stated.holds(value.as_ref()));
            assert!(is_respected, "{key}: an acknowledged change is not in effect: {current:?}, {account:?}");
        } else {
            let is_open = account.open.iter().any(|stated| stated.holds(value.as_ref()));
            assert!(is_open, "{key}: a change comes from nowhere: {current:?}, {account:?}");
        }
        value
    }
}

/// Returns the holder of an alias.
pub(super) fn holder_of(value: &Value) -> Option<String> {
    let Value::Alias(token) = value else { return None };
    holder(super::ALIAS, token).map(|claims| claims.subject)
}

/// Returns the holder of an alias as a host has learned it.
pub(super) fn holder_at(follower: &Follower, name: &str) -> Option<String> {
    let last = follower.others.iter().rev().find_map(|change| match change {
        RegistryChange::Alias { alias, actor, .. } if alias == name => Some(actor.clone()),
        _ => None,
    });
    last.flatten()
}
