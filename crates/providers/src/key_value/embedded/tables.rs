//! The tables of a store, and what may go wrong with them.

use std::time::{SystemTime, UNIX_EPOCH};

use redb::{ReadOnlyTable, ReadTransaction, Table, TableDefinition, WriteTransaction};

use crate::key_value::error::KeyValueError;

/// What is kept under each key.
const KEYS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("keys");

/// The items of lists, by the key and their position.
const ITEMS: TableDefinition<'static, (&[u8], i64), &[u8]> = TableDefinition::new("items");

/// The members of sets, by the key and the member itself.
const MEMBERS: TableDefinition<'static, (&[u8], &[u8]), ()> = TableDefinition::new("members");

/// The keys that expire, by when they do.
const EXPIRIES: TableDefinition<'static, (u64, &[u8]), ()> = TableDefinition::new("expiries");

/// The tables as they were after the last change that was made durable.
pub(super) struct Snapshot {
    pub(super) keys: ReadOnlyTable<&'static [u8], &'static [u8]>,
    pub(super) items: ReadOnlyTable<(&'static [u8], i64), &'static [u8]>,
    pub(super) members: ReadOnlyTable<(&'static [u8], &'static [u8]), ()>,
    pub(super) expiries: ReadOnlyTable<(u64, &'static [u8]), ()>,
    /// The time that expiry is judged by, in milliseconds since 1970.
    pub(super) now: u64,
}

impl Snapshot {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Snapshot, redb::Error> {
        Ok(Snapshot {
            keys: transaction.open_table(KEYS)?,
            items: transaction.open_table(ITEMS)?,
            members: transaction.open_table(MEMBERS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            now: now(),
        })
    }
}

/// The tables while they are changed.
pub(super) struct Tables<'a> {
    pub(super) keys: Table<'a, &'static [u8], &'static [u8]>,
    pub(super) items: Table<'a, (&'static [u8], i64), &'static [u8]>,
    pub(super) members: Table<'a, (&'static [u8], &'static [u8]), ()>,
    pub(super) expiries: Table<'a, (u64, &'static [u8]), ()>,
    /// The time that expiry is judged by, in milliseconds since 1970.
    pub(super) now: u64,
}

impl<'a> Tables<'a> {
    /// Opens the tables, and makes those that are not there yet.
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Tables<'a>, redb::Error> {
        Ok(Tables {
            keys: transaction.open_table(KEYS)?,
            items: transaction.open_table(ITEMS)?,
            members: transaction.open_table(MEMBERS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            now: now(),
        })
    }
}

/// What comes after every pair with this key.
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn now() -> u64 {
    // A clock before 1970 expires nothing.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What went wrong: with what was asked for, or with the store.
#[derive(Debug)]
pub(super) enum TableError {
    Rejected(KeyValueError),
    Database(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for TableError {
    fn from(error: E) -> TableError {
        TableError::Database(error.into())
    }
}

/// Refuses what was asked for.
pub(super) fn reject<T>(refusal: KeyValueError) -> Result<T, TableError> {
    Err(TableError::Rejected(refusal))
}

/// What stands in the tables is not what this code writes.
pub(super) fn corrupted() -> TableError {
    TableError::Database(redb::Error::Corrupted("an entry of the key-value store cannot be read".to_owned()))
}
