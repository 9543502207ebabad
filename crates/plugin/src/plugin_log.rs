//! The lines that a plugin writes to the host's log, within a limit: actors may be able to cause them.

use std::sync::Arc;

use log::Level;
use wasmcloud_core::limited_log::{LimitedLog, LogRate};
use wasmcloud_core::text::log_line;
use wasmcloud_provider::ProviderDescriptor;

/// The log target of plugins' lines.
const TARGET: &str = "wasmcloud_provider";

/// The log of a plugin.
#[derive(Debug)]
pub(super) struct PluginLog {
    /// The name of the provider.
    name: Arc<str>,
    /// The public key of the provider and its link name.
    key: Arc<str>,
    limit: Arc<LimitedLog>,
}

impl PluginLog {
    /// Returns the log of a provider. It belongs to the tokio runtime that it is made in, which reports lines that were left
    /// out.
    pub(super) fn new(provider: &ProviderDescriptor) -> PluginLog {
        let name: Arc<str> = provider.to_string().into();
        let key: Arc<str> = provider.key.joined().into();
        let rate = LogRate::default();
        let limit = LimitedLog::new(rate, {
            let (name, key) = (name.clone(), key.clone());
            move |left_out| {
                log::warn!(
                    target: TARGET, provider = &*key, left_out = left_out.lines;
                    "{name}: {left_out}: a provider may log {} each second", rate.per_second
                );
            }
        });
        PluginLog { name, key, limit }
    }

    /// Writes a line, unless there are too many of them.
    pub(super) fn write(&self, level: Level, text: &str) {
        if log::log_enabled!(target: TARGET, level) && self.limit.admit(level) {
            let (name, key) = (&*self.name, &*self.key);
            let line = log_line(text.as_bytes(), text.len());
            log::log!(target: TARGET, level, provider = key; "{name}: {line}");
        }
    }
}
