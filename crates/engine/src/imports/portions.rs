//! Copies between a guest's memory and the host that take too long for one step.

use std::ops::Range;

use wasmer::AsyncFunctionEnvMut;

use super::Shared;
use super::guest_memory::GuestMemory;
use crate::exchange::{Exchange, LargeCopy};
use crate::fault::Fault;

/// How much is copied in one step at most, in bytes. It takes some tenths of a millisecond, most of it the operating
/// system's, where the memory has not been touched before.
pub(crate) const PORTION: usize = 1 << 20;

/// Copies so many bytes in portions, and lets the shard serve others in between.
///
/// # Errors
/// Those of the copies, and why the guest should not go on, if it should not.
pub(super) async fn in_portions(
    env: &AsyncFunctionEnvMut<Shared>,
    exchange: &Exchange,
    bytes: usize,
    mut copy: impl FnMut(&GuestMemory<'_>, Range<usize>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for begin in (0..bytes).step_by(PORTION) {
        {
            let env = env.read().await;
            copy(&GuestMemory::of(exchange, &env)?, begin..bytes.min(begin + PORTION))?;
        }
        exchange.rest_if_due().await?;
    }
    Ok(())
}

/// Makes a copy that was put off.
pub(super) async fn carry_out(
    copy: LargeCopy,
    env: &AsyncFunctionEnvMut<Shared>,
    exchange: &Exchange,
) -> Result<(), Fault> {
    match copy {
        LargeCopy::Request { operation, message } => {
            let (operation_bytes, message_bytes) =
                exchange.with_request(|operation, message| (operation.len(), message.len()));
            in_portions(env, exchange, operation_bytes, |memory, range| {
                exchange.with_request(|bytes, _| memory.write_portion(operation, bytes, range))
            })
            .await?;
            in_portions(env, exchange, message_bytes, |memory, range| {
                exchange.with_request(|_, bytes| memory.write_portion(message, bytes, range))
            })
            .await
        }
        LargeCopy::Response { pointer, length } => {
            let mut response = exchange.take_response_buffer();
            response.reserve_exact(length as usize);
            in_portions(env, exchange, length as usize, |memory, range| {
                memory.read_portion(pointer, &mut response, range)
            })
            .await?;
            exchange.set_response(response);
            Ok(())
        }
        LargeCopy::HostResponse { pointer } => {
            in_portions(env, exchange, exchange.host_response_length(), |memory, range| {
                exchange.with_host_response(|bytes| memory.write_portion(pointer, bytes, range))
            })
            .await
        }
    }
}
