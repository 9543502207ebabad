//! Compares a manifest with what runs in the host.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::Image;

use crate::host::Host;
use crate::host::registries::Fetched;
use crate::identity::{ActorIdentity, ProviderIdentity};
use crate::link::LinkKey;
use crate::manifest::applications::{Applications, Thing};
use crate::manifest::difference::{Difference, Situation};
use crate::manifest::plan::{Images, Pulled, ReadContext, ReadManifest};
use crate::manifest::{ApplyOptions, HostManifest, ManifestPlan, PlannedImage};
use crate::supervisor::survey::{Survey, SurveyAnswer};

/// The changes that a manifest makes.
pub(super) struct Comparison {
    /// The name of the manifest. Empty if it has none.
    pub(super) manifest: String,
    pub(super) difference: Difference,
    /// What the manifest names.
    pub(super) named: HashSet<Thing>,
    images: Vec<PlannedImage>,
}

impl Comparison {
    /// Returns the changes as operators see them.
    pub(super) fn plan(&self, host: String) -> ManifestPlan {
        ManifestPlan {
            manifest: self.manifest.clone(),
            host,
            steps: self.difference.steps.iter().map(|step| step.shown.clone()).collect(),
            unchanged: self.difference.unchanged,
            images: self.images.clone(),
        }
    }
}

impl Host {
    /// Compares a manifest with what runs. Pulls the images that it names, and changes nothing.
    ///
    /// # Errors
    /// `InvalidManifest` with all entries that cannot be applied.
    pub(super) async fn compare(
        &self,
        manifest: &Arc<HostManifest>,
        options: &ApplyOptions,
        applications: &Applications,
    ) -> Result<Comparison> {
        let name = manifest.application_name();
        if options.prune && name.is_none() {
            let message =
                "a manifest without a name is not remembered, so there is nothing to prune by: add the key `name`";
            return Err(Error::new(ErrorKind::InvalidManifest, message));
        }
        let name = name.unwrap_or_default();
        let images = self.pull_images(manifest).await?;
        let pulled = planned_images(&images);
        let read = self.read(manifest.clone(), images).await?;
        let mut named = read.things(manifest.labels.keys().cloned());
        // A manifest with faulty entries is refused, and must not pass for one that no longer names them.
        let prune = options.prune && read.failures.entries().is_empty();
        let leftovers = if prune { applications.leftovers(&name, &named) } else { Vec::new() };
        let survey = self.survey(&read, &leftovers).await?;
        let set_elsewhere = self.links_set_elsewhere(&read).await;
        let difference = self.difference(manifest, &name, read, survey, leftovers, applications, &set_elsewhere);
        let failures = difference.failures;
        failures.into_result(&manifest.title(), ErrorKind::InvalidManifest)?;
        let difference = Difference { failures: Default::default(), ..difference };
        if name.is_empty() {
            named.clear();
        }
        Ok(Comparison { manifest: name, difference, named, images: pulled })
    }

    #[allow(clippy::too_many_arguments, reason = "they are the parts of one comparison")]
    fn difference(
        &self,
        manifest: &HostManifest,
        name: &str,
        read: ReadManifest,
        survey: SurveyAnswer,
        leftovers: Vec<Thing>,
        applications: &Applications,
        set_elsewhere: &HashSet<LinkKey>,
    ) -> Difference {
        let snapshot = self.0.dispatch.snapshot();
        let configuration = &self.0.configuration;
        let mappings = self.0.dispatch.mappings();
        let situation = Situation {
            snapshot: &snapshot,
            labels: &self.0.labels.all(),
            limits: configuration.limits,
            restart: configuration.restart,
            updates_enabled: configuration.updates.enabled,
            check_room: &|guests, limits| mappings.check_room_for_guests(guests, limits),
            applications,
            manifest: name,
            set_elsewhere,
        };
        let labels = manifest.labels.clone().into_iter();
        situation.compare(labels, read, survey, leftovers)
    }

