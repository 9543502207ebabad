//! Writes that replace the revision they were decided on: tried again when another write came first, and cleared up when the
//! acknowledgement was lost.

use std::time::Duration;

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Registry;
use super::bucket::{ReadFailure, Stored, WriteFailure, unavailable};
use super::entry::{Entry, Refusal, Value, sign};
use super::key::Key;

/// The times that a write is tried before it is given up.
const ATTEMPTS: u32 = 16;

/// The times that a write without an acknowledgement is cleared up.
const CLARIFICATIONS: u32 = 4;

/// What the bucket holds under a key.
#[derive(Debug, Clone)]
pub(super) enum Current {
    Absent,
    Valid { revision: u64, entry: Entry },
    Refused { revision: u64, refusal: Refusal },
}

impl Current {
    /// Returns the revision, or 0 if there is no entry.
    pub(super) fn revision(&self) -> u64 {
        match self {
            Current::Absent => 0,
            Current::Valid { revision, .. } | Current::Refused { revision, .. } => *revision,
        }
    }

    /// Returns the value of a valid entry.
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Current::Valid { entry, .. } => Some(&entry.value),
            _ => None,
        }
    }
}

/// What to do with an entry.
pub(super) enum Decision {
    /// The entry is as wanted.
    Keep,
    Write(Value),
}

impl Registry {
    /// Reads what the bucket holds under a key.
    pub(super) async fn current(&self, key: &Key) -> Result<Current> {
        let outcome = match self.0.bucket.read(key).await {
            Err(ReadFailure::Missing) => {
                self.recover().await?;
                self.0.bucket.read(key).await
            }
            outcome => outcome,
        };
        let stored = match outcome {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Current::Absent),
            Err(ReadFailure::Failed(error)) => return Err(error),
            Err(ReadFailure::Missing) => return Err(unavailable("its stream does not exist")),
        };
        let revision = stored.sequence;
        Ok(match self.verify(key, &stored) {
            Ok(entry) => Current::Valid { revision, entry },
            Err(refusal) => Current::Refused { revision, refusal },
        })
    }

    /// Verifies an entry of the bucket.
    pub(super) fn verify(&self, key: &Key, stored: &Stored) -> Result<Entry, Refusal> {
        if stored.is_marker {
            return Err(Refusal::Marker);
        }
        let entry = self.verifier().read(key, &stored.payload)?;
        let oldest = stored.seconds.saturating_sub(self.0.options.clock_tolerance.as_secs());
        if entry.base >= stored.sequence || entry.seconds < oldest {
            return Err(Refusal::Outdated);
        }
        Ok(entry)
    }

    /// Replaces an entry by what `decide` makes of the current one. Returns the revision of the entry afterwards.
    pub(super) async fn replace(&self, key: &Key, mut decide: impl FnMut(&Current) -> Result<Decision>) -> Result<u64> {
        for attempt in 0..ATTEMPTS {
            let current = self.current(key).await?;
            match decide(&current)? {
                Decision::Keep => return Ok(current.revision()),
                Decision::Write(value) => {
                    if let Some(revision) = self.attempt(key, &current, &value, 0).await? {
                        return Ok(revision);
                    }
                }
            }
            self.back_off(attempt).await;
        }
        Err(exhausted(key))
    }

    /// Tries to replace an entry once. Returns `None` if another write came first. `floor` is a revision that has passed for
    /// certain, or 0.
    pub(super) async fn attempt(&self, key: &Key, current: &Current, value: &Value, floor: u64) -> Result<Option<u64>> {
        if let Current::Refused { refusal: Refusal::NewerSchema, .. } = current {
            let message = format!("the entry {key} of the registry was written by a newer host: update this one");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let expected = current.revision();
        let base = match (expected, floor) {
            // A removal that was purged has passed as well. Readers that still know it accept nothing older.
            (0, 0) => match self.0.bucket.last_sequence().await {
                Ok(last) => last,
                Err(error) => return self.recover().await.map(|()| None).map_err(|_| error),
            },
            (0, floor) => floor,
            (expected, _) => expected,
        };
        let bytes = Bytes::from(sign(&self.0.writer, self.0.bucket.namespace.as_str(), key, base, value)?);
        match self.0.bucket.write(key, &bytes, Some(expected)).await {
            Ok(revision) => Ok(Some(revision)),
            Err(WriteFailure::Conflict) => Ok(None),
            Err(WriteFailure::Missing) => self.recover().await.map(|()| None),
            Err(WriteFailure::Refused(error)) => Err(error),
            Err(WriteFailure::Unknown(error)) => self.clear_up(key, &bytes, expected, error).await,
        }
    }

    /// Finds out what became of a write without an acknowledgement. The same bytes are sent again while the entry is the expected
    /// one: they are stored once at most.
    async fn clear_up(&self, key: &Key, bytes: &Bytes, expected: u64, error: Error) -> Result<Option<u64>> {
        for attempt in 0..CLARIFICATIONS {
            self.back_off(attempt + 3).await;
            let Ok(stored) = self.0.bucket.read(key).await else { continue };
            let found = stored.as_ref().map_or(0, |stored| stored.sequence);
            if stored.as_ref().is_some_and(|stored| stored.payload == *bytes) {
                self.0.counters.reconciled_writes.add();
                return Ok(Some(found));
            }
            if found != expected {
                let follows_the_same = expected > 0
                    && stored.and_then(|stored| self.verify(key, &stored).ok()).is_some_and(|e| e.base == expected);
                if follows_the_same {
                    self.0.counters.reconciled_writes.add();
                    return Ok(None);
                }
                break;
            }
            if let Ok(revision) = self.0.bucket.write(key, bytes, Some(expected)).await {
                self.0.counters.reconciled_writes.add();
                return Ok(Some(revision));
            }
        }
        Err(error)
    }

    /// Creates the bucket again if it is gone, and wakes the watchers.
    pub(super) async fn recover(&self) -> Result<()> {
        let _one_at_a_time = self.0.recovery.lock().await;
        let is_there = self.0.bucket.ensure().await?;
        self.0.audit.send_replace(());
        if is_there { Ok(()) } else { Err(unavailable("JetStream does not answer")) }
    }

    /// Waits a short time by chance, longer after each attempt.
    pub(super) async fn back_off(&self, attempt: u32) {
        self.0.counters.retried_writes.add();
        let most = 4_u64 << attempt.min(6);
        tokio::time::sleep(Duration::from_micros(1000 * most * u64::from(chance()) / u64::from(u32::MAX))).await;
    }
}

/// Returns a number by chance.
pub(super) fn chance() -> u32 {
    // Without the system's random numbers there is no jitter, which is harmless.
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

pub(super) fn exhausted(key: &Key) -> Error {
    let message =
        format!("the entry {key} of the registry was changed by others {ATTEMPTS} times meanwhile: try again");
    Error::new(ErrorKind::RegistryConflict, message)
}

pub(super) fn attempts() -> std::ops::Range<u32> {
    0..ATTEMPTS
}
