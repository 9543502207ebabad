//! The stop of everything, and the end of changes that hang.

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use futures_util::future::{Either, select};
use wasmcloud_core::deadline::within;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::registry::Registry;
use super::{Command, Supervision};
use crate::child::Child;
use crate::event::EventKind;

impl Supervision {
    /// Executes a command. The command fails if the host is stopped and abandons it at the end of the grace period.
    pub(super) async fn execute_until_abandoned(self: &Rc<Self>, command: Command) -> Result<()> {
        if matches!(command, Command::Stop { .. }) {
            return self.execute(command).await;
        }
        self.until_abandoned(self.execute(command)).await
    }

    /// Does work for a request. The work fails if the host is stopped and abandons it at the end of the grace period.
    pub(super) async fn until_abandoned<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match select(pin!(work), pin!(self.abandoned.ended())).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => {
                let message = "the host was stopped before this was finished";
                Err(Error::new(ErrorKind::HostNotRunning, message))
            }
        }
    }

    /// Stops everything. First all providers stop delivering calls, while all actors and providers can still be called. The
    /// children are then stopped in the reverse order of their starts. Without a deadline the whole grace period begins now.
    pub(super) async fn stop(&self, deadline: Option<Instant>) {
        let _one_at_a_time = self.stopping.lock().await;
        if !self.registry.borrow().snapshot().running {
            return;
        }
        self.change(Registry::close);
        self.modules.close();
        // All children share one grace period.
        let deadline = deadline.unwrap_or_else(|| Instant::now() + self.grace);
        if within(deadline, self.drain_all_links()).await.is_err() {
            log::warn!("providers still had calls for actors at the end of the grace period");
        }
        loop {
            // Listens before it reads the registry, so that it misses no change.
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            let last_started = self.registry.borrow().last_started().cloned();
            let stopped = match &last_started {
                Some(Child::Actor(key)) => self.stop_actor_by(key, deadline).await,
                Some(Child::Provider(key)) => self.end_provider_by(key, deadline).await,
                None if self.registry.borrow().is_settled() => break,
                None => {
                    if self.abandoned.is_ended() {
                        settled.await;
                    } else if within(deadline, settled).await.is_err() {
                        log::warn!("starts and changes still in progress at the end of the grace period are abandoned");
                        self.abandoned.end();
                    }
                    continue;
                }
            };
            if let (Err(error), Some(child)) = (stopped, last_started) {
                log::warn!(actor = child.actor(), provider = child.provider(); "{child} did not stop cleanly: {error}");
            }
        }
        // Work beside the commands, such as restarts that wait for their delay.
        self.abandoned.end();
        self.change(Registry::end);
        self.dispatch.events().emit(WasmCloudEntity::Host, EventKind::HostStopped);
        self.shards.stop_own().await;
    }
}
