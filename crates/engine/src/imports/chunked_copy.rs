//! Large copies between a guest's memory and the host, made in chunks with yields between them.

use std::ops::Range;

use wasmer::AsyncFunctionEnvMut;

use super::Env;
use super::guest_memory::GuestMemory;
use crate::fault::Fault;
use crate::guest_state::{DeferredCopy, GuestState};

/// The size of the chunks of large copies. A chunk takes some tenths of a millisecond, most of it spent by the
/// operating system if the memory has not been touched before. Unit: bytes.
pub(crate) const COPY_CHUNK: usize = 1 << 20;

/// Copies bytes in chunks and yields between them if the guest's slice is over.
///
/// # Errors
/// Returns the fault of a copy, or the fault that ends the guest.
pub(super) async fn copy_in_chunks(
    env: &AsyncFunctionEnvMut<Env>,
    state: &GuestState,
    bytes: usize,
    mut copy: impl FnMut(&GuestMemory<'_>, Range<usize>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for begin in (0..bytes).step_by(COPY_CHUNK) {
        {
            let env = env.read().await;
            copy(&GuestMemory::of(state, &env)?, begin..bytes.min(begin + COPY_CHUNK))?;
        }
        state.yield_if_due().await?;
    }
    Ok(())
}

/// Makes a deferred copy.
pub(super) async fn make_deferred_copy(
    copy: DeferredCopy,
    env: &AsyncFunctionEnvMut<Env>,
    state: &GuestState,
) -> Result<(), Fault> {
    match copy {
        DeferredCopy::Request { operation, payload } => {
            let operation_bytes = state.with_request(|request| request.operation.len());
            copy_in_chunks(env, state, operation_bytes, |memory, range| {
                state.with_request(|request| memory.write_chunk(operation, request.operation.as_bytes(), range))
            })
            .await?;
            let payload_bytes = state.with_request(|request| request.payload.len());
            copy_in_chunks(env, state, payload_bytes, |memory, range| {
                state.with_request(|request| memory.write_chunk(payload, &request.payload, range))
            })
            .await
        }
        DeferredCopy::Response { pointer, length } => {
            let mut response = state.take_response_buffer();
            response.reserve_exact(length as usize);
            copy_in_chunks(env, state, length as usize, |memory, range| {
                memory.read_chunk(pointer, &mut response, range)
            })
            .await?;
            state.set_response(response);
            Ok(())
        }
        DeferredCopy::HostResponse { pointer } => {
            copy_in_chunks(env, state, state.host_response_length(), |memory, range| {
                state.with_host_response(|bytes| memory.write_chunk(pointer, bytes, range))
            })
            .await
        }
    }
}
