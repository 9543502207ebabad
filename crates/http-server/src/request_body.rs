//! Reads the body of a request. Its memory counts as held by the client until the request is answered.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};

use crate::BoxedError;
use crate::connection_table::MemoryKind;
use crate::connection_table::{ConnectionHandle, MemoryReservation};
use crate::memory_quota::QuotaExceeded;
use crate::normalise::RequestFraming;

/// Maximum time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Number of bytes of a too large body that are read and discarded. A client that is still sending when the connection closes
/// may not receive the response. Unit: bytes.
const MAX_DISCARDED_BYTES: usize = 64 * 1024 * 1024;

/// Memory that is reserved for the first bytes of a body. Later reservations grow with the bytes that have arrived. Unit: bytes.
const FIRST_RESERVATION_BYTES: usize = 16 * 1024;

/// A body that has arrived. Its memory counts as held by the client until `reservations` are dropped.
#[derive(Debug, Default)]
pub(crate) struct RequestBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reservations: Vec<MemoryReservation>,
}

/// The error of reading a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    Incomplete,
    TimedOut,
    /// There is no memory for it.
    NoRoom,
}

impl From<QuotaExceeded> for BodyError {
    fn from(_: QuotaExceeded) -> BodyError {
        BodyError::NoRoom
    }
}

/// Reads a body of up to `limit` bytes.
///
/// # Errors
/// Returns an error if the body is too large, incomplete or late, or if there is no memory for it. Its memory is released.
pub(crate) async fn read<B>(
    mut body: B,
    framing: RequestFraming,
    limit: usize,
    connection: &Arc<ConnectionHandle>,
) -> Result<RequestBody, BodyError>
where
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
{
    if body.is_end_stream() {
        return Ok(RequestBody::default());
    }
    if framing.length.is_some_and(|length| length > limit) {
        // A client that waits for `100 Continue` has not sent the body.
        if !framing.expects_continue {
            discard(&mut body).await;
        }
        return Err(BodyError::TooLarge);
    }
    let expected = framing.length.unwrap_or(limit).min(limit);
    let outcome = {
        let refused = pin!(connection.bodies_rejected());
        let receiving = pin!(receive(&mut body, expected, limit, connection));
        // The body is polled first: if it has arrived already, neither of the others is needed.
        match tokio::time::timeout(BODY_TIMEOUT, select(receiving, refused)).await {
            Ok(Either::Left((received, _))) => received,
            Ok(Either::Right(((), _))) => Err(BodyError::NoRoom),
            Err(_) => Err(BodyError::TimedOut),
        }
    };
    if outcome.as_ref().is_err_and(|&error| error == BodyError::TooLarge) {
        discard(&mut body).await;
    }
    outcome
}

async fn receive<B>(
    body: &mut B,
    expected: usize,
    limit: usize,
    connection: &Arc<ConnectionHandle>,
) -> Result<RequestBody, BodyError>
where
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Unpin,
{
    let mut received = RequestBody::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else { continue };
        if data.len() > limit - received.bytes.len() {
            return Err(BodyError::TooLarge);
        }
        received.reserve(data.len(), expected, connection)?;
        // Copied, because small frames would keep their larger buffers alive.
        received.bytes.extend_from_slice(&data);
    }
    received.reservations.iter_mut().try_for_each(MemoryReservation::pin)?;
    Ok(received)
}

impl RequestBody {
    /// Reserves memory for more bytes: doubles the capacity, up to the expected size.
    fn reserve(
        &mut self,
        more: usize,
        expected: usize,
        connection: &Arc<ConnectionHandle>,
    ) -> Result<(), QuotaExceeded> {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let grown = (self.bytes.capacity() * 2).max(FIRST_RESERVATION_BYTES).min(expected).max(needed);
            self.reservations.push(connection.reserve_memory(MemoryKind::RequestBody, grown - self.bytes.capacity())?);
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
        Ok(())
    }
}

async fn discard<B: Body<Data = Bytes> + Unpin>(body: &mut B) {
    let discard = async {
        let mut left = MAX_DISCARDED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // A client that is too slow may not receive the response.
    let _ = tokio::time::timeout(BODY_TIMEOUT, discard).await;
}
