//! What a plugin is started with.

use std::fmt;
use std::sync::Arc;

use wasmcloud_provider::{ActorDispatcher, ProviderDescriptor};

use crate::budget::Budgets;

/// What a plugin is started with.
pub struct PluginContext {
    /// The provider that it is.
    pub provider: Arc<ProviderDescriptor>,
    /// How it calls actors.
    pub dispatcher: ActorDispatcher,
    /// The bytes that the host may hold for its plugins.
    pub budgets: Budgets,
    /// The largest payload of a call to an actor, in bytes.
    pub message_bytes: usize,
    /// Called once, with the cause, when the plugin is lost while it serves no request.
    pub lost: Box<dyn FnOnce(String) + Send>,
}

impl fmt::Debug for PluginContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginContext").field("provider", &self.provider.key).finish_non_exhaustive()
    }
}
