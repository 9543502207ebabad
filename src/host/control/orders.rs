//! Carries out orders of operators.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wasmcloud_control::message::{
    HostCommand, LabelsCommand, ManifestCommand, PutLinkCommand, RemoveLinkCommand, ScaleActorCommand,
    StartActorCommand, StartProviderCommand, StopProviderCommand, UpdateActorCommand,
};
use wasmcloud_control::{Carried, Order};
use wasmcloud_core::entity::link_name;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::Image;
use wasmcloud_lattice::EraEvent;

use super::auctions::{builtin_name, expect_image, expect_no_actor, expect_no_provider, expect_open};
use crate::event::EventKind;
use crate::host::Host;
use crate::manifest::{ApplyOptions, HostManifest};
use crate::supervisor::Command;
use crate::supervisor::placement::ActorOptions;

/// Carries out an order.
pub(super) async fn carry_out(host: Host, order: Order) -> Carried {
    let outcome = match order {
        Order::StartActor(command) => start_actor(&host, command).await,
        Order::StopActor(command) => host.stop_actor(&command.actor_ref).await,
        Order::UpdateActor(command) => update_actor(&host, command).await,
        Order::StartProvider(command) => start_provider(&host, command).await,
        Order::StopProvider(command) => stop_provider(&host, command).await,
        Order::Scale(command) => scale(&host, command).await,
        Order::Labels(command) => set_labels(&host, command).await,
        Order::Cordon(_) => host.cordon().await,
        Order::Uncordon(_) => host.uncordon().await,
        Order::Drain(command) => drain(&host, command).await,
        Order::Stop(_) => {
            host.stop().await;
            Ok(())
        }
        Order::Plan(command) => return plan(&host, command).await.unwrap_or_else(failed),
        Order::Apply(command) => return apply(&host, command).await.unwrap_or_else(failed),
        Order::PutLink(command) => put_link(&host, command).await,
        Order::RemoveLink(command) => remove_link(&host, command).await,
        other => {
            let message = format!("host {} does not know the order {}", host.id(), other.name());
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    };
    outcome.into()
}

fn failed(failure: Error) -> Carried {
    Carried { result: None, failure: Some(failure) }
}

async fn start_actor(host: &Host, command: StartActorCommand) -> Result<()> {
    expect_open(host)?;
    expect_image(host, &command.actor_ref)?;
    expect_no_actor(host, &command.actor_ref)?;
    let options = command.instances.map_or_else(ActorOptions::new, |count| ActorOptions::new().instances(count));
    host.start_actor_from_registry_with(&command.actor_ref, options).await
}

async fn update_actor(host: &Host, command: UpdateActorCommand) -> Result<()> {
    let UpdateActorCommand { actor_id, new_actor_ref, .. } = command;
    let key = host.running_actor(&actor_id);
    let not_here =
        || Error::new(ErrorKind::ActorNotFound, format!("actor {actor_id} does not run on host {}", host.id()));
    let old =
        host.0.dispatch.snapshot().actors.get(key.as_str()).map(|actor| actor.identity.clone()).ok_or_else(not_here)?;
    let fetched = match expect_image(host, &new_actor_ref) {
        Ok(()) => host.fetch_actor(&new_actor_ref).await,
        Err(refusal) => Err(refusal),
    };
    let fetched = fetched.inspect_err(|refusal| {
        let reason = refusal.to_string();
        host.0.dispatch.events().emit(old.subject(), EventKind::UpdateRefused { reason });
    })?;
    let new_revision = fetched.content.claims().metadata.as_ref().and_then(|metadata| metadata.rev).unwrap_or(0);
    if new_revision > old.revision
        && let Some(lattice) = host.joined_lattice()
    {
        let (actor, old_revision) = (key.clone(), old.revision);
        lattice.tell_of_2021(EraEvent::ActorUpdateBegan { actor, old_revision, new_revision }).await;
    }
    let image = Image { reference: new_actor_ref, digest: Some(fetched.image.digest) };
    host.send(Command::UpdateActor { key, actor: fetched.content, image: Some(Arc::new(image)) }).await
}

async fn start_provider(host: &Host, command: StartProviderCommand) -> Result<()> {
    let StartProviderCommand { provider_ref, link_name: name, .. } = command;
    let name = link_name(Some(&name)).to_owned();
    expect_open(host)?;
    if let Some(builtin) = builtin_name(&provider_ref) {
        expect_no_provider(host, &provider_ref, &name)?;
        return host.start_native_capability(wasmcloud_providers::named(builtin, Some(name))?).await;
    }
    expect_image(host, &provider_ref)?;
    expect_no_provider(host, &provider_ref, &name)?;
    host.start_capability_from_registry(&provider_ref, Some(name)).await
}

/// Stops a provider. 2021 asked for its contract as well, which current hosts know.
async fn stop_provider(host: &Host, command: StopProviderCommand) -> Result<()> {
    let StopProviderCommand { provider_ref, link_name: name, contract_id, .. } = command;
    let name = link_name(Some(&name)).to_owned();
    let id = match builtin_name(&provider_ref) {
        Some(builtin) => wasmcloud_providers::named(builtin, None)?.id(),
        None => provider_ref.clone(),
    };
    let key = host.running_provider(&id, &name);
    let contract = host.0.dispatch.snapshot().providers.get(&key).map(|running| running.identity.contract_id.clone());
    let Some(contract) = contract else {
        let message = format!("Provider {provider_ref}/{name} is not running on this host");
        return Err(Error::new(ErrorKind::ProviderNotFound, message));
    };
    let contract = if contract_id.is_empty() { contract } else { contract_id };
    host.stop_provider(&key.id, &contract, Some(name)).await
}

async fn scale(host: &Host, command: ScaleActorCommand) -> Result<()> {
    let Some(instances) = NonZeroUsize::new(command.instances) else {
        let message = "an actor has at least one instance: stop it to have none";
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    };
    host.scale_actor(&host.running_actor(&command.actor_ref), instances.get()).await
}

async fn set_labels(host: &Host, command: LabelsCommand) -> Result<()> {
    host.0.labels.change(command.set, &command.remove)?;
    host.expect_lattice()?.labels_changed().await;
    Ok(())
}

async fn drain(host: &Host, command: HostCommand) -> Result<()> {
    let limit = command.limit_ms.map_or_else(|| host.grace(), Duration::from_millis);
    host.expect_lattice()?.drain(limit.min(host.grace())).await
}

async fn put_link(host: &Host, command: PutLinkCommand) -> Result<()> {
    let PutLinkCommand { actor_id, provider_id, link_name: name, contract_id, values, .. } = command;
    let name = link_name(Some(&name)).to_owned();
    host.set_link(&actor_id, &contract_id, Some(name), provider_id, values.0.into_iter().collect()).await
}

async fn remove_link(host: &Host, command: RemoveLinkCommand) -> Result<()> {
    let RemoveLinkCommand { actor_id, contract_id, link_name: name, .. } = command;
    host.remove_link(&actor_id, &contract_id, Some(link_name(Some(&name)).to_owned())).await
}

async fn plan(host: &Host, command: ManifestCommand) -> Result<Carried> {
    let options = ApplyOptions::new().prune(command.prune);
    let plan = host.plan_manifest(HostManifest::from_json(&command.manifest.to_string())?, options).await?;
    Ok(Carried { result: Some(written(&plan)?), failure: None })
}

async fn apply(host: &Host, command: ManifestCommand) -> Result<Carried> {
    expect_open(host)?;
    let options = ApplyOptions::new().prune(command.prune);
    let outcome = host.apply_manifest_with(HostManifest::from_json(&command.manifest.to_string())?, options).await?;
    let failures = outcome.steps.iter().filter_map(|step| {
        let error = step.result.error()?;
        Some(format!("{}: {error}", step.step.entry))
    });
    let failures: Vec<String> = failures.collect();
    let failure = (!failures.is_empty()).then(|| {
        let message = format!("the manifest was applied in part on host {}: {}", host.id(), failures.join("; "));
        Error::new(ErrorKind::ManifestIncomplete, message)
    });
    Ok(Carried { result: Some(written(&outcome)?), failure })
}

fn written(result: &impl serde::Serialize) -> Result<Value> {
    let cannot = |error| Error::new(ErrorKind::Internal, "the result cannot be written").caused_by(error);
    serde_json::to_value(result).map_err(cannot)
}
