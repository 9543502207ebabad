//! Questions to one host: its inventory and its state.

use std::collections::HashSet;

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_telemetry::state::HostState;

use super::reading::{PageHead, Reading};
use super::{ControlClient, json, read};
use crate::message::{EntityEntry, HostInventory, InventoryPage, PageRequest, StateAnswer, StatePage, WholeInventory};

/// How often what changes is read anew.
const ATTEMPTS: usize = 5;

impl ControlClient {
    /// Returns the inventory of a host, as in 2021. What does not fit into a message is left out: see
    /// [`whole_inventory`](ControlClient::whole_inventory).
    ///
    /// # Errors
    /// `LatticeUnavailable` if there is no such host, `DeadlineExceeded` if it does not answer.
    pub async fn inventory(&self, host: &str) -> Result<HostInventory> {
        let answer = self.ask(self.subjects.inventory(host)?, Bytes::new(), self.timeout, false).await?;
        read(&answer)
    }

    /// Returns a page of an inventory.
    ///
    /// # Errors
    /// As [`inventory`](ControlClient::inventory). Hosts of 2021 have no pages.
    pub async fn inventory_page(&self, host: &str, request: &PageRequest) -> Result<InventoryPage> {
        self.exchange(self.subjects.inventory_page(host)?, request, self.timeout, false).await
    }

    /// Returns all that a host runs. Of a host of 2021 it returns what that tells. It takes five times the timeout at most.
    ///
    /// # Errors
    /// As [`inventory`](ControlClient::inventory); `Busy` if the inventory changes faster than it is read; `MessageTooLarge` if
    /// it exceeds 128 MiB; `LatticeRefused` if it is that of another host.
    pub async fn whole_inventory(&self, host: &str) -> Result<WholeInventory> {
        self.within_timeouts("inventory", host, self.read_inventory(host)).await
    }

