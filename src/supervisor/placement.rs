//! The placement of an actor's instances on threads, and the options of its start.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::Image;
use wasmcloud_core::limits::Limits;

use super::restart::RestartPolicy;
use crate::shard::{ShardNumber, Shards};

/// The threads that the instances of an actor run on.
///
/// A call between two actors of one shard costs a fraction of a call to another thread, so actors that call each other
/// often belong on one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// Runs the first instance on the shard that starts the actor, or on the next shard in turn if the starting thread is
    /// not a shard. Further instances run on the shards after it. The default.
    #[default]
    Near,
    /// Runs the instances on the next shards in turn.
    Spread,
    /// Runs each instance on a thread of its own, for work that should neither wait for other actors nor delay them. A
    /// thread costs memory, and each call to it some microseconds.
    Dedicated,
}

/// The maximum number of instances of one actor, whatever its host has room for.
const MOST_INSTANCES: usize = 65_536;

/// The maximum number of instances with threads of their own.
const MOST_THREADS: usize = 1024;

/// The thread chosen for an instance.
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

/// The options of an actor's start. The default options are those of [`Host::start_actor`](crate::Host::start_actor).
///
/// ```
/// use wasmcloud_host::{ActorOptions, Placement};
///
/// let options = ActorOptions::new().instances(2).placement(Placement::Spread);
/// ```
#[derive(Debug, Clone)]
pub struct ActorOptions {
    pub(crate) placement: Placement,
    pub(crate) instances: NonZeroUsize,
    pub(super) limits: Option<Limits>,
    pub(crate) restart: Option<RestartPolicy>,
    pub(crate) image: Option<Arc<Image>>,
}

impl Default for ActorOptions {
    fn default() -> Self {
        ActorOptions {
            placement: Placement::default(),
            instances: NonZeroUsize::MIN,
            limits: None,
            restart: None,
            image: None,
        }
    }
}

impl ActorOptions {
    /// Checks the number of instances against the maximum of one actor.
    ///
    /// # Errors
    /// `Busy`.
    pub(crate) fn expect_instance_limit(&self) -> Result<()> {
        let most = if self.placement == Placement::Dedicated { MOST_THREADS } else { MOST_INSTANCES };
        let instances = self.instances;
        if instances.get() <= most {
            return Ok(());
        }
        let message = format!("an actor of {instances} instances is refused: the maximum for this placement is {most}");
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Returns the limits, or these if the options have none.
    pub(crate) fn limits_or(&self, limits: Limits) -> Limits {
        self.limits.unwrap_or(limits)
    }

    /// Returns the default options.
    pub fn new() -> ActorOptions {
        ActorOptions::default()
    }

    /// Sets the number of instances, and with it the number of calls that the actor serves at once. Each instance has a
    /// memory of its own: state that a guest keeps between calls is not visible to other instances. A call goes to the
    /// instance that is expected to serve it first, usually one on the caller's shard. Maximum: 65,536, or 1,024 with
    /// [`Placement::Dedicated`]. Minimum and default: 1.
    #[must_use]
    pub fn instances(mut self, instances: usize) -> ActorOptions {
        self.instances = NonZeroUsize::new(instances).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Sets the threads that the instances run on. Default: [`Placement::Near`].
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> ActorOptions {
        self.placement = placement;
        self
    }

    /// Sets the restart policy of the instances. Default: the host's.
    #[must_use]
    pub fn restart(mut self, policy: RestartPolicy) -> ActorOptions {
        self.restart = Some(policy);
        self
    }

    /// Returns the image that the module came from, if it came from a registry.
    pub(crate) fn image(&self) -> Option<Arc<Image>> {
        self.image.clone()
    }

    /// Returns the same options, with a restart policy if they have none.
    pub(crate) fn with_default_restart(mut self, policy: RestartPolicy) -> ActorOptions {
        self.restart.get_or_insert(policy);
        self
    }

    /// Sets the limits of the actor. A field outside of the range of its method is brought into it. Default: the host's.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> ActorOptions {
        self.limits = Some(limits.clamped());
        self
    }

    /// Sets the reference by which the actor's module was pulled from a registry. Inventories, events and the lattice tell
    /// it; nothing is pulled. Default: none.
    #[must_use]
    pub fn image_ref(mut self, reference: impl Into<String>) -> ActorOptions {
        self.image = Some(Arc::new(Image { reference: reference.into(), digest: None }));
        self
    }

    /// Sets the digest that the reference stood for when it was pulled: `sha256:` and 64 digits. It has no effect without a
    /// reference, which is set first. Default: none.
    #[must_use]
    pub fn image_digest(mut self, digest: impl Into<String>) -> ActorOptions {
        self.image = self.image.map(|image| Arc::new(image.with_digest(digest)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_brought_into_their_ranges() {
        let mut limits = Limits::new();
        (limits.message_bytes, limits.table_elements) = (usize::MAX, u64::MAX);
        assert_eq!(ActorOptions::new().limits(limits).limits, Some(limits.clamped()));
        assert_ne!(limits, limits.clamped());
    }
}