    /// Pulls the images of a manifest. Their failures are those of their entries.
    async fn pull_images(&self, manifest: &Arc<HostManifest>) -> Result<Images> {
        let searched = manifest.clone();
        let references = on_thread(move || searched.image_references()).await?;
        let actors = references.actors.into_iter().map(async |reference| {
            let pulled = self.fetch_actor(&reference).await.map(of_registry);
            (reference, pulled)
        });
        let actors: HashMap<_, _> = join_all(actors).await.into_iter().collect();
        let archives = references.archives.into_iter().map(async |reference| {
            let pulled = self.fetch_archive(&reference).await.map(of_registry);
            (reference, pulled)
        });
        Ok(Images { actors, archives: join_all(archives).await.into_iter().collect() })
    }

    /// Reads the files that a manifest names on a separate thread.
    async fn read(&self, manifest: Arc<HostManifest>, images: Images) -> Result<ReadManifest> {
        let context = ReadContext {
            module_bytes: self.0.configuration.limits.module_bytes,
            secrets_folder: self.0.configuration.secrets_folder.clone(),
            snapshot: self.0.dispatch.snapshot(),
            images,
        };
        on_thread(move || manifest.read_entries(context)).await
    }

    /// Asks the supervisor about what the manifest describes.
    async fn survey(&self, read: &ReadManifest, leftovers: &[Thing]) -> Result<SurveyAnswer> {
        let identity =
            |actor: &wasmcloud_claims::Actor| Arc::new(ActorIdentity::new(actor.shared_claims(), actor.token()));
        let leaving = leftovers.iter().filter_map(|thing| match thing {
            Thing::Actor(key) => Some(key.clone()),
            _ => None,
        });
        let survey = Survey {
            actors: read.actors.iter().map(|(_, read)| identity(&read.actor)).collect(),
            providers: read
                .capabilities
                .iter()
                .map(|(_, read)| Arc::new(ProviderIdentity::new(read.capability.descriptor())))
                .collect(),
            leaving: leaving.collect(),
        };
        self.send(survey).await
    }

    /// Returns the links of the manifest that this host does not hold, and that the lattice knows as they are described.
    #[cfg(feature = "lattice")]
    async fn links_set_elsewhere(&self, read: &ReadManifest) -> HashSet<LinkKey> {
        let Some(lattice) = self.joined_lattice() else { return HashSet::new() };
        let snapshot = self.0.dispatch.snapshot();
        let unknown = read.links.iter().filter(|(_, link)| !snapshot.links.contains_key(&link.key()));
        let asked = unknown.map(async |(_, link)| lattice.has_link(link).await.then(|| link.key()));
        join_all(asked).await.into_iter().flatten().collect()
    }

    #[cfg(not(feature = "lattice"))]
    async fn links_set_elsewhere(&self, _: &ReadManifest) -> HashSet<LinkKey> {
        HashSet::new()
    }
}

fn of_registry<T>(fetched: Fetched<T>) -> Pulled<T> {
    let Fetched { image, content } = fetched;
    let is_stale = image.is_stale;
    let image = Arc::new(Image { reference: image.reference, digest: Some(image.digest) });
    Pulled { content, image, is_stale }
}

fn planned_images(images: &Images) -> Vec<PlannedImage> {
    let planned = |image: &Image, is_stale: bool| PlannedImage {
        reference: image.reference.clone(),
        digest: image.digest.clone().unwrap_or_default(),
        is_stale,
    };
    let actors = images.actors.values().flatten().map(|pulled| planned(&pulled.image, pulled.is_stale));
    let archives = images.archives.values().flatten().map(|pulled| planned(&pulled.image, pulled.is_stale));
    let mut planned: Vec<PlannedImage> = actors.chain(archives).collect();
    planned.sort_by(|one, other| one.reference.cmp(&other.reference));
    planned
}

/// Runs work that blocks on a thread of its own.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let work = move || {
        // The caller may have dropped its future.
        let _ = answer.send(work());
    };
    let thread = std::thread::Builder::new().name("manifest".to_owned()).spawn(work);
    thread.map_err(|error| Error::new(ErrorKind::Io, "cannot make a thread to read files on").caused_by(error))?;
    answered.await.map_err(|_| Error::new(ErrorKind::Internal, "the check of the manifest panicked"))
}
