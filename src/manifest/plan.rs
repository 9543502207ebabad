//! A manifest checked: every module and archive has been read and verified, every name resolved. What is found to be wrong
//! here is wrong before anything is started.

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

/// What a host has to do for a manifest: each thing with the entry that asks for it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) capabilities: Vec<(String, NativeCapability)>,
    pub(crate) actors: Vec<(String, PlannedActor)>,
    pub(crate) links: Vec<(String, LinkDefinition)>,
}

/// An actor, and how it is to run.
#[derive(Debug)]
pub(crate) struct PlannedActor {
    pub(crate) actor: Actor,
    pub(crate) options: ActorOptions,
    /// Its number of instances, where the manifest gives one.
    pub(crate) instances: Option<usize>,
}

/// What a plan is made for.
pub(crate) struct PlanContext<'a> {
    /// The host's limits.
    pub(crate) limits: Limits,
    /// The host's restart policy.
    pub(crate) restart: RestartPolicy,
    /// The public key of the actor that holds a call alias in the host.
    pub(crate) holder_of: &'a dyn Fn(&str) -> Option<String>,
}

/// A manifest that is being checked.
struct Check<'a> {
    manifest: &'a HostManifest,
    folder: Option<&'a Path>,
    context: &'a PlanContext<'a>,
    /// The actors that were read, by public key and by call alias.
    actors: HashMap<String, Actor>,
    /// The providers that were read, by public key and by what the manifest calls them; nothing for those that failed.
    providers: HashMap<String, Option<NativeCapability>>,
    failures: ManifestFailures,
}

/// What entries of a manifest have asked for, and which ones.
#[derive(Default)]
struct Known(HashMap<String, String>);

impl HostManifest {
    /// Checks all of it. This reads files, so it takes place where that may block.
    ///
    /// # Errors
    /// `InvalidManifest`, with all entries that cannot be carried out.
    pub(crate) fn plan(&self, context: &PlanContext<'_>) -> Result<Plan> {
        let mut check = Check {
            manifest: self,
            folder: self.path.as_deref().and_then(Path::parent),
            context,
            actors: HashMap::new(),
            providers: HashMap::new(),
            failures: ManifestFailures::default(),
        };
        check.labels();
        let (capabilities, actors, links) = (check.capabilities(), check.actors(), check.links());
        check.failures.into_result(&self.name(), ErrorKind::InvalidManifest)?;
        Ok(Plan { capabilities, actors, links })
    }
}

