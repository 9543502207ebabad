//! `wasmcloud:logging`: writes the lines of actors to the host's log.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: the configuration, parsed from a link's values

mod config;
mod payloads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_core::limited_log::LimitedLog;
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

/// The provider of `wasmcloud:logging`: writes the lines of actors to the host's log, through the crate `log`.
///
/// Each link configures the provider for one actor, by the values that [`Logging::LINK_VALUES`] lists.
///
/// The provider refuses a link if a value is unknown or invalid. The error names the value.
///
/// Each line has the target `wasmcloud_actor`, and begins with the actor's name. Its structured fields are `actor` (the public key),
/// `actor_name`, `actor_target` (the target that the actor named), and `call` (the identifier of the chain of calls). Control
/// characters are escaped, so an actor cannot forge lines.
/// `WriteLog` accepts a level as text or as a number from 1 (`error`) to 5 (`trace`). Lines with level 0 are discarded.
///
/// Lines beyond the rate are left out: the call succeeds, and a line reports their number within a second. Warnings and errors
/// have a rate of their own, of the same size.
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
    actor: Arc<str>,
    name: Arc<str>,
    config: LogConfig,
    limit: Arc<LimitedLog>,
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
    fn new(actor: &str, name: &str, config: LogConfig) -> LogLink {
        let actor: Arc<str> = actor.into();
        let name: Arc<str> = truncate(name, MAX_NAME_BYTES).into();
        let limit = LimitedLog::new(config.rate, {
            let (actor, name) = (actor.clone(), name.clone());
            move |left_out| {
                log::warn!(
                    target: TARGET, actor = &*actor, actor_name = &*name, left_out = left_out.lines;
                    "{name}: {left_out}: the link's LINES_PER_SECOND and BURST allow no more"
                );
            }
        });
        LogLink { actor, name, config, limit }
    }

    fn write(&self, line: &LogLine<'_>, call: Option<CallId>) {
        let Some(level) = line.level.filter(|level| *level <= self.config.level) else { return };
        // A line that is not logged does not count for the rate.
        if !log::log_enabled!(target: TARGET, level) || !self.limit.admit(level) {
            return;
        }
        let (actor, name) = (&*self.actor, &*self.name);
        let target = truncate(line.target, MAX_NAME_BYTES);
        let text = truncate(line.text, self.config.text_limit);
        log::log!(target: TARGET, level, actor, actor_name = name, actor_target = target, call; "{name}: {text}");
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
        let link = LogLink::new(&binding.actor, &binding.actor_name, config);
        let previous = self.links().insert(binding.actor, Arc::new(link));
        previous.inspect(|link| link.limit.report());
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        let previous = self.links().remove(actor);
        previous.inspect(|link| link.limit.report());
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
        links.into_values().for_each(|link| link.limit.report());
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
