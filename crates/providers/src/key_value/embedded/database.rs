//! The opened database.
//!
//! After a failed write the library does nothing more with a database: what it holds in memory may not be what is on the
//! disk. It is then opened again, which brings it back to what was made durable last.

use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError};
use wasmcloud_core::error::panic_text;

use super::tables::Tables;
use crate::key_value::config::StoreLocation;

/// How much of a database is kept in memory at most.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A database that is open, or was and is to be opened again.
pub(super) struct DatabaseFile {
    location: StoreLocation,
    database: RwLock<Option<Database>>,
}

impl DatabaseFile {
    pub(super) fn new(location: StoreLocation) -> DatabaseFile {
        DatabaseFile { location, database: RwLock::new(None) }
    }

    /// The database, if it is open. It stays so until this is dropped.
    pub(super) fn get(&self) -> RwLockReadGuard<'_, Option<Database>> {
        // It is replaced as a whole, so it is whole after any panic.
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens it, or opens it again.
    ///
    /// # Errors
    /// A text that names the file, and what to do.
    pub(super) fn open(&self) -> Result<(), String> {
        let mut entry = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one has to let go of the file first.
        *entry = None;
        let opened = catch_unwind(AssertUnwindSafe(|| self.database()));
        let opened = opened.unwrap_or_else(|panic| Err(redb::Error::Corrupted(panic_text(&*panic))));
        *entry = Some(opened.map_err(|error| self.explain(&error))?);
        Ok(())
    }

    /// Lets go of it.
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
        // Readers find all tables from the beginning on.
        let transaction = database.begin_write()?;
        drop(Tables::open(&transaction)?);
        transaction.commit()?;
        Ok(database)
    }

    fn explain(&self, error: &redb::Error) -> String {
        let advice = match error {
            redb::Error::DatabaseAlreadyOpen => "another process or another provider has it open: choose another PATH",
            redb::Error::Io(_) => "choose another PATH, or see to its folder, its permissions and its disk",
            _ => "it is no store of this host, or is corrupted: choose another PATH, or restore the file",
        };
        format!("the store at PATH={} cannot be opened ({error}): {advice}", self.location)
    }
}

/// Opens a file that nobody else needs to read: values may be secrets.
fn open(path: &Path) -> Result<std::fs::File, DatabaseError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(options.open(path)?)
}
