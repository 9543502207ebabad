//! The database of a store.
//!
//! After a failed write, the library refuses further work with the database, because its memory may differ from the disk.
//! Reopening the database restores the last durable state.

use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError};
use wasmcloud_core::error::panic_text;

use super::tables::Tables;
use crate::key_value::config::StoreLocation;

/// Maximum size of the cache. Unit: bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A database that is open, or that is to be reopened.
pub(super) struct DatabaseFile {
    location: StoreLocation,
    database: RwLock<Option<Database>>,
}

impl DatabaseFile {
    pub(super) fn new(location: StoreLocation) -> DatabaseFile {
        DatabaseFile { location, database: RwLock::new(None) }
    }

    /// Returns the database, if it is open. It stays open until the guard is dropped.
    pub(super) fn get(&self) -> RwLockReadGuard<'_, Option<Database>> {
        // A panic cannot leave it inconsistent: it is replaced as a whole.
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens or reopens the database.
    ///
    /// # Errors
    /// Names the file, and what to do.
    pub(super) fn open(&self) -> Result<(), String> {
        let mut entry = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The file must be closed before it is opened again.
        *entry = None;
        let opened = catch_unwind(AssertUnwindSafe(|| self.database()));
        let opened = opened.unwrap_or_else(|panic| Err(redb::Error::Corrupted(panic_text(&*panic))));
        *entry = Some(opened.map_err(|error| self.explain(&error))?);
        Ok(())
    }

    /// Closes the database.
    pub(super) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn database(&self) -> Result<Database, redb::Error> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database = match &self.location {
            StoreLocation::Memory => builder.create_with_backend(InMemoryBackend::new())?,
            StoreLocation::File(path) => builder.create_with_backend(FileBackend::new(open(path)?)?)?,
        };
        // Creates the tables, so that readers find them.
        let transaction = database.begin_write()?;
        drop(Tables::open(&transaction)?);
        transaction.commit()?;
        Ok(database)
    }

    fn explain(&self, error: &redb::Error) -> String {
        let advice = match error {
            redb::Error::DatabaseAlreadyOpen => "another process or another provider has it open: choose another PATH",
            redb::Error::Io(_) => "choose another PATH, or check its folder, permissions and disk",
            _ => "it is not a key-value store, or is damaged: choose another PATH, or restore the file",
        };
        format!("the store at PATH={} cannot be opened ({error}): {advice}", self.location)
    }
}

/// Opens the file. Other users cannot read it, because values may be secrets.
fn open(path: &Path) -> Result<std::fs::File, DatabaseError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(options.open(path)?)
}
