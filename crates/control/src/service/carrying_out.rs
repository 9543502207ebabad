//! Orders in progress, and their acknowledgements.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Inner;
use super::handler::{Carried, Order};
use crate::event::{ControlEvent, kinds};
use crate::outcome::{DEFAULT_WAIT, LONGEST_WAIT, Outcome};

/// How often the progress of an order is told.
const PROGRESS: Duration = Duration::from_secs(1);

/// An order in progress.
struct InProgress {
    order: Order,
    request: String,
    reply: String,
    began: Instant,
    /// Held until the order has ended.
    _permit: OwnedSemaphorePermit,
}

impl Inner {
    /// Begins to carry out an order. It is acknowledged when its outcome is known, or accepted when it takes longer.
    pub(super) async fn begin(self: &Arc<Self>, order: Order, reply: String) {
        let Ok(permit) = self.orders.clone().try_acquire_owned() else {
            self.counters.throttled.add();
            let message = format!("host {} carries out as many orders as it can: try again later", self.host);
            let outcome = Outcome::failed(&Error::new(ErrorKind::Busy, message));
            return self.answer(&reply, &order.acknowledgement(&self.host, outcome, None)).await;
        };
        self.counters.orders.add();
        let options = order.options();
        let request = options.request.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let wait = Duration::from_millis(options.wait_ms.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT));
        log::info!("host {} carries out the order {} ({request})", self.host, order.name());
        let in_progress = InProgress { order, request, reply, began: Instant::now(), _permit: permit };
        let inner = self.clone();
        tokio::spawn(async move { inner.carry_out(in_progress, wait).await });
    }

    async fn carry_out(self: Arc<Self>, in_progress: InProgress, wait: Duration) {
        let InProgress { order, request, reply, .. } = &in_progress;
        let is_stop = matches!(order, Order::Stop(_));
        if is_stop {
            // Afterwards the host cannot acknowledge it.
            let accepted = Outcome::accepted(kinds::HOST_STOPPED, request);
            self.answer(reply, &order.acknowledgement(&self.host, accepted, None)).await;
        }
        let mut work = tokio::spawn(self.handler.clone().carry_out(order.clone()));
        let in_time = if is_stop { None } else { timeout(wait, &mut work).await.ok() };
        let carried = match in_time {
            Some(joined) => {
                let carried = unless_panicked(joined);
                let told = carried.failure.as_ref().map(Outcome::failed).unwrap_or_default();
                self.answer(reply, &order.acknowledgement(&self.host, told, carried.result.clone())).await;
                carried
            }
            None => {
                if !is_stop {
                    let accepted = Outcome::accepted(kinds::REQUEST_FINISHED, request);
                    self.answer(reply, &order.acknowledgement(&self.host, accepted, None)).await;
                }
                let carried = self.follow(&in_progress, work).await;
                self.tell_quietly(finished(&in_progress, &carried)).await;
                carried
            }
        };
        if let Some(failure) = carried.failure {
            self.report_failure(order, request, &failure).await;
        }
    }

    /// Waits for the end of an order and tells its progress meanwhile.
    async fn follow(&self, in_progress: &InProgress, mut work: JoinHandle<Carried>) -> Carried {
        let InProgress { order, request, began, .. } = in_progress;
        let mut ticks = interval(PROGRESS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // The first tick is at once: a client that was told "accepted" hears of it at least once.
                _ = ticks.tick() => {
                    let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    let event = order.event(kinds::PROGRESS, request).with("elapsed_ms", elapsed);
                    self.tell_quietly(event).await;
                }
                joined = &mut work => return unless_panicked(joined),
            }
        }
    }

    async fn report_failure(&self, order: &Order, request: &str, error: &Error) {
        log::warn!("host {} could not carry out the order {} ({request}): {error}", self.host, order.name());
        self.counters.failed.add();
        if let Some(kind) = order.failure_kind() {
            self.tell_quietly(order.event(kind, request).failed(error)).await;
        }
        self.handler.failed(order, error);
    }

    async fn tell_quietly(&self, event: ControlEvent) {
        if let Err(error) = self.tell(event).await {
            log::debug!("an event is not told: {error}");
        }
    }
}

/// Returns the event that tells how an accepted order ended.
fn finished(in_progress: &InProgress, carried: &Carried) -> ControlEvent {
    let mut event = in_progress.order.event(kinds::REQUEST_FINISHED, &in_progress.request);
    if let Some(result) = &carried.result {
        event = event.with("result", result.clone());
    }
    match &carried.failure {
        Some(failure) => event.failed(failure),
        None => event,
    }
}

fn unless_panicked(joined: Result<Carried, tokio::task::JoinError>) -> Carried {
    joined.unwrap_or_else(|error| {
        let failure = Error::new(ErrorKind::Internal, "an order panicked: report this").caused_by(error);
        Carried { result: None, failure: Some(failure) }
    })
}
