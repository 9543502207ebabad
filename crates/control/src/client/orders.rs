//! Orders: what changes hosts and links.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmcloud_core::entity::link_name;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{ControlClient, MARGIN};
use crate::message::{
    CommandAck, HostCommand, LabelsCommand, LinkDefinition, LinkValues, ManifestAck, ManifestCommand, PutLinkCommand,
    RemoveLinkCommand, ScaleActorCommand, StartActorAck, StartActorCommand, StartProviderAck, StartProviderCommand,
    StopAck, StopActorCommand, StopProviderCommand, UpdateActorAck, UpdateActorCommand,
};
use crate::outcome::{Outcome, RequestOptions, Settled};
use crate::subject::Command;

/// Each method returns once the host has carried the order out, or has accepted it and needs longer. The errors are those of
/// the host. Others are `LatticeUnavailable` if no such host is there, `Unauthorized` if the host wants a token of one of its
/// issuers, `DeadlineExceeded` if the host does not answer, and `InvalidArgument` for a malformed host key.
impl ControlClient {
    /// Starts an actor by its reference in a registry. Default number of instances: 1.
    ///
    /// # Errors
    /// As all orders, and those of the start.
    pub async fn start_actor(&self, host: &str, actor_ref: &str, instances: Option<usize>) -> Result<Settled> {
        let (host_id, actor_ref) = (host.to_owned(), actor_ref.to_owned());
        let request = StartActorCommand { actor_ref, host_id, instances, options: self.options() };
        let ack: StartActorAck = self.command(host, Command::StartActor, &request).await?;
        ack.outcome.settled()
    }

    /// Stops an actor, by its public key or the reference that it was started by.
    ///
    /// # Errors
    /// As all orders, and those of the stop.
    pub async fn stop_actor(&self, host: &str, actor_ref: &str) -> Result<Settled> {
        let (host_id, actor_ref) = (host.to_owned(), actor_ref.to_owned());
        let request = StopActorCommand { host_id, actor_ref, options: self.options() };
        let ack: StopAck = self.command(host, Command::StopActor, &request).await?;
        ack.outcome.settled()
    }

    /// Replaces an actor with the revision that a reference leads to.
    ///
    /// # Errors
    /// As all orders, and those of the update.
    pub async fn update_actor(&self, host: &str, actor_id: &str, new_actor_ref: &str) -> Result<Settled> {
        let (host_id, actor_id, new_actor_ref) = (host.to_owned(), actor_id.to_owned(), new_actor_ref.to_owned());
        let request = UpdateActorCommand { host_id, actor_id, new_actor_ref, options: self.options() };
        let ack: UpdateActorAck = self.command(host, Command::UpdateActor, &request).await?;
        Outcome::from(ack).settled()
    }

    /// Changes the number of an actor's instances.
    ///
    /// # Errors
    /// As all orders, and those of the change.
    pub async fn scale_actor(&self, host: &str, actor_ref: &str, instances: usize) -> Result<Settled> {
        let request = ScaleActorCommand { actor_ref: actor_ref.to_owned(), instances, options: self.options() };
        self.host_command(host, Command::Scale, &request).await
    }

    /// Starts a provider by its reference in a registry, or as `builtin:` and the name of one that comes with the host.
    ///
    /// # Errors
    /// As all orders, and those of the start.
    pub async fn start_provider(&self, host: &str, provider_ref: &str, link: Option<&str>) -> Result<Settled> {
        let request = StartProviderCommand {
            host_id: host.to_owned(),
            provider_ref: provider_ref.to_owned(),
            link_name: link_name(link).to_owned(),
            options: self.options(),
        };
        let ack: StartProviderAck = self.command(host, Command::StartProvider, &request).await?;
        ack.outcome.settled()
    }

    /// Stops a provider, by its public key or the reference that it was started by. An empty contract stands for the one that
    /// it serves.
    ///
    /// # Errors
    /// As all orders, and those of the stop.
    pub async fn stop_provider(
        &self,
        host: &str,
        provider_ref: &str,
        link: Option<&str>,
        contract_id: &str,
    ) -> Result<Settled> {
        let request = StopProviderCommand {
            host_id: host.to_owned(),
            provider_ref: provider_ref.to_owned(),
            link_name: link_name(link).to_owned(),
            contract_id: contract_id.to_owned(),
            options: self.options(),
        };
        let ack: StopAck = self.command(host, Command::StopProvider, &request).await?;
        ack.outcome.settled()
    }

    /// Sets and removes labels of a host.
    ///
    /// # Errors
    /// As all orders; `InvalidArgument` for a label that is the host's own.
    pub async fn set_labels(&self, host: &str, set: BTreeMap<String, String>, remove: Vec<String>) -> Result<Settled> {
        let request = LabelsCommand { set, remove, options: self.options() };
        self.host_command(host, Command::Labels, &request).await
    }

    /// Makes a host accept nothing new from the lattice.
    ///
    /// # Errors
    /// As all orders.
    pub async fn cordon(&self, host: &str) -> Result<Settled> {
        self.host_command(host, Command::Cordon, &self.of_host(None)).await
    }

    /// Makes a host accept calls and starts from the lattice again.
    ///
    /// # Errors
    /// As all orders.
    pub async fn uncordon(&self, host: &str) -> Result<Settled> {
        self.host_command(host, Command::Uncordon, &self.of_host(None)).await
    }

