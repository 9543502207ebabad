//! `wasmcloud:logging`: lines of actors on the host's log.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: what a link's values mean
//! - `rate_limiter`: how many lines an actor may write

mod config;
mod payloads;
mod rate_limiter;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use wasmcloud_core::error::{BoxedError, Result, printable};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use config::LogConfig;
use payloads::LogLine;
use rate_limiter::RateLimiter;

const CONTRACT: &str = "wasmcloud:logging";

/// The provider's public key, the same in every host.
const PUBLIC_KEY: &str = "VBHIMVFEU4YTNTOHBKBVDDI6IBYJJLY6NXQGTUOOPAD6PKTFMUQL27PQ";

/// The target that lines of actors have on the host's log. What an actor calls its target is a field of the line.
const TARGET: &str = "wasmcloud_actor";

/// How much of an actor's name or target is on the log, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// The longest message of a line, in bytes. To look through more of it would hold the shard for longer than some milliseconds.
const MAX_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;

/// How long lines are suppressed before it is said how many were.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// A log as a capability provider: lines that actors write go to the `log` crate, and so wherever the program's logger
/// puts them.
///
/// | link value | meaning | default |
/// |---|---|---|
/// | `LEVEL` | the least severe level that is passed on: `error`, `warn`, `info`, `debug`, `trace`, or `off` | `trace` |
/// | `LINES_PER_SECOND` | how many lines the actor may write per second, 1 to 1000000 | 100 |
/// | `BURST` | how many it may write at once after a pause, 1 to 1000000 | 500 |
/// | `TEXT_LIMIT` | how many bytes of a line's text are kept, 8192 at most | 8192 (8 KiB) |
///
/// A link is refused, naming the value, where one is unknown or cannot be read.
///
/// Each line has the target `wasmcloud_actor`, the actor's name before its text, and the structured fields `actor` (the
/// public key), `actor_name` and `target` (as the actor calls it). Control characters are escaped, so a line of an actor
/// is one line of the log and looks like nobody else's. `WriteLog` takes its level as a text or a number, from 1 for
/// `error` to 5 for `trace`; a line with level 0 is not written.
///
/// Lines beyond an actor's pace are suppressed: the call succeeds all the same, and within a second a line says how many
/// there were.
///
/// ```
/// use std::collections::HashMap;
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
    /// The links, by the public key of their actor.
    links: Mutex<HashMap<String, Arc<LogLink>>>,
}

/// What belongs to one link.
#[derive(Debug)]
struct LogLink {
    actor: String,
    name: String,
    config: LogConfig,
    rate: Mutex<RateLimiter>,
}

impl Logging {
    /// A log to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> Logging {
        Logging { link_name, links: Mutex::default() }
    }

    /// The log as a provider to start.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn capability(self) -> Result<NativeCapability> {
        let claims = super::claims("Log", PUBLIC_KEY, CONTRACT);
        let link_name = self.link_name.clone();
        NativeCapability::from_async(self, link_name, claims)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<LogLink>>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogLink {
    fn write(self: &Arc<LogLink>, line: &LogLine<'_>) {
        let Some(level) = line.level.filter(|level| *level <= self.config.level) else { return };
        // What nobody reads costs the actor nothing.
        if !log::log_enabled!(target: TARGET, level) {
            return;
        }
        if !self.rate().try_acquire(Instant::now()) {
            self.suppress();
            return;
        }
        let (actor, name) = (self.actor.as_str(), self.name.as_str());
        let target = truncate(line.target, MAX_NAME_BYTES);
        let text = truncate(line.text, self.config.text_limit);
        log::log!(target: TARGET, level, actor, actor_name = name, target = target.as_str(); "{name}: {text}");
    }

    fn suppress(self: &Arc<LogLink>) {
        if self.rate().count_suppressed() > 1 {
            // Somebody is about to tell.
            return;
        }
        let link = self.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(REPORT_AFTER).await;
            link.log_suppressed();
        });
    }

    fn log_suppressed(&self) {
        let suppressed = self.rate().take_suppressed();
        if suppressed > 0 {
            let (actor, name) = (self.actor.as_str(), self.name.as_str());
            log::warn!(
                target: TARGET, actor, actor_name = name, suppressed;
                "{name}: {suppressed} line(s) were suppressed: the link's LINES_PER_SECOND and BURST allow no more"
            );
        }
    }

    fn rate(&self) -> MutexGuard<'_, RateLimiter> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text of an actor, cut and fit for a line of a log.
fn truncate(text: &str, limit: usize) -> String {
    let kept = &text[..text.floor_char_boundary(limit)];
    let left_out = text.len() - kept.len();
    let shown = printable(kept.as_bytes());
    if left_out == 0 { shown } else { format!("{shown}... ({left_out} more bytes)") }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Logging {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let config = LogConfig::from_link_values(&binding.values)?;
        let link = LogLink {
            actor: binding.actor.clone(),
            name: truncate(&binding.actor_name, MAX_NAME_BYTES),
            rate: Mutex::new(RateLimiter::new(config.lines_per_second, config.burst, Instant::now())),
            config,
        };
        let previous = self.links().insert(binding.actor, Arc::new(link));
        previous.inspect(|link| link.log_suppressed());
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        let previous = self.links().remove(actor);
        previous.inspect(|link| link.log_suppressed());
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let bytes = call.message.len();
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(format!("the line's message has {bytes} bytes, {MAX_PAYLOAD_BYTES} are allowed").into());
        }
        let line = LogLine::decode(&call.operation, &call.message)?;
        let link = self.links().get(&call.actor).cloned();
        link.ok_or_else(|| format!("actor {} is not linked to a log", call.actor))?.write(&line);
        Ok(Vec::new())
    }

    async fn stop(&self) {
        let links = std::mem::take(&mut *self.links());
        links.into_values().for_each(|link| link.log_suppressed());
    }
}

/// What the payload of an operation says, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    LogLine::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(truncate("short", 5), "short");
        assert_eq!(truncate("aé", 2), "a... (2 more bytes)");
        assert_eq!(truncate("a\nERROR b", 100), "a\\nERROR b");
    }
}
