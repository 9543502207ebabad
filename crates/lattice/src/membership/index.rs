//! Which hosts run an entity, as their inventories tell.

use std::collections::{BTreeSet, HashMap};

use super::inventory::{Inventory, InventoryEntity};

/// The most entries of all hosts.
const MOST_ENTRIES: usize = 1_000_000;

/// The entities of hosts, found by entity.
#[derive(Debug, Default)]
pub(super) struct Index {
    hosts: HashMap<String, Known>,
    by_entity: HashMap<String, BTreeSet<String>>,
    entries: usize,
}

/// What is known of a host.
#[derive(Debug)]
struct Known {
    incarnation: u64,
    version: u64,
    entities: Vec<String>,
    is_complete: bool,
}

/// Returns the key of an actor, or of a provider under a link name.
pub(super) fn entity_key(id: &str, link_name: Option<&str>) -> String {
    match link_name {
        Some(link_name) => format!("{id}.{link_name}"),
        None => id.to_owned(),
    }
}

impl Index {
    /// Returns whether this version of a host's inventory is known.
    pub(super) fn has(&self, host: &str, incarnation: u64, version: u64) -> bool {
        let known = self.hosts.get(host);
        known.is_some_and(|known| known.incarnation == incarnation && known.version == version)
    }

    /// Returns whether all that a host runs is known, in this version.
    pub(super) fn is_complete(&self, host: &str, incarnation: u64, version: u64) -> bool {
        self.has(host, incarnation, version) && self.hosts.get(host).is_some_and(|known| known.is_complete)
    }

    /// Replaces what is known of a host. What exceeds the bound is not kept, and the host is incomplete.
    pub(super) fn set(&mut self, host: &str, incarnation: u64, inventory: &Inventory) {
        self.remove(host);
        let key = |entity: &InventoryEntity| entity_key(&entity.id, entity.link_name.as_deref());
        let room = MOST_ENTRIES - self.entries;
        let entities: Vec<String> = inventory.entities.iter().take(room).map(key).collect();
        for entity in &entities {
            self.by_entity.entry(entity.clone()).or_default().insert(host.to_owned());
        }
        self.entries += entities.len();
        let is_complete = !inventory.is_truncated && entities.len() == inventory.entities.len();
        let known = Known { incarnation, version: inventory.version, entities, is_complete };
        self.hosts.insert(host.to_owned(), known);
    }

    /// Forgets a host.
    pub(super) fn remove(&mut self, host: &str) {
        let Some(known) = self.hosts.remove(host) else { return };
        self.entries -= known.entities.len();
        for entity in known.entities {
            if let Some(hosts) = self.by_entity.get_mut(&entity) {
                hosts.remove(host);
                if hosts.is_empty() {
                    self.by_entity.remove(&entity);
                }
            }
        }
    }

    /// Returns the entities that a host runs, as far as they are known.
    pub(super) fn entities_of(&self, host: &str) -> impl Iterator<Item = &String> {
        self.hosts.get(host).into_iter().flat_map(|known| &known.entities)
    }

    /// Returns the hosts that run an entity.
    pub(super) fn hosts_of(&self, entity: &str) -> impl Iterator<Item = &String> {
        self.by_entity.get(entity).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(version: u64, ids: &[&str]) -> Inventory {
        let entity = |id: &&str| InventoryEntity { id: (*id).to_owned(), ..InventoryEntity::default() };
        Inventory { version, entities: ids.iter().map(entity).collect(), ..Inventory::default() }
    }

    fn hosts(index: &Index, entity: &str) -> Vec<String> {
        index.hosts_of(entity).cloned().collect()
    }

    #[test]
    fn hosts_are_found_by_what_they_run_now() {
        let mut index = Index::default();
        index.set("N1", 1, &inventory(1, &["a", "b"]));
        index.set("N2", 1, &inventory(1, &["b"]));
        assert_eq!((hosts(&index, "a"), hosts(&index, "b")), (vec!["N1".into()], vec!["N1".into(), "N2".into()]));
        index.set("N1", 1, &inventory(2, &["c"]));
        assert_eq!((hosts(&index, "a").len(), hosts(&index, "b"), index.entries), (0, vec!["N2".into()], 2));
        assert!(index.is_complete("N1", 1, 2) && !index.has("N1", 1, 1) && !index.has("N1", 2, 2));
        index.remove("N1");
        index.remove("N2");
        assert!(index.by_entity.is_empty() && index.hosts.is_empty() && index.entries == 0);
    }

    #[test]
    fn what_exceeds_the_bound_is_said() {
        let mut index = Index { entries: MOST_ENTRIES - 1, ..Index::default() };
        index.set("N1", 1, &inventory(1, &["a", "b"]));
        assert_eq!((hosts(&index, "a").len(), hosts(&index, "b").len()), (1, 0));
        assert!(index.has("N1", 1, 1) && !index.is_complete("N1", 1, 1));
    }
}
