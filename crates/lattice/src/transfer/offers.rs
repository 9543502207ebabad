//! The payloads that a host offers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::budget::{Budget, Share};
use super::frame::Request;
use crate::wire::Transfer;

/// How often the bytes of a payload are sent at most. Chunks that are lost are sent again.
const MOST_SENDINGS: u64 = 4;

pub(super) type Id = [u8; 16];

/// The payloads that are offered.
#[derive(Debug)]
pub(super) struct Offers {
    budget: Arc<Budget>,
    largest: usize,
    payloads: Mutex<HashMap<Id, Offered>>,
}

struct Offered {
    payload: Bytes,
    /// How many bytes may still be sent.
    left: u64,
}

/// Why there is no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoChunk {
    /// The payload is not offered.
    Unknown,
    /// The request is malformed, or for a place beyond the payload.
    Malformed,
    /// The payload has been sent too often.
    Exhausted,
}

/// A payload that is offered to the receiver of its transfer. Dropping it ends that.
#[derive(Debug)]
#[must_use = "dropping an offer ends it"]
pub struct Offer {
    transfer: Transfer,
    offers: Arc<Offers>,
    _share: Share,
}

impl Offer {
    /// Returns what the receiver needs to fetch the payload.
    pub fn transfer(&self) -> Transfer {
        self.transfer
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.offers.payloads().remove(&self.transfer.id);
    }
}

impl Offers {
    pub(super) fn new(bytes: usize, largest: usize) -> Offers {
        Offers { budget: Arc::new(Budget::new(bytes)), largest, payloads: Mutex::default() }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Offers a payload.
    pub(super) fn offer(offers: &Arc<Offers>, payload: Bytes) -> Result<Offer> {
        if payload.len() > offers.largest {
            let message = format!("a payload of {} bytes exceeds the limit of {}", payload.len(), offers.largest);
            return Err(Error::new(ErrorKind::MessageTooLarge, message));
        }
        let share = Budget::take(&offers.budget, payload.len()).ok_or_else(|| {
            let message = "too many bytes wait to be fetched by other hosts: try again later";
            Error::new(ErrorKind::Busy, message)
        })?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            Error::new(ErrorKind::Io, "the system supplies no random numbers").caused_by(error.to_string())
        })?;
        let transfer = Transfer { id, size: payload.len() as u64, hash: *blake3::hash(&payload).as_bytes() };
        let left = transfer.size.saturating_mul(MOST_SENDINGS);
        offers.payloads().insert(id, Offered { payload, left });
        Ok(Offer { transfer, offers: Arc::clone(offers), _share: share })
    }

    /// Returns the chunk that is requested, of at most `longest` bytes.
    pub(super) fn chunk(&self, id: &Id, request: Request, longest: usize) -> std::result::Result<Bytes, NoChunk> {
        let mut payloads = self.payloads();
        let offered = payloads.get_mut(id).ok_or(NoChunk::Unknown)?;
        let size = offered.payload.len();
        let start = usize::try_from(request.offset).ok().filter(|start| *start < size).ok_or(NoChunk::Malformed)?;
        let length = usize::try_from(request.length).unwrap_or(usize::MAX).min(longest).min(size - start);
        offered.left = offered.left.checked_sub(length as u64).ok_or(NoChunk::Exhausted)?;
        Ok(offered.payload.slice(start..start + length))
    }

    fn payloads(&self) -> MutexGuard<'_, HashMap<Id, Offered>> {
        self.payloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offered").field("size", &self.payload.len()).field("left", &self.left).finish()
    }
}
