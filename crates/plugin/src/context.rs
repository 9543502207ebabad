//! The arguments that a plugin is started with.

use std::fmt;
use std::sync::Arc;

use wasmcloud_provider::{ActorDispatcher, ProviderDescriptor};

use crate::budget::PluginBudgets;

/// The arguments that a plugin is started with.
pub struct PluginContext {
    /// The identity of the provider.
    pub provider: Arc<ProviderDescriptor>,
    /// Calls actors on behalf of the provider.
    pub dispatcher: ActorDispatcher,
    /// The bytes that the host may hold for its plugins.
    pub budgets: PluginBudgets,
    /// The size of the largest payload of a call to an actor, in bytes.
    pub payload_bytes: usize,
    /// Called once, with the cause, if the plugin's process ends without being stopped.
    pub lost: Box<dyn FnOnce(String) + Send>,
}

impl fmt::Debug for PluginContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginContext").field("provider", &self.provider.key).finish_non_exhaustive()
    }
}
