//! `wasmcloud:logging`: writes the lines of actors to the host's log.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: the configuration, parsed from a link's values

mod config;
mod payloads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_core::line_limiter::LineLimiter;
use wasmcloud_core::text::log_line;
use wasmcloud_core::trace::CallId;
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use config::LogConfig;
use payloads::LogLine;

const CONTRACT: &str = "wasmcloud:logging";

/// The provider's public key. It is the same in every host.
const PUBLIC_KEY: &str = "VBHIMVFEU4YTNTOHBKBVDDI6IBYJJLY6NXQGTUOOPAD6PKTFMUQL27PQ";

/// The target of actors' lines in the host's log. The target that an actor names is a field of the line.
const TARGET: &str = "wasmcloud_actor";

/// Number of bytes of an actor's name or target that are logged.
const MAX_NAME_BYTES: usize = 128;

/// Maximum size of a payload. Decoding a larger one would block the shard for milliseconds. Unit: bytes.
const MAX_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;

/// Delay between the first line that is left out and the report of their number.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// The provider of `wasmcloud:logging`: writes the lines of actors to the host's log, through the crate `log`.
///
/// Each link configures the provider for one actor, by the values that [`Logging::LINK_VALUES`] lists.
///
/// The provider refuses a link if a value is unknown or invalid. The error names the value.
///
/// Each line has the target `wasmcloud_actor`, and begins with the actor's name. Its structured fields are `actor` (the public key),
/// `actor_name`, `actor_target` (the target that the actor named), and `call` (the identifier of the chain of calls). Control characters are escaped, so an actor cannot forge
/// lines.
/// `WriteLog` accepts a level as text or as a number from 1 (`error`) to 5 (`trace`). Lines with level 0 are discarded.
///
/// Lines beyond the rate are left out: the call succeeds, and a line reports their number within a second.
///
/// # Example
/// ```
/// use wasmcloud_host::{HostBuilder, builtin::Logging};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// host.start_native_capability(Logging::new(None).capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Logging {
    link_name: Option<String>,
    /// The links, by the actor's public key.
    links: Mutex<HashMap<String, Arc<LogLink>>>,
}

/// The state of one link.
#[derive(Debug)]
struct LogLink {
    actor: String,
    name: String,
    config: LogConfig,
    limiter: Mutex<LineLimiter>,
}

impl Logging {
    /// Creates a provider that runs under this link name. Default: `default`.
    pub fn new(link_name: Option<String>) -> Logging {
        Logging { link_name, links: Mutex::default() }
    }

    /// Returns the provider for `Host::start_native_capability`.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn capability(self) -> Result<NativeCapability> {
        let claims = super::claims("Log", PUBLIC_KEY, CONTRACT);
        let link_name = self.link_name.clone();
        NativeCapability::from_async(self, link_name, claims)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<LogLink>>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogLink {
    fn write(self: &Arc<LogLink>, line: &LogLine<'_>, call: Option<CallId>) {
        let Some(level) = line.level.filter(|level| *level <= self.config.level) else { return };
        // A line that is not logged does not count for the rate.
        if !log::log_enabled!(target: TARGET, level) {
            return;
        }
        let left_out = {
            let mut limiter = self.limiter();
            if limiter.admit(Instant::now()) { 0 } else { limiter.left_out() }
        };
        if left_out > 0 {
            return self.report_later(left_out);
        }
        let (actor, name) = (self.actor.as_str(), self.name.as_str());
        let target = truncate(line.target, MAX_NAME_BYTES);
        let text = truncate(line.text, self.config.text_limit);
        log::log!(target: TARGET, level, actor, actor_name = name, actor_target = target, call; "{name}: {text}");
    }

    /// Schedules the report of the lines that were left out, with the first of them.
    fn report_later(self: &Arc<LogLink>, left_out: u64) {
        if left_out > 1 {
            return;
        }
        let link = self.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(REPORT_AFTER).await;
            link.log_left_out();
        });
    }

    fn log_left_out(&self) {
        let left_out = self.limiter().take_left_out();
        if left_out > 0 {
            let (actor, name) = (self.actor.as_str(), self.name.as_str());
            log::warn!(
                target: TARGET, actor, actor_name = name, left_out;
                "{name}: {left_out} line(s) were left out: the link's LINES_PER_SECOND and BURST allow no more"
            );
        }
    }

    fn limiter(&self) -> MutexGuard<'_, LineLimiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Truncates a text, and escapes its control characters.
fn truncate(text: &str, limit: usize) -> String {
    log_line(&text.as_bytes()[..text.floor_char_boundary(limit)], text.len())
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Logging {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let config = LogConfig::from_link_values(&binding.values)?;
        let link = LogLink {
            actor: binding.actor.clone(),
            name: truncate(&binding.actor_name, MAX_NAME_BYTES),
            limiter: Mutex::new(LineLimiter::new(config.lines_per_second, config.burst, Instant::now())),
            config,
        };
        let previous = self.links().insert(binding.actor, Arc::new(link));
        previous.inspect(|link| link.log_left_out());
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        let previous = self.links().remove(actor);
        previous.inspect(|link| link.log_left_out());
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let bytes = call.message.len();
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(format!("the payload has {bytes} bytes, {MAX_PAYLOAD_BYTES} are allowed").into());
        }
        let line = LogLine::decode(&call.operation, &call.message)?;
        let link = self.links().get(&call.actor).cloned();
        link.ok_or_else(|| format!("actor {} is not linked to a log", call.actor))?
            .write(&line, call.dispatcher.call_id());
        Ok(Vec::new())
    }

    async fn stop(&self) {
        let links = std::mem::take(&mut *self.links());
        links.into_values().for_each(|link| link.log_left_out());
    }
}

/// Decodes a payload and returns it as text, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    LogLine::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_truncated_between_characters() {
        assert_eq!(truncate("short", 5), "short");
        assert_eq!(truncate("aé", 2), "a... (2 more bytes)");
        assert_eq!(truncate("a\nERROR b", 100), "a\\nERROR b");
    }
}
