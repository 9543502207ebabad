//! The tables of a store, and their errors.

use std::time::{SystemTime, UNIX_EPOCH};

use redb::{ReadOnlyTable, ReadTransaction, Table, TableDefinition, WriteTransaction};

use crate::key_value::error::KeyValueError;

/// The record of each key.
const KEYS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("keys");

/// The items of lists, by key and position.
const ITEMS: TableDefinition<'static, (&[u8], i64), &[u8]> = TableDefinition::new("items");

/// The members of sets, by key and member.
const MEMBERS: TableDefinition<'static, (&[u8], &[u8]), ()> = TableDefinition::new("members");

/// The keys that expire, by time of expiry.
const EXPIRIES: TableDefinition<'static, (u64, &[u8]), ()> = TableDefinition::new("expiries");

/// The tables in their last durable state.
pub(super) struct Snapshot {
    pub(super) keys: ReadOnlyTable<&'static [u8], &'static [u8]>,
    pub(super) items: ReadOnlyTable<(&'static [u8], i64), &'static [u8]>,
    pub(super) members: ReadOnlyTable<(&'static [u8], &'static [u8]), ()>,
    pub(super) expiries: ReadOnlyTable<(u64, &'static [u8]), ()>,
    /// The time that decides about expiry. Unit: milliseconds since 1970.
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

/// The tables in a write transaction.
pub(super) struct Tables<'a> {
    pub(super) keys: Table<'a, &'static [u8], &'static [u8]>,
    pub(super) items: Table<'a, (&'static [u8], i64), &'static [u8]>,
    pub(super) members: Table<'a, (&'static [u8], &'static [u8]), ()>,
    pub(super) expiries: Table<'a, (u64, &'static [u8]), ()>,
    /// The time that decides about expiry. Unit: milliseconds since 1970.
    pub(super) now: u64,
}

impl<'a> Tables<'a> {
    /// Opens the tables, and creates missing ones.
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

/// Returns the first possible key after all pairs with this key.
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn now() -> u64 {
    // A clock before 1970 expires nothing.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The error of an operation on the tables.
#[derive(Debug)]
pub(super) enum TableError {
    /// The operation is not possible. The transaction is unaffected.
    Rejected(KeyValueError),
    /// The database failed.
    Database(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for TableError {
    fn from(error: E) -> TableError {
        TableError::Database(error.into())
    }
}

/// Rejects an operation.
pub(super) fn reject<T>(refusal: KeyValueError) -> Result<T, TableError> {
    Err(TableError::Rejected(refusal))
}

/// Returns the error for an entry that this code cannot have written.
pub(super) fn corrupted() -> TableError {
    TableError::Database(redb::Error::Corrupted("an entry of the key-value store cannot be read".to_owned()))
}
