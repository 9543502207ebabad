//! The operations that change something, with the semantics of Redis, and the end of what has expired.
//!
//! Each finds out whether it is to be refused before it changes anything, so that a refusal leaves no trace among the other
//! changes of a transaction.

use redb::ReadableTable;

use super::read_operations::with;
use super::record::{Content, List, Record};
use super::tables::{Failure, Tables, after, damaged, refuse};
use crate::key_value::error::Refusal;
use crate::key_value::payloads::{Answer, Operation};

/// How many expired keys are removed in one go.
const SWEPT_AT_ONCE: usize = 256;

impl Tables<'_> {
    /// Carries out an operation that changes something.
    pub(super) fn write(&mut self, operation: Operation) -> Result<Answer, Failure> {
        match operation {
            Operation::Add { key, value } => self.add(key.as_bytes(), value),
            Operation::Set { key, value, expires } => self.set(key.as_bytes(), value, expires),
            Operation::Delete { key } => {
                self.remove(key.as_bytes())?;
                Ok(Answer::Deleted { key })
            }
            Operation::Push { key, value } => self.push(key.as_bytes(), value.as_bytes()),
            Operation::ListItemDelete { key, value } => self.delete_items(key.as_bytes(), value.as_bytes()),
            Operation::SetAdd { key, value } => self.add_member(key.as_bytes(), value.as_bytes()),
            Operation::SetRemove { key, value } => self.remove_member(key.as_bytes(), value.as_bytes()),
            reading => unreachable!("{reading:?} changes nothing"),
        }
    }

    fn add(&mut self, key: &[u8], value: i32) -> Result<Answer, Failure> {
        let found = with(&self.keys, key, self.now, |record| match record {
            None => Ok(None),
            Some(Record { expires, content: Content::Text(text) }) => match number(text) {
                Some(number) => Ok(Some((number, expires))),
                None => refuse(Refusal::NotANumber),
            },
            Some(_) => refuse(Refusal::WrongKind),
        })?;
        let (before, expires) = found.unwrap_or_default();
        let sum = before.checked_add(i64::from(value)).and_then(|sum| i32::try_from(sum).ok());
        let Some(sum) = sum else { return refuse(Refusal::Overflow) };
        if found.is_none() {
            self.remove(key)?;
        }
        self.keep(key, Record { expires, content: Content::Text(&sum.to_string()) })?;
        Ok(Answer::Sum { value: sum })
    }

    fn set(&mut self, key: &[u8], value: String, expires: i32) -> Result<Answer, Failure> {
        self.remove(key)?;
        let expires = match u64::try_from(expires) {
            Ok(seconds) if seconds > 0 => self.now.saturating_add(seconds * 1000),
            _ => 0,
        };
        self.keep(key, Record { expires, content: Content::Text(&value) })?;
        if expires != 0 {
            self.expiries.insert((expires, key), ())?;
        }
        Ok(Answer::Stored { value })
    }

    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<Answer, Failure> {
        let (list, expires) = match self.list(key)? {
            Some((list, expires)) => (List { front: list.front - 1, count: list.count + 1, ..list }, expires),
            None => {
                self.remove(key)?;
                (List { front: 0, back: 0, count: 1 }, 0)
            }
        };
        self.items.insert((key, list.front), value)?;
        self.keep(key, Record { expires, content: Content::List(list) })?;
        Ok(Answer::List { new_count: count(list.count) })
    }

    fn delete_items(&mut self, key: &[u8], value: &[u8]) -> Result<Answer, Failure> {
        let Some((mut list, expires)) = self.list(key)? else { return Ok(Answer::List { new_count: 0 }) };
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
            let first = left.next().ok_or_else(damaged)??.0.value().1;
            let last = left.next_back().transpose()?.map_or(first, |last| last.0.value().1);
            drop(left);
            list = List { front: first, back: last, ..list };
            self.keep(key, Record { expires, content: Content::List(list) })?;
        }
        Ok(Answer::List { new_count: count(removed) })
    }

    fn add_member(&mut self, key: &[u8], member: &[u8]) -> Result<Answer, Failure> {
        let (members, expires) = match self.set_of(key)? {
            Some(set) => set,
            None => {
                self.remove(key)?;
                (0, 0)
            }
        };
        if self.members.insert((key, member), ())?.is_some() {
            return Ok(Answer::Members { new_count: 0 });
        }
        self.keep(key, Record { expires, content: Content::Set(members + 1) })?;
        Ok(Answer::Members { new_count: 1 })
    }

    fn remove_member(&mut self, key: &[u8], member: &[u8]) -> Result<Answer, Failure> {
        let Some((members, expires)) = self.set_of(key)? else { return Ok(Answer::Members { new_count: 0 }) };
        if self.members.remove((key, member))?.is_none() {
            return Ok(Answer::Members { new_count: 0 });
        }
        if members <= 1 {
            self.remove(key)?;
        } else {
            self.keep(key, Record { expires, content: Content::Set(members - 1) })?;
        }
        Ok(Answer::Members { new_count: 1 })
    }

    /// Removes keys that have expired, and tells whether there may be more of them.
    pub(super) fn sweep(&mut self) -> Result<bool, Failure> {
        let mut expired = Vec::new();
        for entry in self.expiries.range(..(self.now, &b""[..]))?.take(SWEPT_AT_ONCE) {
            let entry = entry?.0;
            let (expires, key) = entry.value();
            expired.push((expires, key.to_vec()));
        }
        for (expires, key) in &expired {
            self.remove(key)?;
            self.expiries.remove((*expires, key.as_slice()))?;
        }
        Ok(expired.len() == SWEPT_AT_ONCE)
    }

    fn list(&self, key: &[u8]) -> Result<Option<(List, u64)>, Failure> {
        with(&self.keys, key, self.now, |record| match record {
            None => Ok(None),
            Some(Record { expires, content: Content::List(list) }) => Ok(Some((list, expires))),
            Some(_) => refuse(Refusal::WrongKind),
        })
    }

    fn set_of(&self, key: &[u8]) -> Result<Option<(u64, u64)>, Failure> {
        with(&self.keys, key, self.now, |record| match record {
            None => Ok(None),
            Some(Record { expires, content: Content::Set(members) }) => Ok(Some((members, expires))),
            Some(_) => refuse(Refusal::WrongKind),
        })
    }

    fn keep(&mut self, key: &[u8], record: Record<'_>) -> Result<(), Failure> {
        self.keys.insert(key, record.encode().as_slice())?;
        Ok(())
    }

    /// Removes a key with all that belongs to it, expired or not.
    fn remove(&mut self, key: &[u8]) -> Result<(), Failure> {
        let (is_list, is_set, expires) = {
            let Some(bytes) = self.keys.remove(key)? else { return Ok(()) };
            let Record { expires, content } = Record::decode(bytes.value()).ok_or_else(damaged)?;
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

/// A number as Redis reads it: as it would be written, without signs, zeros or blanks that say nothing.
fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A number of items, of which there are never more than the contract can count: they would not fit any disk.
fn count(items: u64) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_redis_takes_for_numbers() {
        for (text, expected) in [("0", Some(0)), ("-5", Some(-5)), ("9223372036854775807", Some(i64::MAX))] {
            assert_eq!(number(text), expected);
        }
        for text in ["", " 1", "1 ", "+1", "01", "-0", "1.0", "9223372036854775808", "one"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
