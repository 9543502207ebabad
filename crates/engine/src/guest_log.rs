//! The lines that guests of an actor write to the host's log by `__console_log`.
//!
//! A guest can write a line in less than a microsecond, so the lines of all instances of an actor share a limit. Lines beyond
//! it are left out, and their number is logged within a second.

use std::sync::Arc;

use log::Level;
use wasmcloud_core::call::CallContext;
use wasmcloud_core::limited_log::{LimitedLog, LogRate};
use wasmcloud_core::text::log_line;

/// The log target of guests' lines.
const TARGET: &str = "wasmcloud_host::guest";

/// The level of guests' lines.
const LEVEL: Level = Level::Info;

/// The log of an actor, which its instances share.
#[derive(Debug)]
pub struct GuestLog {
    /// The actor's public key.
    actor: Arc<str>,
    /// The actor's name, escaped.
    name: Arc<str>,
    limit: Arc<LimitedLog>,
}

impl GuestLog {
    /// Returns the log of an actor.
    pub fn new(actor: Arc<str>, name: &str) -> GuestLog {
        let name: Arc<str> = log_line(name.as_bytes(), name.len()).into();
        let rate = LogRate::default();
        let limit = LimitedLog::new(rate, {
            let (actor, name) = (actor.clone(), name.clone());
            move |left_out| {
                log::warn!(
                    target: TARGET, actor = &*actor, actor_name = &*name, left_out = left_out.lines;
                    "{name}: {left_out}: an actor may log {} each second", rate.per_second
                );
            }
        });
        GuestLog { actor, name, limit }
    }

    /// Returns whether lines are logged at all.
    pub(super) fn is_enabled() -> bool {
        log::log_enabled!(target: TARGET, LEVEL)
    }

    /// Writes a line of `length` bytes, of which the beginning is given. Returns whether it was written, and not left out.
    pub(super) fn write(&self, context: &CallContext, beginning: &[u8], length: usize) -> bool {
        let is_admitted = self.limit.admit(LEVEL);
        if is_admitted {
            let (actor, name) = (&*self.actor, &*self.name);
            let line = log_line(beginning, length);
            let call = context.call_id();
            log::log!(target: TARGET, LEVEL, actor, actor_name = name, call; "{name}: {line}");
        }
        is_admitted
    }
}
