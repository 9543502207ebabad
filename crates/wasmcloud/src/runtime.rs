//! The runtime of commands that wait for hosts, servers and signals.

use crate::outcome::{CommandError, CommandResult};

/// Runs a future on this thread. Hosts have threads of their own, so that signals are served whatever a host does.
pub(crate) fn in_runtime<T>(work: impl Future<Output = T>) -> CommandResult<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Failed(format!("cannot make a runtime: {error}")))?;
    let done = runtime.block_on(work);
    // What still blocks, such as the resolution of a name, is not waited for.
    runtime.shutdown_background();
    Ok(done)
}
