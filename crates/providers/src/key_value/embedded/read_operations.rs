//! The read-only operations, with the semantics of Redis.

use std::collections::BTreeSet;

use redb::ReadableTable;

use super::record::{Content, ListExtent, Record};
use super::tables::{Snapshot, TableError, after, corrupted, reject};
use crate::key_value::error::KeyValueError;
use crate::key_value::payloads::{KeyValueOperation, KeyValueResponse};

/// Maximum size of a response: what fits the payload of an answer. Unit: bytes.
const ANSWER_LIMIT: usize = 63 * 1024 * 1024;

/// Overhead of a text in memory. Unit: bytes.
const TEXT_COST: usize = 32;

/// Executes a read-only operation.
pub(super) fn read(snapshot: &Snapshot, operation: &KeyValueOperation) -> Result<KeyValueResponse, TableError> {
    match operation {
        KeyValueOperation::Get { key } => get(snapshot, key.as_bytes()),
        KeyValueOperation::KeyExists { key } => {
            let exists = with_record(&snapshot.keys, key.as_bytes(), snapshot.now, |record| Ok(record.is_some()))?;
            Ok(KeyValueResponse::Found { value: String::new(), exists })
        }
        KeyValueOperation::Range { key, start, stop } => range(snapshot, key.as_bytes(), *start, *stop),
        KeyValueOperation::SetUnion { keys } => union(snapshot, keys),
        KeyValueOperation::SetIntersection { keys } => intersection(snapshot, keys),
        KeyValueOperation::SetQuery { key } => union(snapshot, std::slice::from_ref(key)),
        changing => unreachable!("{changing:?} changes the store"),
    }
}

/// Passes the record of a key to `show`, or `None` if it is missing or expired.
pub(super) fn with_record<T>(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
    now: u64,
    show: impl FnOnce(Option<Record<'_>>) -> Result<T, TableError>,
) -> Result<T, TableError> {
    let Some(bytes) = keys.get(key)? else { return show(None) };
    let record = Record::decode(bytes.value()).ok_or_else(corrupted)?;
    show(Some(record).filter(|record| !record.is_expired(now)))
}

fn get(snapshot: &Snapshot, key: &[u8]) -> Result<KeyValueResponse, TableError> {
    with_record(&snapshot.keys, key, snapshot.now, |record| match record.map(|record| record.content) {
        None => Ok(KeyValueResponse::Found { value: String::new(), exists: false }),
        Some(Content::Text(value)) => Ok(KeyValueResponse::Found { value: value.to_owned(), exists: true }),
        Some(_) => reject(KeyValueError::WrongType),
    })
}

fn range(snapshot: &Snapshot, key: &[u8], start: i32, stop: i32) -> Result<KeyValueResponse, TableError> {
    let list = with_record(&snapshot.keys, key, snapshot.now, |record| match record.map(|record| record.content) {
        None => Ok(None),
        Some(Content::List(list)) => Ok(Some(list)),
        Some(_) => reject(KeyValueError::WrongType),
    })?;
    let mut texts = BoundedTexts::default();
    let Some(list) = list else { return Ok(texts.answer()) };
    let Some((first, count)) = span(&list, start, stop) else { return Ok(texts.answer()) };
    // Without gaps, the position of an item follows from its index.
    let (from, skip) = match i64::try_from(first) {
        Ok(first) if list.is_dense() => (list.front.saturating_add(first), 0),
        _ => (list.front, first),
    };
    let items = snapshot.items.range((key, from)..=(key, list.back))?;
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    for item in items.skip(skip).take(count) {
        texts.push(item?.1.value())?;
    }
    Ok(texts.answer())
}

/// Returns the index of the first item and the number of items of a range. Negative indexes count from the end.
fn span(list: &ListExtent, start: i32, stop: i32) -> Option<(u64, u64)> {
    let count = i64::try_from(list.count).unwrap_or(i64::MAX);
    let from_end = |number: i32| if number < 0 { i64::from(number) + count } else { i64::from(number) };
    let (first, last) = (from_end(start).max(0), from_end(stop).min(count - 1));
    let length = last - first + 1;
    (length > 0).then_some((first.unsigned_abs(), length.unsigned_abs()))
}

fn union(snapshot: &Snapshot, keys: &[String]) -> Result<KeyValueResponse, TableError> {
    let mut members = BTreeSet::new();
    let mut texts = BoundedTexts::default();
    let sets = sets(snapshot, keys)?;
    for (key, _) in &sets {
        for entry in snapshot.members.range((*key, &b""[..])..(after(key).as_slice(), &b""[..]))? {
            let entry = entry?.0;
            let member = entry.value().1;
            if sets.len() == 1 || members.insert(member.to_vec()) {
                texts.push(member)?;
            }
        }
    }
    Ok(texts.answer())
}

fn intersection(snapshot: &Snapshot, keys: &[String]) -> Result<KeyValueResponse, TableError> {
    let mut sets = sets(snapshot, keys)?;
    let mut texts = BoundedTexts::default();
    let distinct = keys.iter().collect::<BTreeSet<_>>().len();
    sets.sort_unstable_by_key(|(_, count)| *count);
    // A missing set is empty, and so is the intersection.
    if let ([(smallest, _), others @ ..], true) = (sets.as_slice(), sets.len() == distinct) {
        for entry in snapshot.members.range((*smallest, &b""[..])..(after(smallest).as_slice(), &b""[..]))? {
            let entry = entry?.0;
            let member = entry.value().1;
            if is_in_all(snapshot, others, member)? {
                texts.push(member)?;
            }
        }
    }
    Ok(texts.answer())
}

fn is_in_all(snapshot: &Snapshot, sets: &[(&[u8], u64)], member: &[u8]) -> Result<bool, TableError> {
    for (key, _) in sets {
        if snapshot.members.get((*key, member))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the existing sets of these keys without repetitions, and the number of their members.
fn sets<'a>(snapshot: &Snapshot, keys: &'a [String]) -> Result<Vec<(&'a [u8], u64)>, TableError> {
    let mut sets = Vec::new();
    for key in keys.iter().map(String::as_bytes).collect::<BTreeSet<_>>() {
        with_record(&snapshot.keys, key, snapshot.now, |record| match record.map(|record| record.content) {
            None => Ok(()),
            Some(Content::Set(count)) => {
                sets.push((key, count));
                Ok(())
            }
            Some(_) => reject(KeyValueError::WrongType),
        })?;
    }
    Ok(sets)
}

/// The texts of a response, with a limited size.
#[derive(Default)]
struct BoundedTexts {
    values: Vec<String>,
    cost: usize,
}

impl BoundedTexts {
    fn push(&mut self, value: &[u8]) -> Result<(), TableError> {
        self.cost += value.len() + TEXT_COST;
        if self.cost > ANSWER_LIMIT {
            return reject(KeyValueError::ResponseTooLarge);
        }
        self.values.push(std::str::from_utf8(value).map_err(|_| corrupted())?.to_owned());
        Ok(())
    }

    fn answer(self) -> KeyValueResponse {
        KeyValueResponse::Values { values: self.values }
    }
}
