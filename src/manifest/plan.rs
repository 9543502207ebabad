//! Checks a manifest: reads and verifies every module and archive, and resolves every name. An error here prevents that any
//! part of the manifest is applied.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use wasmcloud_claims::Actor;
use wasmcloud_core::entity::{KeyKind, expect_contract, expect_key, is_key, link_name, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;
use wasmcloud_plugin::NativeCapability;

use super::failure::ManifestFailures;
use super::{HostManifest, ManifestLink, printable, reference};
use crate::labels;
use crate::link::LinkDefinition;
use crate::supervisor::placement::ActorOptions;
use crate::supervisor::restart::RestartPolicy;

/// The operations of a host that apply a manifest. Each has the name of its entry.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) capabilities: Vec<(String, NativeCapability)>,
    pub(crate) actors: Vec<(String, PlannedActor)>,
    pub(crate) links: Vec<(String, LinkDefinition)>,
}

/// An actor and its options.
#[derive(Debug)]
pub(crate) struct PlannedActor {
    pub(crate) actor: Actor,
    pub(crate) options: ActorOptions,
    /// The number of instances, if the manifest sets it.
    pub(crate) instances: Option<usize>,
}

/// The properties of the host that a manifest is checked against.
pub(crate) struct PlanContext<'a> {
    /// The host's limits.
    pub(crate) limits: Limits,
    /// The host's restart policy.
    pub(crate) restart: RestartPolicy,
    /// Returns the public key of the actor that holds a call alias in the host.
    pub(crate) holder_of: &'a dyn Fn(&str) -> Option<String>,
}

/// The check of a manifest.
struct ManifestCheck<'a> {
    manifest: &'a HostManifest,
    folder: Option<&'a Path>,
    context: &'a PlanContext<'a>,
    /// The actors that were read, by public key and by call alias.
    actors: HashMap<String, Actor>,
    /// The providers, by public key and by `image_ref`. `None` for those that could not be read.
    providers: HashMap<String, Option<NativeCapability>>,
    failures: ManifestFailures,
}

/// The names that entries of a manifest have claimed, with the entries.
#[derive(Default)]
struct ClaimedNames(HashMap<String, String>);

impl HostManifest {
    /// Checks the manifest. This reads files, so it blocks the calling thread.
    ///
    /// # Errors
    /// `InvalidManifest`, with all entries that cannot be applied.
    pub(crate) fn plan(&self, context: &PlanContext<'_>) -> Result<Plan> {
        let mut check = ManifestCheck {
            manifest: self,
            folder: self.path.as_deref().and_then(Path::parent),
            context,
            actors: HashMap::new(),
            providers: HashMap::new(),
            failures: ManifestFailures::default(),
        };
        check.labels();
        let capabilities = check.capabilities();
        let actors = check.actors();
        let links = check.links();
        check.failures.into_result(&self.name(), ErrorKind::InvalidManifest)?;
        Ok(Plan { capabilities, actors, links })
    }
}

