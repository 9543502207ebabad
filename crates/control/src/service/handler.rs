//! What a host supplies to its control interface.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use wasmcloud_core::error::{Error, Result};
use wasmcloud_telemetry::state::HostState;

use crate::event::{ControlEvent, kinds};
use crate::message::{
    ActorAuctionRequest, HostSummary, InventoryPage, LabelsCommand, ManifestCommand, PageRequest,
    ProviderAuctionRequest, PutLinkCommand, RemoveLinkCommand, ScaleActorCommand, StartActorCommand,
    StartProviderCommand, StopActorCommand, StopProviderCommand, UpdateActorCommand,
};
use crate::message::{CommandAck, HostCommand, ManifestAck, StartActorAck, StartProviderAck, StopAck, UpdateActorAck};
use crate::outcome::{Outcome, RequestOptions};

/// An order that is being carried out.
pub type Work = Pin<Box<dyn Future<Output = Carried> + Send>>;

/// How an order ended.
#[derive(Debug, Default)]
pub struct Carried {
    /// What a plan or an application of a manifest returns, also if a part of it failed.
    pub result: Option<Value>,
    /// Why the order failed.
    pub failure: Option<Error>,
}

impl From<Result<()>> for Carried {
    fn from(outcome: Result<()>) -> Carried {
        Carried { result: None, failure: outcome.err() }
    }
}

/// Answers questions and carries out orders. All but the work is called on the thread of the lattice and must not block.
pub trait ControlHandler: Send + Sync + 'static {
    /// Returns what the host tells about itself.
    fn summary(&self) -> HostSummary;

    /// Returns a page of the inventory: the entries from the offset on, up to the limit of the request. The service leaves out
    /// what does not fit into a message.
    fn page(&self, request: &PageRequest) -> InventoryPage;

    /// Returns the state that the dashboard shows.
    ///
    /// # Errors
    /// Why it cannot be told, such as `Unsupported` for a host without telemetry.
    fn state(&self) -> Result<Arc<HostState>>;

    /// Returns whether the host could run an actor.
    fn can_run_actor(&self, request: &ActorAuctionRequest) -> bool;

    /// Returns whether the host could run a provider.
    fn can_run_provider(&self, request: &ProviderAuctionRequest) -> bool;

    /// Begins to carry an order out.
    fn carry_out(self: Arc<Self>, order: Order) -> Work;

    /// Takes note of the failure of an order, to tell it in the events of 2021.
    fn failed(&self, order: &Order, error: &Error);
}

/// An order to a host.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Order {
    /// Starts an actor.
    StartActor(StartActorCommand),
    /// Stops an actor.
    StopActor(StopActorCommand),
    /// Replaces an actor with another revision.
    UpdateActor(UpdateActorCommand),
    /// Starts a provider.
    StartProvider(StartProviderCommand),
    /// Stops a provider.
    StopProvider(StopProviderCommand),
    /// Changes the number of an actor's instances.
    Scale(ScaleActorCommand),
    /// Sets and removes labels.
    Labels(LabelsCommand),
    /// Makes the host accept nothing new from the lattice.
    Cordon(HostCommand),
    /// Reverts a cordon.
    Uncordon(HostCommand),
    /// Cordons the host and waits for calls in progress.
    Drain(HostCommand),
    /// Stops the host.
    Stop(HostCommand),
    /// Returns the difference between a manifest and what runs.
    Plan(ManifestCommand),
    /// Applies a manifest.
    Apply(ManifestCommand),
    /// Sets a link.
    PutLink(PutLinkCommand),
    /// Removes a link.
    RemoveLink(RemoveLinkCommand),
}

