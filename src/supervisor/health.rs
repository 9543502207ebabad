//! Health checks of children.
//!
//! A check delays neither calls nor other checks. All children are asked at once and have the same time, and a child that
//! serves calls is not asked. A child is asked once at a time: further askers get the answer of the check under way.

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

use super::registry::{Registry, Start};
use super::{Supervision, Supervisor};
use crate::child::Child;
use crate::dispatch::health_check::PendingCheck;
use crate::dispatch::provider_mailbox::ProviderCheck;
use crate::dispatch::snapshot::{Condition, distrust_health};
use crate::event::EventKind;
use crate::shard::BATCH;

/// When, and for how long, children are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckPolicy {
    /// How long each has to answer.
    pub(crate) deadline: Duration,
    /// How often the host asks all of them by itself, if it does.
    pub(crate) interval: Option<Duration>,
}

/// A check under way. It tells nothing of a child that was stopped meanwhile.
type Check = LocalBoxFuture<'static, Option<Health>>;

/// The checks under way.
pub(super) type Checks = RefCell<HashMap<Start, WeakShared<Check>>>;

/// Check everything that runs.
#[derive(Message)]
#[rtype(result = "Result<HashMap<WasmCloudEntity, Health>>")]
pub(crate) struct CheckAll;

/// Check one actor or provider.
#[derive(Message)]
#[rtype(result = "Result<Health>")]
pub(crate) struct CheckOne(pub(crate) WasmCloudEntity);

impl Supervision {
    async fn check_all(self: &Rc<Self>) -> HashMap<WasmCloudEntity, Health> {
        let checks = self.begin_checks().await.into_iter();
        let answers = checks.map(|(entity, check)| async move { Some((entity, check.await?)) });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// Begins to check everything that runs.
    async fn begin_checks(self: &Rc<Self>) -> Vec<(WasmCloudEntity, Shared<Check>)> {
        let mut checks = Vec::new();
        let mut last = None;
        loop {
            let children = self.registry.borrow().children_after(last, BATCH);
            let Some((start, ..)) = children.last() else { return checks };
            last = Some(*start);
            checks.extend(children.into_iter().map(|(start, child, entity)| (entity, self.check(start, child))));
            tokio::task::yield_now().await;
        }
    }

    async fn check_one(self: &Rc<Self>, entity: &WasmCloudEntity) -> Result<Health> {
        let child = Child::of(entity)?;
        let start = self.registry.borrow().start_of(&child, entity)?;
        let health = self.check(start, child.clone()).await;
        health.ok_or_else(|| Error::new(ErrorKind::Busy, format!("{child} was stopped while it was asked how it is")))
    }

    /// Begins to check a child, or joins the check that is under way.
    fn check(self: &Rc<Self>, start: Start, child: Child) -> Shared<Check> {
        if let Some(check) = self.checks.borrow().get(&start).and_then(WeakShared::upgrade) {
            return check;
        }
        let supervision = self.clone();
        let check = async move {
            let health = supervision.ask_child(start, &child).await;
            supervision.checks.borrow_mut().remove(&start);
            let health = health?;
            supervision.note_health(start, &child, &health).then_some(health)
        };
        let check = check.boxed_local().shared();
        if let Some(shared) = check.downgrade() {
            self.checks.borrow_mut().insert(start, shared);
        }
        // It goes to its end, whether its askers wait for that or not.
        actix_rt::spawn(check.clone().map(drop));
        check
    }

    /// Asks a child how it is, and waits for its answer.
    async fn ask_child(&self, start: Start, child: &Child) -> Option<Health> {
        let asked = self.registry.borrow().ask(start, child, self.health.deadline)?;
        Some(match asked {
            Asked::NotAtAll(health) => health,
            Asked::Instance(asked) => asked.health().await.unwrap_or_else(|| {
                // It may have crashed before its turn came.
                let down = self.registry.borrow().condition(child).and_then(Condition::health);
                down.unwrap_or(Health::Unanswered)
            }),
            Asked::Provider(answer) => match tokio::time::timeout(self.health.deadline, answer).await {
                Ok(Ok(health)) => health,
                Ok(Err(error)) => Health::Unhealthy { reason: format!("it has ended: {error}") },
                Err(_) => Health::Unanswered,
            },
        })
    }

    /// Takes note of how a child is, and tells of it where that is news. Whether the child still runs.
    fn note_health(&self, start: Start, child: &Child, health: &Health) -> bool {
        let before = match self.registry.borrow().last_health(start, child) {
            None => return false,
            Some(before) => before.cloned(),
        };
        if before.as_ref() != Some(health) {
            self.change(|registry| registry.note_health(child, health.clone()));
            if before.is_some() || *health != Health::Healthy {
                self.emit(child, EventKind::HealthChanged { health: health.clone() });
            }
        }
        true
    }
}

/// A child's way of being asked.
enum Asked {
    /// It is not asked: this is known.
    NotAtAll(Health),
    Instance(PendingCheck),
    Provider(RecipientRequest<ProviderCheck>),
}

impl Registry {
    /// Asks a child how it is, unless that is known or it is at work. Nothing where it was stopped meanwhile.
    fn ask(&self, start: Start, child: &Child, time: Duration) -> Option<Asked> {
        self.last_health(start, child)?;
        let distrusted = self.trust(child).and_then(distrust_health);
        if let Some(down) = distrusted.or_else(|| self.condition(child)?.health()) {
            return Some(Asked::NotAtAll(down));
        }
        Some(match child {
            Child::Actor(key) => {
                let actor = self.snapshot().actors.get(key)?;
                let mut instances = actor.instances.mailboxes().iter().filter(|_| !actor.draining);
                let idle = instances.find_map(|mailbox| mailbox.check(time));
                idle.map_or(Asked::NotAtAll(Health::Busy), Asked::Instance)
            }
            Child::Provider(key) => {
                let provider = self.snapshot().providers.get(key)?;
                Asked::Provider(provider.mailbox.check(time))
            }
        })
    }
}

/// Begins to check everything time and again, for as long as there is a supervisor and its host runs.
pub(super) async fn check_regularly(supervision: Weak<Supervision>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(supervision) = supervision.upgrade() else { return };
        if !supervision.registry.borrow().snapshot().running {
            return;
        }
        // Nobody waits for the answers: they are taken note of as they come.
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
