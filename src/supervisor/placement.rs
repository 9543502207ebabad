//! Where an actor lives.

use crate::limits::Limits;
use crate::shard::{ShardNumber, Shards};

/// Which shard an actor is put on.
///
/// A call between two actors on one shard costs a fraction of one that crosses threads, so what talks to each other
/// belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// On the shard that starts it, or on the next in turn where the starting thread is no shard. The default.
    #[default]
    Near,
    /// On the next shard in turn.
    Spread,
}

impl Placement {
    pub(crate) fn choose(self, shards: &Shards) -> ShardNumber {
        match self {
            Placement::Near => shards.current().unwrap_or_else(|| shards.take_turn()),
            Placement::Spread => shards.take_turn(),
        }
    }
}

/// How an actor is to be started. The default is what [`Host::start_actor`](crate::Host::start_actor) does.
///
/// ```
/// use wasmcloud_host::{ActorOptions, Placement};
///
/// let options = ActorOptions::new().placement(Placement::Spread);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ActorOptions {
    pub(crate) placement: Placement,
    pub(crate) limits: Option<Limits>,
}

impl ActorOptions {
    /// The default options.
    pub fn new() -> ActorOptions {
        ActorOptions::default()
    }

    /// Which shard the actor is put on; [`Placement::Near`] by default.
    pub fn placement(mut self, placement: Placement) -> ActorOptions {
        self.placement = placement;
        self
    }

    /// What the actor may use; what its host allows by default.
    pub fn limits(mut self, limits: Limits) -> ActorOptions {
        self.limits = Some(limits);
        self
    }
}
