//! The operations that change the store, with the semantics of Redis, and the removal of expired keys.
//!
//! Each operation checks whether it is possible before it changes anything, so that a rejected one does not affect the
//! transaction that it shares with others.

use redb::ReadableTable;

use super::read_operations::with_record;
use super::record::{Content, ListExtent, Record};
use super::tables::{TableError, Tables, after, corrupted, reject};
use crate::key_value::error::KeyValueError;
use crate::key_value::payloads::{KeyValueOperation, KeyValueResponse};

/// Maximum number of expired keys that are removed in one transaction.
const MAX_SWEPT_KEYS: usize = 256;

impl Tables<'_> {
    /// Executes an operation that changes the store.
    pub(super) fn write(&mut self, operation: KeyValueOperation) -> Result<KeyValueResponse, TableError> {
        match operation {
            KeyValueOperation::Add { key, value } => self.add(key.as_bytes(), value),
            KeyValueOperation::Set { key, value, expires } => self.set(key.as_bytes(), value, expires),
            KeyValueOperation::Delete { key } => {
                self.remove(key.as_bytes())?;
                Ok(KeyValueResponse::Deleted { key })
            }
            KeyValueOperation::Push { key, value } => self.push(key.as_bytes(), value.as_bytes()),
            KeyValueOperation::ListItemDelete { key, value } => self.delete_items(key.as_bytes(), value.as_bytes()),
            KeyValueOperation::SetAdd { key, value } => self.add_member(key.as_bytes(), value.as_bytes()),
            KeyValueOperation::SetRemove { key, value } => self.remove_member(key.as_bytes(), value.as_bytes()),
            reading => unreachable!("{reading:?} changes nothing"),
        }
    }

    fn add(&mut self, key: &[u8], value: i32) -> Result<KeyValueResponse, TableError> {
        let found = with_record(&self.keys, key, self.now, |record| match record {
            None => Ok(None),
            Some(Record { expires, content: Content::Text(text) }) => match number(text) {
                Some(number) => Ok(Some((number, expires))),
                None => reject(KeyValueError::NotANumber),
            },
            Some(_) => reject(KeyValueError::WrongType),
        })?;
        let (before, expires) = found.unwrap_or_default();
        let sum = before.checked_add(i64::from(value)).and_then(|sum| i32::try_from(sum).ok());
        let Some(sum) = sum else { return reject(KeyValueError::Overflow) };
        if found.is_none() {
            self.remove(key)?;
        }
        self.store_record(key, Record { expires, content: Content::Text(&sum.to_string()) })?;
        Ok(KeyValueResponse::Sum { value: sum })
    }

    fn set(&mut self, key: &[u8], value: String, expires: i32) -> Result<KeyValueResponse, TableError> {
        self.remove(key)?;
        let expires = match u64::try_from(expires) {
            Ok(seconds) if seconds > 0 => self.now.saturating_add(seconds * 1000),
            _ => 0,
        };
        self.store_record(key, Record { expires, content: Content::Text(&value) })?;
        if expires != 0 {
            self.expiries.insert((expires, key), ())?;
        }
        Ok(KeyValueResponse::Stored { value })
    }

    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<KeyValueResponse, TableError> {
        let (list, expires) = match self.list_record(key)? {
            Some((list, expires)) => (ListExtent { front: list.front - 1, count: list.count + 1, ..list }, expires),
            None => {
                self.remove(key)?;
                (ListExtent { front: 0, back: 0, count: 1 }, 0)
            }
        };
        self.items.insert((key, list.front), value)?;
        self.store_record(key, Record { expires, content: Content::List(list) })?;
        Ok(KeyValueResponse::List { new_count: count(list.count) })
    }

    fn delete_items(&mut self, key: &[u8], value: &[u8]) -> Result<KeyValueResponse, TableError> {
        let Some((mut list, expires)) = self.list_record(key)? else {
            return Ok(KeyValueResponse::List { new_count: 0 });
        };
        let mut removed = 0;
        let whole = (key, list.front)..=(key, list.back);
        for entry in self.items.extract_from_if(whole.clone(), |_, item| item == value)? {
            entry?;
            removed += 1;
        }
        list.count = list.count.saturating_sub(removed);
        if list.count == 0 {
            self.remove(key)?;
        } else if removed > 0 {
            let mut left = self.items.range(whole)?;
            let first = left.next().ok_or_else(corrupted)??.0.value().1;
            let last = left.next_back().transpose()?.map_or(first, |last| last.0.value().1);
            drop(left);
            list = ListExtent { front: first, back: last, ..list };
            self.store_record(key, Record { expires, content: Content::List(list) })?;
        }
        Ok(KeyValueResponse::List { new_count: count(removed) })
    }

    fn add_member(&mut self, key: &[u8], member: &[u8]) -> Result<KeyValueResponse, TableError> {
        let (members, expires) = match self.set_record(key)? {
            Some(set) => set,
            None => {
                self.remove(key)?;
                (0, 0)
            }
        };
        if self.members.insert((key, member), ())?.is_some() {
            return Ok(KeyValueResponse::Members { new_count: 0 });
        }
        self.store_record(key, Record { expires, content: Content::Set(members + 1) })?;
        Ok(KeyValueResponse::Members { new_count: 1 })
    }

    fn remove_member(&mut self, key: &[u8], member: &[u8]) -> Result<KeyValueResponse, TableError> {
        let Some((members, expires)) = self.set_record(key)? else {
            return Ok(KeyValueResponse::Members { new_count: 0 });
        };
        if self.members.remove((key, member))?.is_none() {
            return Ok(KeyValueResponse::Members { new_count: 0 });
        }
        if members <= 1 {
            self.remove(key)?;
        } else {
            self.store_record(key, Record { expires, content: Content::Set(members - 1) })?;
        }
        Ok(KeyValueResponse::Members { new_count: 1 })
    }

    /// Removes expired keys. Returns whether there may be more of them.
    pub(super) fn remove_expired(&mut self) -> Result<bool, TableError> {
        let mut expired = Vec::new();
        for entry in self.expiries.range(..(self.now, &b""[..]))?.take(MAX_SWEPT_KEYS) {
            let entry = entry?.0;
            let (expires, key) = entry.value();
            expired.push((expires, key.to_vec()));
        }
        for (expires, key) in &expired {
            self.remove(key)?;
            self.expiries.remove((*expires, key.as_slice()))?;
        }
        Ok(expired.len() == MAX_SWEPT_KEYS)
    }

    fn list_record(&self, key: &[u8]) -> Result<Option<(ListExtent, u64)>, TableError> {
        with_record(&self.keys, key, self.now, |record| match record {
            None => Ok(None),
            Some(Record { expires, content: Content::List(list) }) => Ok(Some((list, expires))),
            Some(_) => reject(KeyValueError::WrongType),
        })
    }

    fn set_record(&self, key: &[u8]) -> Result<Option<(u64, u64)>, TableError> {
        with_record(&self.keys, key, self.now, |record| match record {
            None => Ok(None),
            Some(Record { expires, content: Content::Set(members) }) => Ok(Some((members, expires))),
            Some(_) => reject(KeyValueError::WrongType),
        })
    }

    fn store_record(&mut self, key: &[u8], record: Record<'_>) -> Result<(), TableError> {
        self.keys.insert(key, record.encode().as_slice())?;
        Ok(())
    }

    /// Removes a key with its items or members, whether it is expired or not.
    fn remove(&mut self, key: &[u8]) -> Result<(), TableError> {
        let (is_list, is_set, expires) = {
            let Some(bytes) = self.keys.remove(key)? else { return Ok(()) };
            let Record { expires, content } = Record::decode(bytes.value()).ok_or_else(corrupted)?;
            (matches!(content, Content::List(_)), matches!(content, Content::Set(_)), expires)
        };
        if is_list {
            self.items.retain_in((key, i64::MIN)..=(key, i64::MAX), |_, _| false)?;
        }
        if is_set {
            self.members.retain_in((key, &b""[..])..(after(key).as_slice(), &b""[..]), |_, ()| false)?;
        }
        if expires != 0 {
            self.expiries.remove((expires, key))?;
        }
        Ok(())
    }
}

/// Parses a number as Redis does: only its canonical form, without a plus sign, leading zeros or blanks.
fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Converts a number of items to the 32 bits of the contract. A store is too small to hold more.
fn count(items: u64) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_as_redis_parses_them() {
        for (text, expected) in [("0", Some(0)), ("-5", Some(-5)), ("9223372036854775807", Some(i64::MAX))] {
            assert_eq!(number(text), expected);
        }
        for text in ["", " 1", "1 ", "+1", "01", "-0", "1.0", "9223372036854775808", "one"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
