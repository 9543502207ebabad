//! Links, as a state and the metrics tell them.

use std::sync::Arc;

use wasmcloud_telemetry::state::LinkState as ToldLink;

use super::standing::LONGEST_REASON;
use super::{LONGEST, MOST_WORDS, cut};
use crate::dispatch::snapshot::Snapshot;
use crate::link::{Link, LinkDefinition, LinkKey, LinkState, SECRETS};

/// What the other hosts of a lattice run, as far as links need it.
pub(crate) struct Elsewhere {
    /// Returns whether there may be other hosts.
    pub(crate) has_lattice: Box<dyn Fn() -> bool + Send + Sync>,
    /// Returns the other host that runs the provider of a link, if one does.
    pub(crate) host_of_provider: HostOfProvider,
}

/// Returns the public key of a host.
pub(crate) type HostOfProvider = Box<dyn Fn(&LinkDefinition) -> Option<String> + Send + Sync>;

/// The links of a host at one time.
pub(super) struct Links<'a> {
    snapshot: &'a Snapshot,
    elsewhere: &'a Elsewhere,
    has_lattice: bool,
}

/// How a link stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LinkStanding {
    /// One of [`STATES`].
    pub(super) state: &'static str,
    /// The other host that serves it.
    host: Option<String>,
}

/// The words for the states of links.
pub(super) const STATES: [&str; 3] = ["established", "pending", "refused"];

impl<'a> Links<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, elsewhere: &'a Elsewhere) -> Links<'a> {
        Links { snapshot, elsewhere, has_lattice: (elsewhere.has_lattice)() }
    }

    /// Returns the links with an end on this host, and those that no other host could serve.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a LinkKey, &'a Arc<Link>)> {
        let Links { snapshot, has_lattice, .. } = *self;
        snapshot.links.iter().filter(move |(key, link)| {
            !has_lattice || snapshot.actors.contains_key(&key.actor) || snapshot.provider_of(link).is_some()
        })
    }

    /// Returns how a link stands. One that waits for its provider here is established if another host runs the provider.
    pub(super) fn standing(&self, link: &Link) -> LinkStanding {
        let host = self.host_of_provider(link);
        let state = match &link.state {
            LinkState::Established => "established",
            LinkState::Refused(_) => "refused",
            _ if host.is_some() => "established",
            _ => "pending",
        };
        LinkStanding { state, host }
    }

    fn host_of_provider(&self, link: &Link) -> Option<String> {
        let is_absent = link.state == LinkState::Pending && self.snapshot.provider_of(link).is_none();
        if is_absent && self.has_lattice { (self.elsewhere.host_of_provider)(&link.definition) } else { None }
    }

    /// Returns a link as it is told. The values of a link may be secrets: their names alone are told.
    pub(super) fn told(&self, key: &LinkKey, link: &Link, since: u64) -> ToldLink {
        let definition = &link.definition;
        let LinkStanding { state, host } = self.standing(link);
        let names = definition.values.keys().filter(|name| *name != SECRETS);
        let mut values: Vec<String> = names.map(|name| cut(name, LONGEST)).collect();
        values.sort_unstable();
        values.truncate(MOST_WORDS);
        ToldLink {
            key: format!("{}/{}/{}", key.actor, key.contract, key.link_name),
            actor: definition.actor_id.clone(),
            provider: definition.provider_id.clone(),
            contract_id: cut(&definition.contract_id, LONGEST),
            link_name: cut(&definition.link_name, LONGEST),
            state: state.to_owned(),
            reason: match host {
                Some(host) => Some(format!("its provider runs on host {host}")),
                None => self.reason(link),
            },
            since,
            values,
        }
    }

    fn reason(&self, link: &Link) -> Option<String> {
        let Links { snapshot, .. } = self;
        let reason = match &link.state {
            LinkState::Established => return None,
            LinkState::Refused(reason) => return Some(cut(reason, LONGEST_REASON)),
            LinkState::Establishing => "the provider has not answered yet",
            LinkState::Releasing => "the provider has not released it yet",
            LinkState::Pending if snapshot.provider_of(link).is_none() => "its provider does not run on this host",
            LinkState::Pending if !snapshot.actors.contains_key(link.definition.actor_id.as_str()) => {
                "its actor does not run on this host"
            }
            LinkState::Pending => "it waits for both of its ends",
        };
        Some(reason.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn link(state: LinkState) -> Link {
        let definition = LinkDefinition {
            actor_id: "M".to_owned(),
            provider_id: "V".to_owned(),
            link_name: "default".to_owned(),
            contract_id: "wasmcloud:keyvalue".to_owned(),
            values: HashMap::from([("x".repeat(10_000), String::new())]),
        };
        Link { definition: definition.into(), state, overlapping: None, awaits_restart: false, changed: Arc::default() }
    }

    fn elsewhere(has_lattice: bool, host: Option<&'static str>) -> Elsewhere {
        Elsewhere {
            has_lattice: Box::new(move || has_lattice),
            host_of_provider: Box::new(move |_| host.map(str::to_owned)),
        }
    }

    #[test]
    fn a_link_is_established_if_another_host_runs_its_provider() {
        let snapshot = Snapshot::default();
        for (state, has_lattice, host, told) in [
            (LinkState::Pending, true, Some("N"), "established"),
            (LinkState::Pending, true, None, "pending"),
            (LinkState::Pending, false, Some("N"), "pending"),
            (LinkState::Refused("no".to_owned()), true, Some("N"), "refused"),
            (LinkState::Releasing, true, Some("N"), "pending"),
        ] {
            let elsewhere = elsewhere(has_lattice, host);
            let standing = Links::of(&snapshot, &elsewhere).standing(&link(state.clone()));
            assert_eq!(standing.state, told, "{state:?}");
            assert!(STATES.contains(&standing.state));
        }
    }

    #[test]
    fn links_of_other_hosts_are_not_counted_and_names_are_cut() {
        let mut snapshot = Snapshot::default();
        let key = LinkKey::new("M", "wasmcloud:keyvalue", "default");
        snapshot.links.insert(key.clone(), Arc::new(link(LinkState::Pending)));
        assert_eq!(Links::of(&snapshot, &elsewhere(true, None)).all().count(), 0);
        let alone = elsewhere(false, None);
        let links = Links::of(&snapshot, &alone);
        assert_eq!(links.all().count(), 1);
        let told = links.told(&key, &snapshot.links[&key], 7);
        assert_eq!(told.reason.as_deref(), Some("its provider does not run on this host"));
        assert_eq!(told.values[0].chars().count(), LONGEST + 1);
    }
}
