//! Where an actor lives.

use std::num::NonZeroUsize;
use std::ops::Range;

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;

use super::restart::RestartPolicy;
use crate::shard::{ShardNumber, Shards};

/// Which threads the instances of an actor are put on.
///
/// A call between two actors on one shard costs a fraction of one that crosses threads, so what talks to each other
/// belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// On the shard that starts it, or on the next in turn where the starting thread is no shard; further instances on the
    /// shards after it. The default.
    #[default]
    Near,
    /// On the next shards in turn.
    Spread,
    /// On threads that nobody else has: for work that should neither wait for others nor hold them up. A thread for each
    /// instance costs memory, and each call to it some microseconds.
    Dedicated,
}

/// How many instances of one actor there may be at most, whatever its host has room for.
const MOST_INSTANCES: usize = 65_536;

/// The same for those that have threads of their own.
const MOST_THREADS: usize = 1024;

/// The thread that is chosen for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ThreadChoice {
    Shard(ShardNumber),
    /// A thread that serves no other instance.
    Own,
}

impl Placement {
    /// Returns the threads of an actor's instances with these numbers. `near` is the shard that starts the actor, or the next
    /// one in turn.
    pub(super) fn threads(
        self,
        instances: Range<usize>,
        near: ShardNumber,
        shards: &Shards,
    ) -> impl Iterator<Item = ThreadChoice> {
        instances.map(move |number| match self {
            Placement::Near => ThreadChoice::Shard(shards.after(near, number)),
            Placement::Spread => ThreadChoice::Shard(shards.take_turn()),
            Placement::Dedicated => ThreadChoice::Own,
        })
    }
}

/// How an actor is to be started. The default is what [`Host::start_actor`](crate::Host::start_actor) does.
///
/// ```
/// use wasmcloud_host::{ActorOptions, Placement};
///
/// let options = ActorOptions::new().instances(2).placement(Placement::Spread);
/// ```
#[derive(Debug, Clone)]
pub struct ActorOptions {
    pub(super) placement: Placement,
    pub(super) instances: NonZeroUsize,
    pub(super) limits: Option<Limits>,
    pub(super) restart: Option<RestartPolicy>,
}

impl Default for ActorOptions {
    fn default() -> Self {
        ActorOptions { placement: Placement::default(), instances: NonZeroUsize::MIN, limits: None, restart: None }
    }
}

impl ActorOptions {
    /// Refuses more instances than one actor may have.
    ///
    /// # Errors
    /// `Busy`.
    pub(super) fn expect_reasonable(&self) -> Result<()> {
        let most = if self.placement == Placement::Dedicated { MOST_THREADS } else { MOST_INSTANCES };
        let instances = self.instances;
        if instances.get() <= most {
            return Ok(());
        }
        let message = format!("an actor of {instances} instances is refused: placed like this it may have {most}");
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// The default options.
    pub fn new() -> ActorOptions {
        ActorOptions::default()
    }

    /// How many instances of the actor there are, and so how many messages it serves at once; one by default, and at least
    /// one. Each has a memory of its own: what a guest keeps there between messages is not seen by the others. A message
    /// goes to the instance that will have served it first: usually to one on the shard that it comes from, as long as that
    /// has little to do. One actor may have 65,536 instances, and 1,024 on threads of their own.
    pub fn instances(mut self, instances: usize) -> ActorOptions {
        self.instances = NonZeroUsize::new(instances).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Which threads the instances are put on; [`Placement::Near`] by default.
    pub fn placement(mut self, placement: Placement) -> ActorOptions {
        self.placement = placement;
        self
    }

    /// When instances that crash are replaced; by default, what the host's policy is.
    pub fn restart(mut self, policy: RestartPolicy) -> ActorOptions {
        self.restart = Some(policy);
        self
    }

    /// The same options, with a restart policy where they have none.
    pub(crate) fn with_default_restart(mut self, policy: RestartPolicy) -> ActorOptions {
        self.restart.get_or_insert(policy);
        self
    }

    /// What the actor may use; what its host allows by default.
    pub fn limits(mut self, limits: Limits) -> ActorOptions {
        self.limits = Some(limits);
        self
    }
}
