//! Questions: hosts, inventories, links, claims and auctions.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_telemetry::state::HostState;

use super::gather::Enough;
use super::{ControlClient, json, read};
use crate::message::{
    ActorAuctionAck, ActorAuctionRequest, ClaimsList, EntityEntry, HostInventory, HostSummary, InventoryPage,
    LinkDefinition, LinkDefinitionList, PageRequest, ProviderAuctionAck, ProviderAuctionRequest, StateAnswer,
    StatePage, WholeInventory,
};
use crate::outcome::Outcome;

/// How often an inventory that changes is read anew.
const ATTEMPTS: usize = 5;

/// The most entries of an inventory that are read.
const MOST_ENTRIES: usize = 1_000_000;

impl ControlClient {
    /// Returns the hosts of the lattice, in the order of their keys. It ends as soon as all hosts have answered that the others
    /// know of.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the connection is lost.
    pub async fn hosts(&self) -> Result<Vec<HostSummary>> {
        let mut hosts: BTreeMap<String, HostSummary> = BTreeMap::new();
        let (mut current, mut of_2021) = (usize::MAX, 0);
        // Hosts of 2021 answer the second question alone.
        let questions = vec![(self.subjects.summaries(), Bytes::new()), (self.subjects.hosts(), Bytes::new())];
        self.gather(questions, self.timeout, |answer| {
            let Some(summary) = summary(answer) else { return Enough::Unknown };
            if let Some(known) = summary.known_hosts {
                current = if current == usize::MAX { known } else { current.max(known) };
                of_2021 = of_2021.max(summary.known_hosts_of_2021);
            }
            if hosts.get(&summary.id).is_none_or(|known| known.version.is_none()) {
                hosts.insert(summary.id.clone(), summary);
            }
            let detailed = hosts.values().filter(|host| host.version.is_some()).count();
            let is_complete = detailed >= current && hosts.len() - detailed >= of_2021;
            if is_complete { Enough::Complete } else { Enough::Unknown }
        })
        .await?;
        Ok(hosts.into_values().collect())
    }

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

