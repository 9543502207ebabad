//! The open stores, and the number of links that share each: links with the same file share one database.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::EmbeddedStore;
use crate::key_value::config::StoreLocation;
use crate::key_value::error::KeyValueError;
use crate::key_value::payloads::{KeyValueOperation, KeyValueResponse};

/// The open stores of a provider.
#[derive(Default)]
pub(in crate::key_value) struct OpenStores(Mutex<HashMap<StoreLocation, Arc<StoreEntry>>>);

/// A store and the number of its links. The lock serializes opening and closing.
type StoreEntry = tokio::sync::Mutex<SharedStore>;

#[derive(Default)]
struct SharedStore {
    store: Option<EmbeddedStore>,
    links: usize,
}

/// The handle of a link to a shared store.
pub(in crate::key_value) struct StoreHandle {
    store: EmbeddedStore,
    location: StoreLocation,
}

impl OpenStores {
    /// Opens a store for a link, or shares the one that is open.
    ///
    /// # Errors
    /// Names the file, and what to do.
    pub(in crate::key_value) async fn open(&self, location: StoreLocation) -> Result<StoreHandle, String> {
        let location = absolute(location).await?;
        let entry = self.stores().entry(location.clone()).or_default().clone();
        let mut shared = entry.lock().await;
        let opened = match &shared.store {
            Some(store) => Ok(store.clone()),
            None => EmbeddedStore::open(location.clone()).await,
        };
        if let Ok(store) = &opened {
            shared.store = Some(store.clone());
            shared.links += 1;
        }
        drop(shared);
        self.remove_if_unused(&location, &entry);
        Ok(StoreHandle { store: opened?, location })
    }

    /// Releases the handle of a link. The last one closes the file.
    pub(in crate::key_value) async fn close(&self, handle: &StoreHandle) {
        let Some(entry) = self.stores().get(&handle.location).cloned() else { return };
        let mut shared = entry.lock().await;
        shared.links = shared.links.saturating_sub(1);
        if shared.links == 0
            && let Some(store) = shared.store.take()
        {
            store.close().await;
        }
        drop(shared);
        self.remove_if_unused(&handle.location, &entry);
    }

    /// Removes a store without links. A count of two means that no other operation opens or closes it: the map and the caller hold one each.
    fn remove_if_unused(&self, location: &StoreLocation, entry: &Arc<StoreEntry>) {
        let mut stores = self.stores();
        if Arc::strong_count(entry) == 2 && entry.try_lock().is_ok_and(|shared| shared.links == 0) {
            stores.remove(location);
        }
    }

    fn stores(&self) -> MutexGuard<'_, HashMap<StoreLocation, Arc<StoreEntry>>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreHandle {
    pub(in crate::key_value) async fn execute(
        &self,
        operation: KeyValueOperation,
    ) -> Result<KeyValueResponse, KeyValueError> {
        self.store.execute(operation).await
    }

    pub(in crate::key_value) fn location(&self) -> &StoreLocation {
        &self.location
    }
}

/// Returns the canonical location, so that different paths of one file are equal.
async fn absolute(location: StoreLocation) -> Result<StoreLocation, String> {
    let StoreLocation::File(path) = location else { return Ok(location) };
    let found = match tokio::fs::canonicalize(&path).await {
        Ok(path) => Ok(path),
        Err(_) => canonical_parent(&path).await,
    };
    found.map(StoreLocation::File).map_err(|error| {
        format!("the value PATH={path:?} is not in an existing folder ({error}): create the folder first")
    })
}

/// Returns the canonical path of a file that does not exist yet.
async fn canonical_parent(path: &Path) -> std::io::Result<PathBuf> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(tokio::fs::canonicalize(folder).await?.join(name))
}
