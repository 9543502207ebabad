//! Fetches a payload from the host that offers it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use futures_util::{StreamExt, stream};
use tokio::time::{sleep, timeout};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Inner;
use super::budget::Budget;
use super::frame::Request;
use crate::wire::Transfer;

/// The largest chunk. Smaller messages of other calls pass between chunks. Unit: bytes.
const CHUNK: usize = 256 * 1024;

/// The smallest chunk that a host may send instead of a larger one. Unit: bytes.
const SMALLEST: usize = 1024;

/// How many chunks are requested at a time.
const IN_FLIGHT: usize = 8;

/// How long the first attempt for a chunk may take. Each further one may take twice as long.
const FIRST_LIMIT: Duration = Duration::from_secs(2);

/// How long the host may have no subscription, since its connection may be made anew.
const ABSENCE: Duration = Duration::from_secs(3);

/// The delay before a chunk is requested again.
const RETRY: Duration = Duration::from_millis(50);

/// The payload that is fetched, and from where.
struct Fetch<'a> {
    inner: &'a Inner,
    host: &'a str,
    transfer: &'a Transfer,
    /// The greatest length of a chunk that the host has been able to send.
    longest: AtomicUsize,
}

/// A part of the payload that is requested in one or more pieces.
#[derive(Clone, Copy)]
struct Part {
    number: usize,
    offset: usize,
    length: usize,
}

/// What was received of a payload.
struct Received {
    payload: Vec<u8>,
    hasher: blake3::Hasher,
}

pub(super) async fn fetch(inner: &Inner, host: &str, transfer: &Transfer, deadline: Instant) -> Result<Vec<u8>> {
    let largest = inner.settings.message_bytes;
    let size = usize::try_from(transfer.size).ok().filter(|size| *size <= largest).ok_or_else(|| {
        let message = format!("a payload of {} bytes exceeds the limit of {largest}", transfer.size);
        Error::new(ErrorKind::MessageTooLarge, message)
    })?;
    let Some(_share) = Budget::take(&inner.fetched, size) else {
        inner.counters.add(|counts| counts.busy += 1);
        let message = "too many bytes are fetched from other hosts at the same time: try again later";
        return Err(Error::new(ErrorKind::Busy, message));
    };
    let longest = inner.max_payload().clamp(SMALLEST, CHUNK);
    let fetch = Fetch { inner, host, transfer, longest: AtomicUsize::new(longest) };
    let rest = deadline.saturating_duration_since(Instant::now());
    timeout(rest, fetch.run(size, longest)).await.unwrap_or_else(|_| Err(fetch.late()))
}