    /// Cordons a host and waits for the calls of the lattice that are in progress. Default of the limit: the grace period of
    /// the host.
    ///
    /// # Errors
    /// As all orders; `DeadlineExceeded` if calls are still in progress. The host stays cordoned.
    pub async fn drain(&self, host: &str, limit: Option<Duration>) -> Result<Settled> {
        self.host_command(host, Command::Drain, &self.of_host(limit)).await
    }

    /// Stops a host. It is always accepted first: the event `host_stopped` tells the end.
    ///
    /// # Errors
    /// As all orders.
    pub async fn stop_host(&self, host: &str) -> Result<Settled> {
        self.host_command(host, Command::Stop, &self.of_host(None)).await
    }

    /// Sets a link. One host of the lattice carries it out. The answer of the provider is part of the outcome only if that host
    /// runs an end of the link: see [`put_link_on`](ControlClient::put_link_on).
    ///
    /// # Errors
    /// As all orders, and those of the link.
    pub async fn put_link(&self, link: &LinkDefinition) -> Result<Settled> {
        self.send_link(self.subjects.put_link(), link).await
    }

    /// Sets a link on a host. If that host runs the provider, the provider's answer is part of the outcome.
    ///
    /// # Errors
    /// As all orders, and those of the link.
    pub async fn put_link_on(&self, host: &str, link: &LinkDefinition) -> Result<Settled> {
        self.send_link(self.subjects.command(host, Command::PutLink)?, link).await
    }

    async fn send_link(&self, subject: String, link: &LinkDefinition) -> Result<Settled> {
        let LinkDefinition { actor_id, provider_id, link_name, contract_id, values } = link.clone();
        let values = LinkValues(values);
        let options = self.options();
        let request = PutLinkCommand { actor_id, provider_id, link_name, contract_id, values, options };
        let ack: CommandAck = self.order(subject, &request).await?;
        ack.outcome.settled()
    }

    /// Removes a link. One host of the lattice carries it out.
    ///
    /// # Errors
    /// As all orders; `NotLinked` if there is no such link.
    pub async fn remove_link(&self, actor_id: &str, contract_id: &str, link: Option<&str>) -> Result<Settled> {
        let request = RemoveLinkCommand {
            actor_id: actor_id.to_owned(),
            contract_id: contract_id.to_owned(),
            link_name: link_name(link).to_owned(),
            options: self.options(),
        };
        let ack: CommandAck = self.order(self.subjects.remove_link(), &request).await?;
        ack.outcome.settled()
    }

    /// Returns the difference between a manifest, in JSON, and what a host runs. `limit` bounds the plan, which may pull from
    /// registries.
    ///
    /// # Errors
    /// As all orders, and those of the plan; `DeadlineExceeded` if it takes longer than `limit`.
    pub async fn plan(&self, host: &str, manifest: Value, prune: bool, limit: Duration) -> Result<Value> {
        let ack = self.manifest(host, Command::Plan, manifest, prune, limit).await?;
        match ack.outcome.settled()? {
            Settled::Done => Ok(ack.result.unwrap_or_default()),
            Settled::Accepted { .. } => {
                let message = format!("host {host} has no plan after {limit:?}: give it more time");
                Err(Error::new(ErrorKind::DeadlineExceeded, message))
            }
        }
    }

    /// Applies a manifest, in JSON. `outcome` tells whether all of it was applied, and `result` what was changed, also if a
    /// part failed. If the host needs longer than `limit`, the event `request_finished` tells both.
    ///
    /// # Errors
    /// As all orders. The failures of the application are part of the acknowledgement.
    pub async fn apply(&self, host: &str, manifest: Value, prune: bool, limit: Duration) -> Result<ManifestAck> {
        self.manifest(host, Command::Apply, manifest, prune, limit).await
    }

    async fn manifest(
        &self,
        host: &str,
        command: Command,
        manifest: Value,
        prune: bool,
        limit: Duration,
    ) -> Result<ManifestAck> {
        let wait_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let options = RequestOptions { wait_ms: Some(wait_ms), ..self.options() };
        let request = ManifestCommand { manifest, prune, options };
        let subject = self.subjects.command(host, command)?;
        self.exchange(subject, &request, limit.saturating_add(MARGIN), true).await
    }

    /// Gives an order that 2021 did not know.
    async fn host_command<Q: Serialize>(&self, host: &str, command: Command, request: &Q) -> Result<Settled> {
        let ack: CommandAck = self.command(host, command, request).await?;
        ack.outcome.settled()
    }

    async fn command<Q: Serialize, A: DeserializeOwned>(&self, host: &str, command: Command, request: &Q) -> Result<A> {
        self.order(self.subjects.command(host, command)?, request).await
    }

    async fn order<Q: Serialize, A: DeserializeOwned>(&self, subject: String, request: &Q) -> Result<A> {
        let limit = self.timeout.max(self.wait) + MARGIN;
        self.exchange(subject, request, limit, true).await
    }

    fn of_host(&self, limit: Option<Duration>) -> HostCommand {
        let limit_ms = limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        HostCommand { limit_ms, options: self.options() }
    }

    /// Returns what each order carries: an identifier of its own, and how long the host waits for the outcome.
    fn options(&self) -> RequestOptions {
        let wait_ms = u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX);
        RequestOptions { request: Some(uuid::Uuid::new_v4().to_string()), wait_ms: Some(wait_ms) }
    }
}
