//! Health checks of children.
//!
//! A check delays neither calls nor other checks. All children are checked concurrently with the same deadline, and a child
//! that serves calls is not checked. There is one check of a child at a time, and later requests share its result.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use actix::dev::RecipientRequest;
use actix::{Handler, Message, ResponseFuture};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared, WeakShared, join_all};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::health::Health;

use super::registry::{Registry, StartNumber};
use super::{Supervision, Supervisor};
use crate::child::Child;
use crate::dispatch::health_check::PendingCheck;
use crate::dispatch::provider_mailbox::ProviderCheck;
use crate::dispatch::snapshot::{Condition, distrust_health};
use crate::event::EventKind;
use crate::shard::BATCH;

/// The deadline and the interval of health checks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckPolicy {
    /// The time that a child has to answer.
    pub(crate) deadline: Duration,
    /// The time between two checks of all children. `None` if the host does not check of its own accord.
    pub(crate) interval: Option<Duration>,
}

/// A check in progress. It yields `None` if the child was stopped during the check.
pub(super) type Check = LocalBoxFuture<'static, Option<Health>>;

/// The checks in progress.
pub(super) type Checks = RefCell<HashMap<StartNumber, WeakShared<Check>>>;

/// Checks all children.
#[derive(Message)]
#[rtype(result = "Result<HashMap<WasmCloudEntity, Health>>")]
pub(crate) struct CheckAll;

/// Checks one actor or provider.
#[derive(Message)]
#[rtype(result = "Result<Health>")]
pub(crate) struct CheckOne(pub(crate) WasmCloudEntity);

impl Supervision {
    async fn check_all(self: &Rc<Self>) -> HashMap<WasmCloudEntity, Health> {
        let checks = self.begin_checks().await.into_iter();
        let results = checks.map(|(entity, check)| async move { Some((entity, check.await?)) });
        join_all(results).await.into_iter().flatten().collect()
    }

    /// Starts a check of every child.
    async fn begin_checks(self: &Rc<Self>) -> Vec<(WasmCloudEntity, Shared<Check>)> {
        let mut checks = Vec::new();
        let mut last = None;
        loop {
            let children = self.registry.borrow().children_after(last, BATCH);
            let Some(newest) = children.last() else { return checks };
            last = Some(newest.start);
            checks.extend(children.into_iter().map(|child| (child.entity, self.check(child.start, child.child))));
            tokio::task::yield_now().await;
        }
    }

    async fn check_one(self: &Rc<Self>, entity: &WasmCloudEntity) -> Result<Health> {
        let child = Child::of(entity)?;
        let start = self.registry.borrow().start_of(&child, entity)?;
        let health = self.check(start, child.clone()).await;
        health.ok_or_else(|| Error::new(ErrorKind::Busy, format!("{child} was stopped during its health check")))
    }

    /// Starts a check of a child, or joins the check in progress.
    pub(super) fn check(self: &Rc<Self>, start: StartNumber, child: Child) -> Shared<Check> {
        if let Some(check) = self.checks.borrow().get(&start).and_then(WeakShared::upgrade) {
            return check;
        }
        let supervision = self.clone();
        let check = async move {
            let health = supervision.check_child(start, &child).await;
            supervision.checks.borrow_mut().remove(&start);
            let health = health?;
            supervision.record_health(start, &child, &health).then_some(health)
        };
        let check = check.boxed_local().shared();
        if let Some(shared) = check.downgrade() {
            self.checks.borrow_mut().insert(start, shared);
        }
        // The check runs to its end, even if every caller stops waiting for it.
        actix_rt::spawn(check.clone().map(drop));
        check
    }

    /// Checks a child and waits for its answer.
    async fn check_child(&self, start: StartNumber, child: &Child) -> Option<Health> {
        let check = self.registry.borrow().start_check(start, child, self.health.deadline)?;
        Some(match check {
            StartedCheck::Known(health) => health,
            StartedCheck::Instance(check) => check.health().await.unwrap_or_else(|| {
                // The child may have crashed before the check's turn in its mailbox.
                let down = self.registry.borrow().condition(child).and_then(Condition::health);
                down.unwrap_or(Health::Unanswered)
            }),
            StartedCheck::Provider(answer) => match tokio::time::timeout(self.health.deadline, answer).await {
                Ok(Ok(health)) => health,
                Ok(Err(error)) => Health::Unhealthy { reason: format!("it has ended: {error}") },
                Err(_) => Health::Unanswered,
            },
        })
    }

    /// Records the health of a child, and emits an event if it has changed. Returns whether the child still runs.
    fn record_health(&self, start: StartNumber, child: &Child, health: &Health) -> bool {
        let before = match self.registry.borrow().last_health(start, child) {
            None => return false,
            Some(before) => before.cloned(),
        };
        if before.as_ref() == Some(health) {
            self.registry.borrow().repeat_health(child);
        } else {
            self.change(|registry| registry.record_health(child, health.clone()));
            if before.is_some() || *health != Health::Healthy {
                self.emit(child, EventKind::HealthChanged { health: health.clone() });
            }
        }
        true
    }
}

/// The first step of a check.
enum StartedCheck {
    /// The health is known without a check.
    Known(Health),
    Instance(PendingCheck),
    Provider(RecipientRequest<ProviderCheck>),
}

impl Registry {
    /// Starts a check of a child, unless its health is known or it serves calls. Returns `None` if it was stopped
    /// meanwhile.
    fn start_check(&self, start: StartNumber, child: &Child, time: Duration) -> Option<StartedCheck> {
        self.last_health(start, child)?;
        let distrusted = self.trust(child).and_then(distrust_health);
        if let Some(down) = distrusted.or_else(|| self.condition(child)?.health()) {
            return Some(StartedCheck::Known(down));
        }
        Some(match child {
            Child::Actor(key) => {
                let actor = self.snapshot().actors.get(key)?;
                let mut instances = actor.instances.mailboxes().iter().filter(|_| !actor.draining);
                let idle = instances.find_map(|mailbox| mailbox.check(time));
                idle.map_or(StartedCheck::Known(Health::Busy), StartedCheck::Instance)
            }
            Child::Provider(key) => {
                let provider = self.snapshot().providers.get(key)?;
                StartedCheck::Provider(provider.mailbox.check(time))
            }
        })
    }
}

/// Starts a check of every child at an interval, until the host stops.
pub(super) async fn check_regularly(supervision: Weak<Supervision>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(supervision) = supervision.upgrade() else { return };
        if !supervision.registry.borrow().snapshot().running {
            return;
        }
        // The checks record their results themselves.
        supervision.begin_checks().await;
    }
}

impl Handler<CheckAll> for Supervisor {
    type Result = ResponseFuture<Result<HashMap<WasmCloudEntity, Health>>>;

    fn handle(&mut self, _: CheckAll, _: &mut Self::Context) -> Self::Result {
        let supervision = self.supervision.clone();
        Box::pin(async move { Ok(supervision.check_all().await) })
    }
}

impl Handler<CheckOne> for Supervisor {
    type Result = ResponseFuture<Result<Health>>;

    fn handle(&mut self, CheckOne(entity): CheckOne, _: &mut Self::Context) -> Self::Result {
        let supervision = self.supervision.clone();
        Box::pin(async move { supervision.check_one(&entity).await })
    }
}