impl Fetch<'_> {
    /// Fetches all parts, and checks the hash.
    async fn run(&self, size: usize, part: usize) -> Result<Vec<u8>> {
        let parts = (0..size.div_ceil(part)).map(|number| {
            let offset = number * part;
            Part { number, offset, length: part.min(size - offset) }
        });
        let mut received = Received { payload: Vec::new(), hasher: blake3::Hasher::new() };
        let mut arriving = stream::iter(parts).map(|part| self.part(part)).buffered(IN_FLIGHT);
        while let Some(part) = arriving.next().await {
            received.add(&part?, size)?;
        }
        if *received.hasher.finalize().as_bytes() == self.transfer.hash {
            return Ok(received.payload);
        }
        Err(self.refused("sent another payload than the one that it announced"))
    }

    /// Fetches a part, in several pieces if the host sends less at a time.
    async fn part(&self, part: Part) -> Result<Bytes> {
        let mut whole = BytesMut::new();
        loop {
            let left = part.length - whole.len();
            let length = left.min(self.longest.load(Ordering::Relaxed));
            let piece = self.piece(part.number, part.offset + whole.len(), length).await?;
            if piece.len() < length {
                self.longest.fetch_min(piece.len(), Ordering::Relaxed);
            }
            if whole.is_empty() && piece.len() == left {
                return Ok(piece);
            }
            whole.extend_from_slice(&piece);
            if whole.len() == part.length {
                return Ok(whole.freeze());
            }
        }
    }

    /// Fetches a piece. It is requested again if the request, the answer or the connection is lost.
    async fn piece(&self, number: usize, offset: usize, length: usize) -> Result<Bytes> {
        let id = HEXLOWER.encode(&self.transfer.id);
        let subject = self.inner.settings.namespace.peer(&format!("host.{}.chunk.{id}.{number}", self.host));
        let request = Request { offset: offset as u64, length: u32::try_from(length).unwrap_or(u32::MAX) };
        let mut limit = FIRST_LIMIT;
        let mut absent_since = None;
        loop {
            let connection = &self.inner.settings.connection;
            if !connection.joined().await {
                return Err(self.unavailable("the connection is closed"));
            }
            let outcome = connection.request(subject.clone(), request.encode(), limit).await;
            let error = match outcome {
                Ok(answer) => return self.read(answer.payload, length),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::DeadlineExceeded => {
                    absent_since = None;
                    limit = limit.saturating_mul(2);
                }
                ErrorKind::OutcomeUnknown => absent_since = None,
                ErrorKind::LatticeUnavailable if !connection.state().is_joined() => absent_since = None,
                ErrorKind::LatticeUnavailable => {
                    if absent_since.get_or_insert_with(Instant::now).elapsed() > ABSENCE {
                        return Err(self.unavailable("it is gone").caused_by(error));
                    }
                }
                _ => return Err(self.unavailable("a chunk cannot be requested").caused_by(error)),
            }
            self.inner.counters.add(|counts| counts.retries += 1);
            sleep(RETRY).await;
        }
    }

    /// Returns the chunk that an answer holds.
    fn read(&self, answer: Bytes, longest: usize) -> Result<Bytes> {
        if answer.is_empty() {
            return Err(self.unavailable("it does not offer the payload, or no more"));
        }
        if answer.len() > longest || answer.len() < longest.min(SMALLEST) {
            return Err(self.refused("sent something else than the chunk that was requested"));
        }
        Ok(answer)
    }

    fn unavailable(&self, reason: &str) -> Error {
        let message = format!("a payload of host {} cannot be fetched: {reason}", self.host);
        Error::new(ErrorKind::LatticeUnavailable, message)
    }

    fn refused(&self, what: &str) -> Error {
        Error::new(ErrorKind::LatticeRefused, format!("host {} {what}", self.host))
    }

    fn late(&self) -> Error {
        let message =
            format!("a payload of {} bytes was not fetched in time from host {}", self.transfer.size, self.host);
        Error::new(ErrorKind::DeadlineExceeded, message)
    }
}

impl Received {
    /// Adds a piece. The buffer grows with what has arrived, up to the size of the payload.
    fn add(&mut self, piece: &[u8], size: usize) -> Result<()> {
        let left = self.payload.capacity() - self.payload.len();
        if left < piece.len() {
            let length = self.payload.len();
            let more = length.max(piece.len()).min(size.saturating_sub(length)).max(piece.len());
            self.payload.try_reserve_exact(more).map_err(|error| {
                Error::new(ErrorKind::Busy, "there is no memory for a large payload").caused_by(error)
            })?;
        }
        self.hasher.update(piece);
        self.payload.extend_from_slice(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_what_has_arrived() {
        let size = 10_000_000;
        let mut received = Received { payload: Vec::new(), hasher: blake3::Hasher::new() };
        let piece = vec![7; 65_536];
        while received.payload.len() < size {
            let next = piece.len().min(size - received.payload.len());
            received.add(&piece[..next], size).unwrap();
            assert!(received.payload.capacity() <= (2 * received.payload.len()).min(size));
        }
        assert_eq!(received.payload.capacity(), size);
    }
}