    /// Returns all that a host runs. Of a host of 2021 it returns what that tells.
    ///
    /// # Errors
    /// As [`inventory`](ControlClient::inventory); `Busy` if the inventory changes faster than it is read.
    pub async fn whole_inventory(&self, host: &str) -> Result<WholeInventory> {
        for _ in 0..ATTEMPTS {
            match self.read_pages(host).await {
                Ok(Some(inventory)) => return Ok(inventory),
                Ok(None) => {}
                // A host of 2021, or none at all: the other question tells.
                Err(error) if error.kind() == ErrorKind::LatticeUnavailable => {
                    return self.inventory(host).await.map(WholeInventory::from);
                }
                Err(error) => return Err(error),
            }
        }
        let message = format!("the inventory of host {host} changes faster than it is read: try again");
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Reads all pages, or returns `None` if the inventory has changed meanwhile.
    async fn read_pages(&self, host: &str) -> Result<Option<WholeInventory>> {
        let mut entries: Vec<EntityEntry> = Vec::new();
        let mut revision = None;
        loop {
            let request = PageRequest { offset: entries.len(), limit: None };
            let mut page = self.inventory_page(host, &request).await?;
            if *revision.get_or_insert(page.revision) != page.revision {
                return Ok(None);
            }
            let is_empty = page.entries.is_empty();
            entries.append(&mut page.entries);
            if page.next.is_none() || is_empty || entries.len() > MOST_ENTRIES {
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
    /// made of pages of several times. It then has no item twice, and may miss one that the next reading has.
    ///
    /// # Errors
    /// As [`state`](ControlClient::state).
    pub async fn whole_state(&self, host: &str, after: Option<u64>) -> Result<HostState> {
        let mut mixed = HostState::default();
        for _ in 0..ATTEMPTS {
            let (state, is_of_one_time) = self.read_state(host, after).await?;
            if is_of_one_time {
                return Ok(state);
            }
            mixed = state;
        }
        Ok(without_repetitions(mixed))
    }

    /// Reads all pages of a state. Returns also whether they are of one time.
    async fn read_state(&self, host: &str, after: Option<u64>) -> Result<(HostState, bool)> {
        let mut request = StatePage { after, ..StatePage::default() };
        let StateAnswer { mut state, mut next, .. } = self.state(host, &request).await?;
        let mut is_of_one_time = true;
        while let Some(offset) = next.filter(|next| (request.offset + 1..MOST_ENTRIES).contains(next)) {
            request.offset = offset;
            let mut page = self.state(host, &request).await?;
            is_of_one_time &= page.state.at == state.at;
            state.hosts.append(&mut page.state.hosts);
            state.actors.append(&mut page.state.actors);
            state.providers.append(&mut page.state.providers);
            state.links.append(&mut page.state.links);
            state.events.append(&mut page.state.events);
            (state.at, state.host, next) = (page.state.at, page.state.host, page.next);
        }
        Ok((state, is_of_one_time))
    }

    /// Returns the links that hosts know, in the order of their actors, contracts and names. Secret values are replaced by
    /// `(secret)`.
    ///
    /// # Errors
    /// `LatticeUnavailable` if there is no host.
    pub async fn links(&self) -> Result<Vec<LinkDefinition>> {
        let mut links: BTreeMap<(String, String, String), LinkDefinition> = BTreeMap::new();
        self.gather_lists(self.subjects.links(), |list: LinkDefinitionList| {
            for link in list.links {
                let key = (link.actor_id.clone(), link.contract_id.clone(), link.link_name.clone());
                links.entry(key).or_insert(link);
            }
        })
        .await?;
        Ok(links.into_values().collect())
    }

    /// Returns the claims of the actors that hosts know, in the order of the actors' keys.
    ///
    /// # Errors
    /// As [`links`](ControlClient::links).
    pub async fn claims(&self) -> Result<ClaimsList> {
        let mut claims = BTreeMap::new();
        self.gather_lists(self.subjects.claims(), |list: ClaimsList| {
            for values in list.claims {
                let subject = values.values.get("sub").cloned().unwrap_or_default();
                claims.entry(subject).or_insert(values);
            }
        })
        .await?;
        Ok(ClaimsList { claims: claims.into_values().collect() })
    }

    /// Asks all hosts for what each of them knows.
    async fn gather_lists<A: DeserializeOwned>(&self, subject: String, mut add: impl FnMut(A)) -> Result<()> {
        let mut answers = 0;
        let mut unreadable = None;
        self.gather(vec![(subject.clone(), Bytes::new())], self.timeout, |answer| {
            match read(answer) {
                Ok(list) => {
                    answers += 1;
                    add(list);
                }
                Err(error) => unreadable = Some(error),
            }
            Enough::Unknown
        })
        .await?;
        match (answers, unreadable) {
            (0, Some(error)) => Err(error),
            (0, None) => Err(Error::new(
                ErrorKind::LatticeUnavailable,
                format!("no host answers on {subject}: check that hosts run in this namespace"),
            )),
            _ => Ok(()),
        }
    }

    /// Asks which hosts could run an actor. They are in the order of their answers. It ends shortly after the last answer, and
    /// takes the whole timeout only if hosts of 2021 alone are there.
    ///
    /// # Errors
    /// `InvalidArgument` if a host finds the request malformed; `LatticeUnavailable` if the connection is lost.
    pub async fn auction_actor(
        &self,
        actor_ref: &str,
        constraints: BTreeMap<String, String>,
    ) -> Result<Vec<ActorAuctionAck>> {
        let request = ActorAuctionRequest { actor_ref: actor_ref.to_owned(), constraints };
        self.auction(self.subjects.actor_auction(), json(&request)?).await
    }

    /// Asks which hosts could run a provider under a link name. They are in the order of their answers.
    ///
    /// # Errors
    /// As [`auction_actor`](ControlClient::auction_actor).
    pub async fn auction_provider(
        &self,
        provider_ref: &str,
        link_name: &str,
        constraints: BTreeMap<String, String>,
    ) -> Result<Vec<ProviderAuctionAck>> {
        let (provider_ref, link_name) = (provider_ref.to_owned(), link_name.to_owned());
        let request = ProviderAuctionRequest { provider_ref, link_name, constraints };
        self.auction(self.subjects.provider_auction(), json(&request)?).await
    }

    async fn auction<A: DeserializeOwned>(&self, subject: String, request: Bytes) -> Result<Vec<A>> {
        let mut acks = Vec::new();
        let mut refusal = None;
        // Current hosts answer the second question in any case, so that their silence about the first one is soon known.
        let questions = vec![(subject, request), (self.subjects.summaries(), Bytes::new())];
        self.gather(questions, self.timeout, |answer| {
            match read(answer) {
                Ok(ack) => acks.push(ack),
                Err(_) if summary(answer).is_some() => {}
                Err(error) => refusal = Some(error),
            }
            Enough::Unknown
        })
        .await?;
        match refusal {
            Some(refusal) if acks.is_empty() => Err(refusal),
            _ => Ok(acks),
        }
    }

    /// Returns the key of the only host of the lattice, for requests that name none.
    ///
    /// # Errors
    /// `LatticeUnavailable` if there is none; `InvalidArgument` with the keys if there are several.
    pub async fn only_host(&self) -> Result<String> {
        let hosts = self.hosts().await?;
        match hosts.as_slice() {
            [host] => Ok(host.id.clone()),
            [] => {
                let message = format!("no host answers in namespace {}", self.subjects.namespace());
                Err(Error::new(ErrorKind::LatticeUnavailable, message))
            }
            several => {
                let keys: Vec<&str> = several.iter().map(|host| host.id.as_str()).collect();
                let message = format!("there are several hosts: name one of {}", keys.join(", "));
                Err(Error::new(ErrorKind::InvalidArgument, message))
            }
        }
    }
}

/// Reads an answer to either question about hosts. The plain one has some of the fields of the other.
fn summary(answer: &[u8]) -> Option<HostSummary> {
    if let Ok(Outcome { failure: Some(_), .. }) = serde_json::from_slice(answer) {
        return None;
    }
    serde_json::from_slice(answer).ok()
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
