//! The steps of a history, and what they are about.

use nkeys::KeyPair;
use proptest::prelude::*;

use super::super::token;
use super::ALIAS;
use super::ledger::Stated;
use crate::registry::entry::Value;
use crate::registry::{Change, Key, LinkRecord};

/// The actors of the links.
pub(super) const OWNERS: [usize; 3] = [0, 0, 1];

/// A step of a history.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Change {
        host: usize,
        what: What,
    },
    /// Two hosts set one link at once.
    Race(usize),
    /// A host loses its connection while it sets a link, and connects again.
    Break {
        host: usize,
        link: usize,
    },
    /// A host is cut off.
    Cut(usize),
    /// A host is connected again and publishes what it has changed meanwhile.
    Mend(usize),
    /// The server is killed and started again.
    Restart,
}

/// A change by a host.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Set(usize),
    Remove(usize),
    Token(usize),
    Withdraw(usize),
    Claim(usize),
    Release(usize),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        6 => (0..OWNERS.len()).prop_map(What::Set),
        3 => (0..OWNERS.len()).prop_map(What::Remove),
        3 => (0..2_usize).prop_map(What::Token),
        1 => (0..2_usize).prop_map(What::Withdraw),
        2 => (0..2_usize).prop_map(What::Claim),
        1 => (0..2_usize).prop_map(What::Release),
    ];
    let step = prop_oneof![
        16 => (0..3_usize, what).prop_map(|(host, what)| Step::Change { host, what }),
        2 => (0..OWNERS.len()).prop_map(Step::Race),
        1 => (0..3_usize, 0..OWNERS.len()).prop_map(|(host, link)| Step::Break { host, link }),
        3 => (0..3_usize).prop_map(Step::Cut),
        3 => (0..3_usize).prop_map(Step::Mend),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..32)
}

/// The keys of a history.
pub(super) struct Names {
    pub(super) actors: [String; 2],
    pub(super) provider: String,
    pub(super) account: KeyPair,
}

impl Names {
    pub(super) fn link(&self, link: usize, value: usize) -> LinkRecord {
        super::super::link(&self.actors[OWNERS[link]], &self.provider, &link.to_string(), &value.to_string())
    }

    pub(super) fn token(&self, actor: usize, number: usize) -> String {
        token(&self.account, &self.actors[actor], i32::try_from(number).unwrap(), Some(ALIAS))
    }

    /// Returns the links of an actor, whose providers hear of its claims.
    pub(super) fn links(&self, actor: usize) -> Vec<LinkRecord> {
        (0..OWNERS.len()).filter(|link| OWNERS[*link] == actor).map(|link| self.link(link, 0)).collect()
    }

    /// Returns the key that a change concerns, and what it states about it.
    pub(super) fn stated(&self, what: What, number: usize) -> (Key, Stated) {
        let link_key = |link| Key::Link(self.link(link, 0).key().unwrap());
        let claims_key = |actor: usize| Key::Claims(self.actors[actor].clone());
        let alias = || Key::Alias(ALIAS.to_owned());
        match what {
            What::Set(link) => (link_key(link), Stated::Is(Value::Link(self.link(link, number)))),
            What::Remove(link) => (link_key(link), Stated::Removed),
            What::Token(actor) => (claims_key(actor), Stated::Token(i32::try_from(number).unwrap())),
            What::Withdraw(actor) => (claims_key(actor), Stated::Removed),
            What::Claim(actor) => (alias(), Stated::Holder(self.actors[actor].clone())),
            What::Release(actor) => (alias(), Stated::NotHolder(self.actors[actor].clone())),
        }
    }

    /// Returns a change as one that can wait, or `None` for those of aliases, which cannot.
    pub(super) fn pending(&self, what: What, number: usize) -> Option<Change> {
        Some(match what {
            What::Set(link) => Change::SetLink(self.link(link, number)),
            What::Remove(link) => Change::RemoveLink(self.link(link, 0).key().unwrap()),
            What::Token(actor) => Change::PutClaims { token: self.token(actor, number), links: self.links(actor) },
            What::Withdraw(actor) => {
                Change::RemoveClaims { entity: self.actors[actor].clone(), links: self.links(actor) }
            }
            What::Claim(_) | What::Release(_) => return None,
        })
    }
}