impl Check<'_> {
    fn labels(&mut self) {
        for label in self.manifest.labels.keys().filter(|label| labels::is_reserved(label)) {
            let entry = format!("labels.{}", printable(label));
            self.failures.add(entry, argument("labels that begin with hostcore. say what a host is, and stay"));
        }
    }

    fn capabilities(&mut self) -> Vec<(String, NativeCapability)> {
        let (mut known, mut read) = (Known::default(), Vec::new());
        for (number, asked) in self.manifest.capabilities.iter().enumerate() {
            let entry = format!("capabilities[{number}] ({})", printable(&asked.image_ref));
            let provider = reference::provider(asked, self.folder);
            let provider = provider.and_then(|provider| {
                known.add(format!("provider {} (link name {})", provider.id(), provider.link_name()), &entry)?;
                Ok(provider)
            });
            let provider = self.failures.sort(&entry, provider);
            // What failed takes the place of nothing that was read.
            self.providers.entry(asked.image_ref.clone()).or_default();
            let names = provider.iter().flat_map(|provider| [provider.id(), asked.image_ref.clone()]);
            self.providers.extend(names.map(|name| (name, provider.clone())));
            read.extend(provider.map(|provider| (entry, provider)));
        }
        read
    }

    fn actors(&mut self) -> Vec<(String, PlannedActor)> {
        let (mut known, mut read) = (Known::default(), Vec::new());
        for (number, asked) in self.manifest.actors.iter().enumerate() {
            let entry = format!("actors[{number}] ({})", printable(&asked.image_ref));
            let PlanContext { limits, restart, .. } = *self.context;
            let actor = reference::actor(&asked.image_ref, self.folder, limits.module_bytes).and_then(|actor| {
                known.add(format!("actor {}", actor.public_key()), &entry)?;
                if let Some(alias) = alias(&actor) {
                    known.add(format!("the call alias {}", printable(&alias)), &entry)?;
                }
                Ok(actor)
            });
            let Some(actor) = self.failures.sort(&entry, actor) else { continue };
            let names = [Some(actor.public_key()), alias(&actor)];
            self.actors.extend(names.into_iter().flatten().map(|name| (name, actor.clone())));
            let options = asked.options(limits, restart);
            read.push((entry, PlannedActor { actor, options, instances: asked.instances }));
        }
        read
    }

    fn links(&mut self) -> Vec<(String, LinkDefinition)> {
        let (mut known, mut resolved) = (Known::default(), Vec::new());
        let all_actors_read = self.failures.entries().iter().all(|failure| !failure.entry.starts_with("actors"));
        for (number, asked) in self.manifest.links.iter().enumerate() {
            let entry = format!("links[{number}] ({} to {})", printable(&asked.actor), printable(&asked.contract_id));
            let link = self.link(asked).and_then(|link| {
                known.add(link.key().to_string(), &entry)?;
                Ok(link)
            });
            match link {
                // What it names failed, and has been told.
                Err(error) if error.kind() == ErrorKind::ActorNotFound && !all_actors_read => {}
                Err(error) if error.kind() == ErrorKind::ProviderNotFound => {}
                link => resolved.extend(self.failures.sort(&entry, link).map(|link| (entry, link))),
            }
        }
        resolved
    }

    /// A link with its names resolved, as far as one can tell that nothing rules it out.
    fn link(&self, asked: &ManifestLink) -> Result<LinkDefinition> {
        expect_contract(&asked.contract_id)?;
        let link = LinkDefinition {
            actor_id: self.actor_id(&asked.actor)?,
            provider_id: self.provider_id(asked)?,
            contract_id: asked.contract_id.clone(),
            link_name: link_name(asked.link_name.as_deref()).to_owned(),
            values: asked.values.clone(),
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
                "{:?} is no actor's public key (M...), and no actor of the manifest or the host has it as its call alias",
                shorten(name)
            );
            Error::new(ErrorKind::ActorNotFound, message)
        })
    }

    fn provider_id(&self, asked: &ManifestLink) -> Result<String> {
        let name = asked.provider_id.as_str();
        let provider = match (self.providers.get(name), reference::builtin_name(name)) {
            (Some(Some(provider)), _) => provider.clone(),
            (Some(None), _) => return Err(Error::new(ErrorKind::ProviderNotFound, "it could not be read")),
            (None, Some(builtin)) => wasmcloud_providers::named(builtin, None)?,
            (None, None) => {
                expect_key(name, KeyKind::Provider)?;
                return Ok(name.to_owned());
            }
        };
        if provider.contract_id() != asked.contract_id {
            let (serves, asked) = (provider.contract_id(), shorten(&asked.contract_id));
            return Err(argument(format!("provider {name:?} serves {serves:?}, not {asked:?}")));
        }
        Ok(provider.id())
    }
}

impl Known {
    /// Refuses what another entry has asked for already.
    fn add(&mut self, what: String, entry: &str) -> Result<()> {
        match self.0.entry(what) {
            Entry::Vacant(place) => {
                place.insert(entry.to_owned());
                Ok(())
            }
            Entry::Occupied(place) => Err(argument(format!("{} is there already, as {}", place.key(), place.get()))),
        }
    }
}

fn alias(actor: &Actor) -> Option<String> {
    actor.claims().metadata.and_then(|metadata| metadata.call_alias)
}

fn argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
