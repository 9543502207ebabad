//! The difference of two states of a host, as viewers are sent it once a second: which items have changed, and in which fields.
//!
//! An item holds its key and the fields that have changed. A `rate` that is a number is the newest second of the row; an item
//! without one, and one that is not named at all, had no calls in it. All figures were read at `measured_at`.

use std::cmp::Ordering;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::state::{Activity, ActorState, HostState, LatticeHost, LinkState, ProviderState, Rate, ThisHost};

/// What has changed between two states. Events are told apart from it.
#[derive(Debug, Serialize)]
pub(crate) struct Delta<'a> {
    at: u64,
    measured_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a ThisHost>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<Change<'a, LatticeHost>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actors: Vec<Change<'a, ActorState>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<Change<'a, ProviderState>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Change<'a, LinkState>>,
    #[serde(skip_serializing_if = "Removed::is_empty")]
    removed: Removed<'a>,
}

/// The keys of what is gone.
#[derive(Debug, Default, Serialize)]
struct Removed<'a> {
    hosts: Vec<&'a str>,
    actors: Vec<&'a str>,
    providers: Vec<&'a str>,
    links: Vec<&'a str>,
}

impl Removed<'_> {
    fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.actors.is_empty() && self.providers.is_empty() && self.links.is_empty()
    }
}

impl<'a> Delta<'a> {
    /// Compares two states, whose lists are in the order of their keys.
    pub(crate) fn between(old: &'a HostState, new: &'a HostState) -> Delta<'a> {
        let mut removed = Removed::default();
        Delta {
            at: new.at,
            measured_at: new.at,
            host: (old.host != new.host).then_some(&new.host),
            hosts: compare(&old.hosts, &new.hosts, &mut removed.hosts),
            actors: compare(&old.actors, &new.actors, &mut removed.actors),
            providers: compare(&old.providers, &new.providers, &mut removed.providers),
            links: compare(&old.links, &new.links, &mut removed.links),
            removed,
        }
    }
}

/// An item that is new, or differs from the one before.
#[derive(Debug)]
struct Change<'a, T> {
    old: Option<&'a T>,
    new: &'a T,
}

/// An item of a list, which can be compared field by field.
trait Item: Serialize {
    /// The name of its key.
    const KEY: &'static str;

    fn key(&self) -> &str;

    /// Returns whether a field differs, so that the item has to be told.
    fn differs(&self, old: &Self) -> bool;

    /// Writes the fields that differ.
    fn write<M: SerializeMap>(&self, old: &Self, map: &mut M) -> Result<(), M::Error>;
}

impl<T: Item> Serialize for Change<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(old) = self.old else { return self.new.serialize(serializer) };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(T::KEY, self.new.key())?;
        self.new.write(old, &mut map)?;
        map.end()
    }
}

/// Returns the items that are new or differ, and adds the keys of those that are gone.
fn compare<'a, T: Item>(old: &'a [T], new: &'a [T], removed: &mut Vec<&'a str>) -> Vec<Change<'a, T>> {
    let mut changes = Vec::new();
    let mut before = old.iter().peekable();
    for item in new {
        let mut same = None;
        while let Some(candidate) = before.peek().copied() {
            match candidate.key().cmp(item.key()) {
                Ordering::Less => removed.push(candidate.key()),
                Ordering::Equal => same = Some(candidate),
                Ordering::Greater => break,
            }
            before.next();
        }
        if same.is_none_or(|old| item.differs(old)) {
            changes.push(Change { old: same, new: item });
        }
    }
    removed.extend(before.map(Item::key));
    changes
}

/// Compares and writes fields one by one.
macro_rules! fields {
    ($type:ty: $($field:ident)*) => {
        impl $type {
            fn has_changed(&self, old: &Self) -> bool {
                $(self.$field != old.$field)||*
            }

            fn write_changed<M: SerializeMap>(&self, old: &Self, map: &mut M) -> Result<(), M::Error> {
                $(if self.$field != old.$field {
                    map.serialize_entry(stringify!($field), &self.$field)?;
                })*
                Ok(())
            }
        }
    };
}

fields!(LatticeHost: is_self state era version uptime_s heard_at round_trip_us cordoned labels actors providers);
fields!(LinkState: actor provider contract_id link_name state reason since values);
fields!(ActorState: name alias revision version issuer image_ref capabilities tags expires_at trust instances
    instances_running memory_bytes mailbox in_flight);
fields!(ProviderState: id link_name contract_id name vendor image_ref isolation trust);
fields!(Activity: state reason since health health_at health_since restarts crashes calls errors errors_last_minute
    p50_us p99_us);

impl Activity {
    fn is_told(&self, old: &Activity) -> bool {
        self.has_changed(old) || !follows_idly(&self.rate, &old.rate)
    }

    fn write<M: SerializeMap>(&self, old: &Activity, map: &mut M) -> Result<(), M::Error> {
        self.write_changed(old, map)?;
        match newest(&self.rate, &old.rate) {
            Some(0) => Ok(()),
            Some(calls) => map.serialize_entry("rate", &calls),
            None => map.serialize_entry("rate", &self.rate),
        }
    }
}

/// Returns the newest second of a row, if the rest of it is the row before.
fn newest(rate: &Rate, old: &Rate) -> Option<u64> {
    let (newest, rest) = rate.split_last()?;
    (old.len() == rate.len() && *rest == old[1..]).then_some(*newest)
}

/// Returns whether a row is the row before and a second without calls.
fn follows_idly(rate: &Rate, old: &Rate) -> bool {
    newest(rate, old) == Some(0) || (rate.is_empty() && old.is_empty())
}

impl Item for LatticeHost {
    const KEY: &'static str = "id";

    fn key(&self) -> &str {
        &self.id
    }

    fn differs(&self, old: &LatticeHost) -> bool {
        self.has_changed(old)
    }

    fn write<M: SerializeMap>(&self, old: &LatticeHost, map: &mut M) -> Result<(), M::Error> {
        self.write_changed(old, map)
    }
}

impl Item for LinkState {
    const KEY: &'static str = "key";

    fn key(&self) -> &str {
        &self.key
    }

    fn differs(&self, old: &LinkState) -> bool {
        self.has_changed(old)
    }

    fn write<M: SerializeMap>(&self, old: &LinkState, map: &mut M) -> Result<(), M::Error> {
        self.write_changed(old, map)
    }
}

impl Item for ActorState {
    const KEY: &'static str = "id";

    fn key(&self) -> &str {
        &self.id
    }

    fn differs(&self, old: &ActorState) -> bool {
        self.has_changed(old) || self.activity.is_told(&old.activity)
    }

    fn write<M: SerializeMap>(&self, old: &ActorState, map: &mut M) -> Result<(), M::Error> {
        self.write_changed(old, map)?;
        self.activity.write(&old.activity, map)
    }
}

impl Item for ProviderState {
    const KEY: &'static str = "key";

    fn key(&self) -> &str {
        &self.key
    }

    fn differs(&self, old: &ProviderState) -> bool {
        self.has_changed(old) || self.activity.is_told(&old.activity)
    }

    fn write<M: SerializeMap>(&self, old: &ProviderState, map: &mut M) -> Result<(), M::Error> {
        self.write_changed(old, map)?;
        self.activity.write(&old.activity, map)
    }
}

#[cfg(test)]
mod tests;
