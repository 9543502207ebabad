//! What further instances of a child are created from.

use std::fmt;

use wasmcloud_core::limits::Limits;
use wasmcloud_engine::CompiledModule;
use wasmcloud_plugin::NativeCapability;

use super::placement::ActorOptions;
use super::restart::RestartPolicy;
use crate::shard::ShardNumber;

/// What further instances of an actor are created from.
#[derive(Clone)]
pub(super) struct ActorBlueprint {
    pub(super) module: CompiledModule,
    pub(super) options: ActorOptions,
    pub(super) limits: Limits,
    /// The shard that started the actor, or the next one in turn.
    pub(super) near: ShardNumber,
}

impl fmt::Debug for ActorBlueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorBlueprint").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What further instances of a provider are created from.
#[derive(Debug, Clone)]
pub(super) struct ProviderBlueprint {
    pub(super) capability: NativeCapability,
    pub(super) policy: RestartPolicy,
    pub(super) near: ShardNumber,
}