impl Order {
    /// Returns the name of the order in events and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Order::StartActor(_) => "start_actor",
            Order::StopActor(_) => "stop_actor",
            Order::UpdateActor(_) => "update_actor",
            Order::StartProvider(_) => "start_provider",
            Order::StopProvider(_) => "stop_provider",
            Order::Scale(_) => "scale",
            Order::Labels(_) => "labels",
            Order::Cordon(_) => "cordon",
            Order::Uncordon(_) => "uncordon",
            Order::Drain(_) => "drain",
            Order::Stop(_) => "stop",
            Order::Plan(_) => "plan",
            Order::Apply(_) => "apply",
            Order::PutLink(_) => "put_link",
            Order::RemoveLink(_) => "remove_link",
        }
    }

    /// Returns what the request carries beside the order.
    pub(super) fn options(&self) -> &RequestOptions {
        match self {
            Order::StartActor(command) => &command.options,
            Order::StopActor(command) => &command.options,
            Order::UpdateActor(command) => &command.options,
            Order::StartProvider(command) => &command.options,
            Order::StopProvider(command) => &command.options,
            Order::Scale(command) => &command.options,
            Order::Labels(command) => &command.options,
            Order::Cordon(command) | Order::Uncordon(command) | Order::Drain(command) | Order::Stop(command) => {
                &command.options
            }
            Order::Plan(command) | Order::Apply(command) => &command.options,
            Order::PutLink(command) => &command.options,
            Order::RemoveLink(command) => &command.options,
        }
    }

    /// Returns an event about the order.
    pub(super) fn event(&self, kind: &str, request: &str) -> ControlEvent {
        let mut event = ControlEvent::new(kind).with("order", self.name());
        event.request = Some(request.to_owned());
        match self {
            Order::StartActor(command) => event.image_ref = Some(command.actor_ref.clone()),
            Order::UpdateActor(command) => {
                event.actor = Some(command.actor_id.clone());
                event.image_ref = Some(command.new_actor_ref.clone());
            }
            Order::StartProvider(command) => {
                event.image_ref = Some(command.provider_ref.clone());
                event.link_name = Some(command.link_name.clone());
            }
            Order::PutLink(command) => {
                event.actor = Some(command.actor_id.clone());
                event.provider = Some(command.provider_id.clone());
                event.contract_id = Some(command.contract_id.clone());
            }
            _ => {}
        }
        event
    }

    /// Returns the kind of the event that tells of the failure of the order, if it has one of its own.
    pub(super) fn failure_kind(&self) -> Option<&'static str> {
        match self {
            Order::StartActor(_) => Some(kinds::ACTOR_START_FAILED),
            Order::StartProvider(_) => Some(kinds::PROVIDER_START_FAILED),
            Order::UpdateActor(_) => Some(kinds::UPDATE_REFUSED),
            _ => None,
        }
    }

    /// Returns the acknowledgement in the form that the subject of the order uses.
    pub(super) fn acknowledgement(&self, host: &str, outcome: Outcome, result: Option<Value>) -> Acknowledgement {
        let host_id = host.to_owned();
        match self {
            Order::StartActor(command) => {
                let actor_ref = command.actor_ref.clone();
                Acknowledgement::StartActor(StartActorAck { host_id, actor_ref, outcome })
            }
            Order::StartProvider(command) => {
                let provider_ref = command.provider_ref.clone();
                Acknowledgement::StartProvider(StartProviderAck { host_id, provider_ref, outcome })
            }
            Order::StopActor(_) | Order::StopProvider(_) => Acknowledgement::Stop(StopAck { outcome }),
            Order::UpdateActor(_) => Acknowledgement::Update(outcome.into()),
            Order::Plan(_) | Order::Apply(_) => Acknowledgement::Manifest(ManifestAck { host_id, result, outcome }),
            _ => Acknowledgement::Other(CommandAck { host_id, outcome }),
        }
    }
}

/// The acknowledgement of an order.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Acknowledgement {
    StartActor(StartActorAck),
    StartProvider(StartProviderAck),
    Stop(StopAck),
    Update(UpdateActorAck),
    Manifest(ManifestAck),
    Other(CommandAck),
}
