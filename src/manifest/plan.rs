//! Reads a manifest: every module and archive, and every name and secret. An error here prevents that any part of the manifest
//! is applied.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;

use wasmcloud_claims::{Actor, ProviderArchive};
use wasmcloud_core::entity::{KeyKind, expect_contract, expect_key, is_key, link_name, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::Image;
use wasmcloud_document::printable;
use wasmcloud_plugin::NativeCapability;

use super::failure::ManifestFailures;
use super::reference::{self, Location};
use super::secrets::{self, SecretSources};
use super::{HostManifest, ManifestActor, ManifestCapability, ManifestIsolation, ManifestLink};
use crate::dispatch::snapshot::Snapshot;
use crate::labels;
use crate::link::LinkDefinition;

/// What a manifest describes, with the name of each entry.
#[derive(Debug, Default)]
pub(crate) struct ReadManifest {
    pub(crate) capabilities: Vec<(String, ReadProvider)>,
    pub(crate) actors: Vec<(String, ReadActor)>,
    pub(crate) links: Vec<(String, LinkDefinition)>,
    /// The entries that cannot be applied.
    pub(crate) failures: ManifestFailures,
}

/// A provider, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct ReadProvider {
    pub(crate) capability: NativeCapability,
    /// Whether the manifest says where it runs.
    pub(crate) sets_isolation: bool,
}

/// An actor, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct ReadActor {
    pub(crate) actor: Actor,
    pub(crate) wanted: ManifestActor,
    /// The image that it came from, if it came from a registry.
    pub(crate) image: Option<Arc<Image>>,
}

/// What a manifest is read with.
pub(crate) struct ReadContext {
    /// The size of the largest module. Unit: bytes.
    pub(crate) module_bytes: usize,
    pub(crate) secrets_folder: Option<PathBuf>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) images: Images,
}

/// The images that the references of a manifest lead to.
#[derive(Debug, Default)]
pub(crate) struct Images {
    pub(crate) actors: HashMap<String, Result<Pulled<Actor>>>,
    pub(crate) archives: HashMap<String, Result<Pulled<ProviderArchive>>>,
}

/// The content of an image.
#[derive(Debug)]
pub(crate) struct Pulled<T> {
    pub(crate) content: T,
    pub(crate) image: Arc<Image>,
    /// Whether the registry could not be asked.
    pub(crate) is_stale: bool,
}

/// The references of a manifest to registries.
#[derive(Debug, Default)]
pub(crate) struct ImageReferences {
    pub(crate) actors: Vec<String>,
    pub(crate) archives: Vec<String>,
}

/// The reading of a manifest.
struct ManifestCheck<'a> {
    manifest: &'a HostManifest,
    context: &'a mut ReadContext,
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
    /// Returns the references to registries. This looks for files, so it blocks the calling thread.
    pub(crate) fn image_references(&self) -> ImageReferences {
        let image = |reference: &str| match reference::names_registry(reference).then(|| self.locate(reference)) {
            Some(Ok(Location::Registry(image))) => Some(image),
            _ => None,
        };
        let actors = self.actors.iter().filter_map(|actor| image(&actor.image_ref));
        let archives = self.capabilities.iter().filter_map(|capability| image(&capability.image_ref));
        let mut references = ImageReferences { actors: actors.collect(), archives: archives.collect() };
        for list in [&mut references.actors, &mut references.archives] {
            list.sort();
            list.dedup();
        }
        references
    }

    /// Reads everything that the manifest names. This reads files, so it blocks the calling thread.
    pub(crate) fn read_entries(&self, mut context: ReadContext) -> ReadManifest {
        let mut check = ManifestCheck {
            manifest: self,
            context: &mut context,
            actors: HashMap::new(),
            providers: HashMap::new(),
            failures: ManifestFailures::default(),
        };
        check.name();
        check.labels();
        let capabilities = check.capabilities();
        let actors = check.actors();
        let links = check.links();
        ReadManifest { capabilities, actors, links, failures: check.failures }
    }

    fn locate(&self, reference: &str) -> Result<Location> {
        if self.has_travelled {
            reference::locate_elsewhere(reference)
        } else {
            reference::locate(reference, self.folder())
        }
    }

    fn secret_sources(&self, folder: Option<PathBuf>) -> SecretSources {
        if self.has_travelled {
            SecretSources::Restricted(folder)
        } else {
            SecretSources::Any(self.folder().map(ToOwned::to_owned))
        }
    }
}