impl ManifestCheck<'_> {
    fn labels(&mut self) {
        for label in self.manifest.labels.keys().filter(|label| labels::is_reserved(label)) {
            let entry = format!("labels.{}", printable(label));
            self.failures.add(entry, argument("labels that begin with hostcore. are reserved for the host"));
        }
    }

    fn capabilities(&mut self) -> Vec<(String, NativeCapability)> {
        let mut claimed = ClaimedNames::default();
        let mut read = Vec::new();
        for (number, capability) in self.manifest.capabilities.iter().enumerate() {
            let entry = format!("capabilities[{number}] ({})", printable(&capability.image_ref));
            let provider = reference::provider(capability, self.folder);
            let provider = provider.and_then(|provider| {
                claimed.claim(format!("provider {} (link name {})", provider.id(), provider.link_name()), &entry)?;
                Ok(provider)
            });
            let provider = self.failures.record(&entry, provider);
            // A provider that failed does not replace one that was read.
            self.providers.entry(capability.image_ref.clone()).or_default();
            let names = provider.iter().flat_map(|provider| [provider.id(), capability.image_ref.clone()]);
            self.providers.extend(names.map(|name| (name, provider.clone())));
            read.extend(provider.map(|provider| (entry, provider)));
        }
        read
    }

    fn actors(&mut self) -> Vec<(String, PlannedActor)> {
        let mut claimed = ClaimedNames::default();
        let mut read = Vec::new();
        for (number, entry_of_actor) in self.manifest.actors.iter().enumerate() {
            let image_ref = &entry_of_actor.image_ref;
            let entry = format!("actors[{number}] ({})", printable(image_ref));
            let PlanContext { limits, restart, .. } = *self.context;
            let actor = reference::actor(image_ref, self.folder, limits.module_bytes).and_then(|actor| {
                claimed.claim(format!("actor {}", actor.public_key()), &entry)?;
                if let Some(alias) = alias(&actor) {
                    claimed.claim(format!("the call alias {}", printable(&alias)), &entry)?;
                }
                Ok(actor)
            });
            let Some(actor) = self.failures.record(&entry, actor) else { continue };
            let names = [Some(actor.public_key()), alias(&actor)];
            self.actors.extend(names.into_iter().flatten().map(|name| (name, actor.clone())));
            let options = entry_of_actor.options(limits, restart);
            read.push((entry, PlannedActor { actor, options, instances: entry_of_actor.instances }));
        }
        read
    }

    fn links(&mut self) -> Vec<(String, LinkDefinition)> {
        let mut claimed = ClaimedNames::default();
        let mut resolved = Vec::new();
        let all_actors_read = self.failures.entries().iter().all(|failure| !failure.entry.starts_with("actors"));
        for (number, link) in self.manifest.links.iter().enumerate() {
            let entry = format!("links[{number}] ({} to {})", printable(&link.actor), printable(&link.contract_id));
            let definition = self.resolve_link(link).and_then(|definition| {
                claimed.claim(definition.key().to_string(), &entry)?;
                Ok(definition)
            });
            match definition {
                // The entry of the actor or provider has failed, and its failure is recorded.
                Err(error) if error.kind() == ErrorKind::ActorNotFound && !all_actors_read => {}
                Err(error) if error.kind() == ErrorKind::ProviderNotFound => {}
                definition => {
                    resolved.extend(self.failures.record(&entry, definition).map(|definition| (entry, definition)));
                }
            }
        }
        resolved
    }

    /// Resolves the names of a link, and checks it against the claims of its actor and provider.
    fn resolve_link(&self, link: &ManifestLink) -> Result<LinkDefinition> {
        expect_contract(&link.contract_id)?;
        let link = LinkDefinition {
            actor_id: self.actor_id(&link.actor)?,
            provider_id: self.provider_id(link)?,
            contract_id: link.contract_id.clone(),
            link_name: link_name(link.link_name.as_deref()).to_owned(),
            values: link.values.clone(),
        };
        let actor = self.actors.get(&link.actor_id);
        if actor.is_some_and(|actor| !actor.capabilities().contains(&link.contract_id)) {
            let message = format!("the actor's signed claims do not include {:?}", shorten(&link.contract_id));
            return Err(Error::new(ErrorKind::CapabilityDenied, message));
        }
        Ok(link)
    }

    fn actor_id(&self, name: &str) -> Result<String> {
        if is_key(name, KeyKind::Actor) {
            return Ok(name.to_owned());
        }
        let named = self.actors.get(name).map(Actor::public_key);
        named.or_else(|| (self.context.holder_of)(name)).ok_or_else(|| {
            let message = format!(
                "{:?} is not an actor's public key (M...), and not the call alias of an actor of the manifest or the host",
                shorten(name)
            );
            Error::new(ErrorKind::ActorNotFound, message)
        })
    }

    fn provider_id(&self, link: &ManifestLink) -> Result<String> {
        let name = link.provider_id.as_str();
        let provider = match (self.providers.get(name), reference::builtin_name(name)) {
            (Some(Some(provider)), _) => provider.clone(),
            (Some(None), _) => return Err(Error::new(ErrorKind::ProviderNotFound, "it could not be read")),
            (None, Some(builtin)) => wasmcloud_providers::named(builtin, None)?,
            (None, None) => {
                expect_key(name, KeyKind::Provider)?;
                return Ok(name.to_owned());
            }
        };
        if provider.contract_id() != link.contract_id {
            let served = provider.contract_id();
            let linked = shorten(&link.contract_id);
            return Err(argument(format!("provider {name:?} serves {served:?}, not {linked:?}")));
        }
        Ok(provider.id())
    }
}

impl ClaimedNames {
    /// Claims a name for an entry.
    ///
    /// # Errors
    /// `InvalidArgument` if another entry has claimed it.
    fn claim(&mut self, name: String, entry: &str) -> Result<()> {
        match self.0.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(entry.to_owned());
                Ok(())
            }
            Entry::Occupied(other) => {
                Err(argument(format!("{} is repeated; it exists as {}", other.key(), other.get())))
            }
        }
    }
}

fn alias(actor: &Actor) -> Option<String> {
    actor.claims().metadata.and_then(|metadata| metadata.call_alias)
}

fn argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
