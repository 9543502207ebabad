//! What manifests are checked against: whether the host would refuse an actor or provider, and the options that actors run
//! with.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Handler, Message, ResponseFuture};
use wasmcloud_core::error::{Error, Result};
use wasmcloud_core::limits::Limits;
use wasmcloud_plugin::Isolation;

use super::placement::ActorOptions;
use super::registry::Registry;
use super::{Supervision, Supervisor};
use crate::dispatch::snapshot::Condition;
use crate::identity::{ActorIdentity, ProviderIdentity};
use crate::shard::BATCH;

/// Asks about actors and providers. Nothing is changed, and the authorizer is not asked.
#[derive(Message)]
#[rtype(result = "Result<SurveyAnswer>")]
pub(crate) struct Survey {
    pub(crate) actors: Vec<Arc<ActorIdentity>>,
    pub(crate) providers: Vec<Arc<ProviderIdentity>>,
    /// The actors that are stopped first, and so hold no call alias.
    pub(crate) leaving: HashSet<Arc<str>>,
}

/// The answer to a [`Survey`], in the order of the question.
#[derive(Debug, Default)]
pub(crate) struct SurveyAnswer {
    pub(crate) actors: Vec<SurveyedActor>,
    pub(crate) providers: Vec<SurveyedProvider>,
}

/// An actor, as the supervisor sees it.
#[derive(Debug)]
pub(crate) struct SurveyedActor {
    /// The reason for which it would be refused.
    pub(crate) refusal: Option<Error>,
    /// What it runs with, if it runs.
    pub(crate) current: Option<CurrentOptions>,
}

/// A provider, as the supervisor sees it.
#[derive(Debug)]
pub(crate) struct SurveyedProvider {
    /// The reason for which it would be refused.
    pub(crate) refusal: Option<Error>,
    /// Where its library runs, if it runs and comes from an archive.
    pub(crate) isolation: Option<Isolation>,
}

/// The options of a running actor.
#[derive(Debug, Clone)]
pub(crate) struct CurrentOptions {
    pub(crate) options: ActorOptions,
    pub(crate) limits: Limits,
}

impl Supervision {
    async fn survey(self: &Rc<Self>, survey: Survey) -> SurveyAnswer {
        let mut answer = SurveyAnswer::default();
        for actors in survey.actors.chunks(BATCH) {
            answer.actors.extend(actors.iter().map(|identity| self.survey_actor(identity, &survey.leaving)));
            tokio::task::yield_now().await;
        }
        for providers in survey.providers.chunks(BATCH) {
            answer.providers.extend(providers.iter().map(|identity| self.survey_provider(identity)));
            tokio::task::yield_now().await;
        }
        answer
    }

    fn survey_provider(&self, identity: &ProviderIdentity) -> SurveyedProvider {
        let running = self.registry.borrow().provider_blueprint(&identity.key);
        SurveyedProvider {
            refusal: self.expect_provider_trusted(identity).err(),
            isolation: running.and_then(|blueprint| blueprint.capability.isolation().cloned()),
        }
    }

    fn survey_actor(&self, identity: &ActorIdentity, leaving: &HashSet<Arc<str>>) -> SurveyedActor {
        let registry = self.registry.borrow();
        let running = registry.snapshot().actors.get(&identity.key);
        let updated = running.filter(|running| {
            !matches!(running.condition, Condition::Failed(_)) && running.identity.claims != identity.claims
        });
        let checked = self
            .expect_trusted(identity)
            .and_then(|()| updated.map_or(Ok(()), |running| self.check_update(&running.identity, identity)))
            .and_then(|()| registry.expect_alias(identity, leaving));
        let current = registry
            .actor_blueprint(&identity.key)
            .map(|blueprint| CurrentOptions { options: blueprint.options.clone(), limits: blueprint.limits });
        SurveyedActor { refusal: checked.err(), current }
    }
}

impl Registry {
    /// Checks that an actor can have its alias once these actors have been stopped.
    ///
    /// # Errors
    /// `AliasTaken`.
    fn expect_alias(&self, identity: &ActorIdentity, leaving: &HashSet<Arc<str>>) -> Result<()> {
        let alias = identity.call_alias.as_deref();
        let holder = alias.and_then(|alias| self.snapshot().aliases.get(alias));
        // Its holder releases it, and then the rules for owners of aliases decide.
        if holder.is_some_and(|holder| leaving.contains(holder)) {
            return Ok(());
        }
        self.usable_alias(identity).map(drop)
    }
}

impl Handler<Survey> for Supervisor {
    type Result = ResponseFuture<Result<SurveyAnswer>>;

    fn handle(&mut self, survey: Survey, _: &mut Self::Context) -> Self::Result {
        let supervision = self.supervision.clone();
        Box::pin(async move { Ok(supervision.survey(survey).await) })
    }
}
