//! Which stores are open, and for how many links: links with one file share one opened database.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Embedded;
use crate::key_value::config::Location;
use crate::key_value::error::Refusal;
use crate::key_value::payloads::{Answer, Operation};

/// The stores of one provider.
#[derive(Default)]
pub(in crate::key_value) struct Files(Mutex<HashMap<Location, Arc<Slot>>>);

/// A store, and its links. Opening and closing wait for each other.
type Slot = tokio::sync::Mutex<Shared>;

#[derive(Default)]
struct Shared {
    store: Option<Embedded>,
    links: usize,
}

/// One link's share in a store.
pub(in crate::key_value) struct Lease {
    store: Embedded,
    location: Location,
}

impl Files {
    /// Opens a store for one more link.
    ///
    /// # Errors
    /// A text that names the file, and what to do.
    pub(in crate::key_value) async fn open(&self, location: Location) -> Result<Lease, String> {
        let location = absolute(location).await?;
        let slot = self.slots().entry(location.clone()).or_default().clone();
        let mut shared = slot.lock().await;
        let opened = match &shared.store {
            Some(store) => Ok(store.clone()),
            None => Embedded::open(location.clone()).await,
        };
        if let Ok(store) = &opened {
            shared.store = Some(store.clone());
            shared.links += 1;
        }
        drop(shared);
        self.forget_if_unused(&location, &slot);
        Ok(Lease { store: opened?, location })
    }

    /// Takes a link's share back. With the last one, the file is released.
    pub(in crate::key_value) async fn close(&self, lease: &Lease) {
        let Some(slot) = self.slots().get(&lease.location).cloned() else { return };
        let mut shared = slot.lock().await;
        shared.links = shared.links.saturating_sub(1);
        if shared.links == 0
            && let Some(store) = shared.store.take()
        {
            store.close().await;
        }
        drop(shared);
        self.forget_if_unused(&lease.location, &slot);
    }

    /// Forgets a store that nobody has and nobody is about to have: who is holds its slot, as the map and we do.
    fn forget_if_unused(&self, location: &Location, slot: &Arc<Slot>) {
        let mut slots = self.slots();
        if Arc::strong_count(slot) == 2 && slot.try_lock().is_ok_and(|shared| shared.links == 0) {
            slots.remove(location);
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Location, Arc<Slot>>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(in crate::key_value) async fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        self.store.perform(operation).await
    }

    pub(in crate::key_value) fn location(&self) -> &Location {
        &self.location
    }
}

/// One name for each file, however it is written.
async fn absolute(location: Location) -> Result<Location, String> {
    let Location::File(path) = location else { return Ok(location) };
    let found = match tokio::fs::canonicalize(&path).await {
        Ok(path) => Ok(path),
        Err(_) => beside_others(&path).await,
    };
    found.map(Location::File).map_err(|error| {
        format!("the value PATH={path:?} is no file in a folder that there is ({error}): make the folder first")
    })
}

/// The name of a file that is to be made.
async fn beside_others(path: &Path) -> std::io::Result<PathBuf> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(tokio::fs::canonicalize(folder).await?.join(name))
}
