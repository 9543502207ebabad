//! How everything is stopped, and what hangs is given up.

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
    /// Carries out a command, unless the host is stopped and has waited for that long enough.
    pub(super) async fn carry_out_in_time(self: &Rc<Self>, command: Command) -> Result<()> {
        if matches!(command, Command::Stop) {
            return self.carry_out(command).await;
        }
        match select(pin!(self.carry_out(command)), pin!(self.abandoned.ended())).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => {
                let message = "the host was stopped, and its time was up before this was done";
                Err(Error::new(ErrorKind::HostNotRunning, message))
            }
        }
    }

    /// Ends everything: first all providers stop bringing work, while everybody can still be called; then child after
    /// child goes, the one that was started last first.
    pub(super) async fn stop(&self) {
        let _one_at_a_time = self.stopping.lock().await;
        if !self.registry.borrow().snapshot().running {
            return;
        }
        self.change(Registry::close);
        self.modules.close();
        // One period of grace for all together.
        let deadline = Instant::now() + self.grace;
        if within(deadline, self.drain_all_links()).await.is_err() {
            log::warn!("providers still had work for actors when the time of the host was up");
        }
        loop {
            // Listened for before looking, so that nothing that settles in between is missed.
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
                        log::warn!(
                            "what was still being started or changed when the time of the host was up is given up"
                        );
                        self.abandoned.end();
                    }
                    continue;
                }
            };
            if let (Err(error), Some(child)) = (stopped, last_started) {
                log::warn!("{child} did not stop as it should: {error}");
            }
        }
        // What is done beside the commands, as restarts that wait for their time.
        self.abandoned.end();
        self.change(Registry::end);
        self.dispatch.events().emit(WasmCloudEntity::Host, EventKind::HostStopped);
        self.shards.stop_own().await;
    }
}
