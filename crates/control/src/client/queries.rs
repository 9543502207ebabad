//! Questions: hosts, links, claims and auctions.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::gather::Enough;
use super::{ControlClient, json, read};
use crate::message::{
    ActorAuctionAck, ActorAuctionRequest, ClaimsList, HostSummary, LinkDefinition, LinkDefinitionList,
    ProviderAuctionAck, ProviderAuctionRequest,
};
use crate::outcome::Outcome;

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