impl ManifestCheck<'_> {
    fn name(&mut self) {
        if self.manifest.name.as_deref().is_some_and(|name| !super::is_name(name)) {
            self.failures.add("name", argument("it should be 1 to 128 characters without control characters"));
        }
    }

    fn labels(&mut self) {
        for label in self.manifest.labels.keys().filter(|label| labels::is_reserved(label)) {
            let entry = format!("labels.{}", printable(label));
            self.failures.add(entry, argument("labels that begin with hostcore. are reserved for the host"));
        }
    }

    fn capabilities(&mut self) -> Vec<(String, ReadProvider)> {
        let mut claimed = ClaimedNames::default();
        let mut read = Vec::new();
        for (number, capability) in self.manifest.capabilities.iter().enumerate() {
            let entry = format!("capabilities[{number}] ({})", printable(&capability.image_ref));
            let provider = self.provider(capability);
            let provider = provider.and_then(|provider| {
                claimed.claim(format!("provider {} (link name {})", provider.id(), provider.link_name()), &entry)?;
                Ok(provider)
            });
            let provider = self.failures.record(&entry, provider);
            // A provider that failed does not replace one that was read.
            self.providers.entry(capability.image_ref.clone()).or_default();
            let names = provider.iter().flat_map(|provider| [provider.id(), capability.image_ref.clone()]);
            self.providers.extend(names.map(|name| (name, provider.clone())));
            let sets_isolation = capability.isolation.is_some();
            read.extend(provider.map(|capability| (entry, ReadProvider { capability, sets_isolation })));
        }
        read
    }

    fn actors(&mut self) -> Vec<(String, ReadActor)> {
        let mut claimed = ClaimedNames::default();
        let mut read = Vec::new();
        for (number, entry_of_actor) in self.manifest.actors.iter().enumerate() {
            let entry = format!("actors[{number}] ({})", printable(&entry_of_actor.image_ref));
            let actor = self.actor(&entry_of_actor.image_ref).and_then(|(actor, image)| {
                claimed.claim(format!("actor {}", actor.public_key()), &entry)?;
                if let Some(alias) = alias(&actor) {
                    claimed.claim(format!("the call alias {}", printable(&alias)), &entry)?;
                }
                Ok((actor, image))
            });
            let Some((actor, image)) = self.failures.record(&entry, actor) else { continue };
            let names = [Some(actor.public_key()), alias(&actor)];
            self.actors.extend(names.into_iter().flatten().map(|name| (name, actor.clone())));
            read.push((entry, ReadActor { actor, wanted: entry_of_actor.clone(), image }));
        }
        read
    }

    /// Returns the actor that a reference leads to. Each image is given once: an actor cannot occur twice.
    fn actor(&mut self, reference: &str) -> Result<(Actor, Option<Arc<Image>>)> {
        match self.manifest.locate(reference)? {
            Location::File(path) => Ok((reference::read_actor(&path, self.context.module_bytes)?, None)),
            Location::Registry(image) => {
                let pulled = self.context.images.actors.remove(&image).unwrap_or_else(|| Err(repeated(&image)))?;
                Ok((pulled.content, Some(pulled.image)))
            }
            Location::Builtin(_) => Err(argument("it is a provider: name it among the capabilities")),
        }
    }

    /// Returns the provider of an entry.
    fn provider(&self, capability: &ManifestCapability) -> Result<NativeCapability> {
        let ManifestCapability { image_ref, link_name, isolation } = capability.clone();
        let of_archive = |archive: &ProviderArchive| {
            let isolation = isolation.map(ManifestIsolation::isolation).unwrap_or_default();
            NativeCapability::from_archive_isolated(archive, link_name.clone(), isolation)
        };
        match self.manifest.locate(&image_ref)? {
            Location::Builtin(_) if matches!(isolation, Some(ManifestIsolation::Process { .. })) => {
                Err(argument("built-in providers run in its process only: leave out `isolation`"))
            }
            Location::Builtin(name) => wasmcloud_providers::named(&name, link_name),
            Location::File(path) => of_archive(&ProviderArchive::from_file(path)?),
            Location::Registry(image) => match self.context.images.archives.get(&image) {
                Some(Ok(pulled)) => {
                    let provider = of_archive(&pulled.content)?.with_image_ref(&pulled.image.reference);
                    let digest = pulled.image.digest.iter();
                    Ok(digest.fold(provider, NativeCapability::with_image_digest))
                }
                Some(Err(error)) => Err(Error::new(error.kind(), error.to_string())),
                None => Err(Error::new(ErrorKind::Internal, "the image was not asked for")),
            },
        }
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
        let sources = self.manifest.secret_sources(self.context.secrets_folder.clone());
        let link = LinkDefinition {
            actor_id: self.actor_id(&link.actor)?,
            provider_id: self.provider_id(link)?,
            contract_id: link.contract_id.clone(),
            link_name: link_name(link.link_name.as_deref()).to_owned(),
            values: secrets::values(&link.values, &link.secrets, &sources)?,
        };
        if !self.may_use(&link.actor_id, &link.contract_id) {
            let message = format!("the actor's signed claims do not include {:?}", shorten(&link.contract_id));
            return Err(Error::new(ErrorKind::CapabilityDenied, message));
        }
        Ok(link)
    }

    /// Returns whether the claims of an actor include a contract. An actor that is not known may be started later.
    fn may_use(&self, actor: &str, contract: &str) -> bool {
        let running = self.context.snapshot.actors.get(actor);
        match (self.actors.get(actor), running) {
            (Some(actor), _) => actor.capabilities().iter().any(|capability| capability == contract),
            (None, Some(running)) => running.identity.capabilities.contains(contract),
            (None, None) => true,
        }
    }

    fn actor_id(&self, name: &str) -> Result<String> {
        if is_key(name, KeyKind::Actor) {
            return Ok(name.to_owned());
        }
        let named = self.actors.get(name).map(Actor::public_key);
        let holder_of = |alias: &str| self.context.snapshot.aliases.get(alias).map(|holder| holder.to_string());
        named.or_else(|| holder_of(name)).ok_or_else(|| {
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

fn repeated(image: &str) -> Error {
    argument(format!("the image {} is repeated: an actor is named once", printable(image)))
}

fn argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