    async fn read_inventory(&self, host: &str) -> Result<WholeInventory> {
        for _ in 0..ATTEMPTS {
            match self.read_pages(host).await {
                Ok(Some(inventory)) => return Ok(inventory),
                Ok(None) => {}
                // A host of 2021, or none at all: the other question tells.
                Err(error) if error.kind() == ErrorKind::LatticeUnavailable => {
                    let inventory = self.inventory(host).await?;
                    let head = PageHead { host: &inventory.host_id, entries: 0, bytes: 0 };
                    Reading::new("inventory", host).add(&head)?;
                    return Ok(inventory.into());
                }
                Err(error) => return Err(error),
            }
        }
        let message = format!("the inventory of host {host} changes faster than it is read: try again");
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Reads all pages, or returns `None` if the inventory has changed meanwhile.
    async fn read_pages(&self, host: &str) -> Result<Option<WholeInventory>> {
        let mut reading = Reading::new("inventory", host);
        let mut entries: Vec<EntityEntry> = Vec::new();
        let mut revision = None;
        loop {
            let request = PageRequest { offset: entries.len(), limit: None };
            let answer = self.page(self.subjects.inventory_page(host)?, json(&request)?).await?;
            let mut page: InventoryPage = read(&answer)?;
            let count = page.entries.len();
            reading.add(&PageHead { host: &page.host_id, entries: count, bytes: answer.len() })?;
            if *revision.get_or_insert(page.revision) != page.revision {
                return Ok(None);
            }
            entries.append(&mut page.entries);
            if page.next.is_none() || count == 0 {
                return Ok(Some(whole(page, entries)));
            }
        }
    }

    /// Returns a page of the state that the dashboard of a host shows.
    ///
    /// # Errors
    /// As [`inventory`](ControlClient::inventory); `Unsupported` for hosts without telemetry. Hosts of 2021 have no state.
    pub async fn state(&self, host: &str, request: &StatePage) -> Result<StateAnswer> {
        self.exchange(self.subjects.state(host)?, request, self.timeout, false).await
    }

    /// Returns the whole state of a host, with its events after `after`. A state that changes faster than its pages are read is
    /// made of pages of several times. It then has no item twice, and may miss one that the next reading has. It takes five
    /// times the timeout at most.
    ///
    /// # Errors
    /// As [`state`](ControlClient::state); `MessageTooLarge` if it exceeds 128 MiB; `LatticeRefused` if it is that of another
    /// host.
    pub async fn whole_state(&self, host: &str, after: Option<u64>) -> Result<HostState> {
        self.within_timeouts("state", host, self.read_states(host, after)).await
    }

    async fn read_states(&self, host: &str, after: Option<u64>) -> Result<HostState> {
        let mut mixed = HostState::default();
        for _ in 0..ATTEMPTS {
            let read = self.read_state(host, after).await?;
            if read.is_of_one_time {
                return Ok(read.state);
            }
            mixed = read.state;
        }
        Ok(without_repetitions(mixed))
    }

    /// Reads all pages of a state.
    async fn read_state(&self, host: &str, after: Option<u64>) -> Result<ReadState> {
        let mut reading = Reading::new("state", host);
        let mut request = StatePage { after, ..StatePage::default() };
        let mut whole: Option<ReadState> = None;
        loop {
            let answer = self.page(self.subjects.state(host)?, json(&request)?).await?;
            let StateAnswer { state: page, next, .. } = read(&answer)?;
            reading.add(&PageHead { host: &page.host.id, entries: entries_of(&page), bytes: answer.len() })?;
            let read = match whole {
                None => ReadState { state: page, is_of_one_time: true },
                Some(read) => read.with(page),
            };
            // Pages that do not go on have come to their end.
            match next.filter(|next| *next > request.offset) {
                Some(offset) => request.offset = offset,
                None => return Ok(read),
            }
            whole = Some(read);
        }
    }
}

/// A state that was read in pages.
struct ReadState {
    state: HostState,
    /// Whether its pages are of one time.
    is_of_one_time: bool,
}

impl ReadState {
    /// Adds the next page.
    fn with(self, mut page: HostState) -> ReadState {
        let ReadState { mut state, mut is_of_one_time } = self;
        is_of_one_time &= page.at == state.at;
        state.hosts.append(&mut page.hosts);
        state.actors.append(&mut page.actors);
        state.providers.append(&mut page.providers);
        state.links.append(&mut page.links);
        state.events.append(&mut page.events);
        (state.at, state.host) = (page.at, page.host);
        ReadState { state, is_of_one_time }
    }
}

/// Returns the number of entries of a page.
fn entries_of(page: &HostState) -> usize {
    page.hosts.len() + page.actors.len() + page.providers.len() + page.links.len() + page.events.len()
}

/// Keeps the first of items with the same key.
fn without_repetitions(mut state: HostState) -> HostState {
    let mut seen = HashSet::new();
    let mut is_new = |list: &str, key: &str| seen.insert(format!("{list} {key}"));
    state.hosts.retain(|host| is_new("host", &host.id));
    state.actors.retain(|actor| is_new("actor", &actor.id));
    state.providers.retain(|provider| is_new("provider", &provider.key));
    state.links.retain(|link| is_new("link", &link.key));
    state.events.retain(|event| is_new("event", &event.sequence.to_string()));
    state
}

fn whole(page: InventoryPage, entries: Vec<EntityEntry>) -> WholeInventory {
    let (actors, providers) = entries.into_iter().partition(|entry| entry.kind == "actor");
    WholeInventory {
        host_id: page.host_id,
        version: Some(page.version),
        uptime: Some(page.uptime),
        labels: page.labels,
        cordoned: page.cordoned,
        limits: Some(page.limits),
        actors,
        providers,
    }
}

impl From<HostInventory> for WholeInventory {
    /// Returns what the inventory of 2021 tells. All that it lists runs.
    fn from(inventory: HostInventory) -> WholeInventory {
        let HostInventory { host_id, labels, actors, providers } = inventory;
        let entry = |kind: &str, id, name, image_ref, revision| EntityEntry {
            kind: kind.to_owned(),
            id,
            name,
            image_ref,
            revision,
            state: "running".to_owned(),
            ..EntityEntry::default()
        };
        let actors =
            actors.into_iter().map(|actor| entry("actor", actor.id, actor.name, actor.image_ref, actor.revision));
        let providers = providers.into_iter().map(|provider| EntityEntry {
            link_name: Some(provider.link_name),
            ..entry("provider", provider.id, provider.name, provider.image_ref, provider.revision)
        });
        WholeInventory {
            host_id,
            labels,
            actors: actors.collect(),
            providers: providers.collect(),
            ..WholeInventory::default()
        }
    }
}
