//! How a provider is started, whatever its interface.

use std::pin::pin;
use std::sync::Arc;

use actix::WeakAddr;
use futures_util::future::{Either, select};

use super::reports::Reports;
use super::{ProviderActor, lifecycle_deadline, too_slow};
use crate::actor::mailbox::InstanceNumber;
use crate::capability::blocking::BlockingProvider;
use crate::capability::descriptor::{Code, NativeCapability};
use crate::capability::dispatcher::BlockingDispatcher;
#[cfg(feature = "experiments")]
use crate::capability::disturbance;
use crate::capability::plugin::Surroundings;
use crate::capability::traits::AsyncCapabilityProvider;
use crate::deadline::within;
use crate::dispatch::Dispatch;
use crate::ending::Ending;
use crate::error::{Error, ErrorKind, Result};
use crate::shard::Shards;
use crate::supervisor::Supervisor;

/// What an instance of a provider is made of.
pub(crate) struct Making {
    pub(crate) capability: NativeCapability,
    pub(crate) instance: InstanceNumber,
    pub(crate) dispatch: Dispatch,
    pub(crate) shards: Arc<Shards>,
    /// Who decides about crashes.
    pub(crate) supervisor: WeakAddr<Supervisor>,
    /// Whether the host waits no more for what it is making.
    pub(crate) given_up: Arc<Ending>,
}

impl ProviderActor {
    /// Makes the actor on this thread, which must be a shard.
    ///
    /// # Errors
    /// Where the provider refuses to start, takes too long, or the host gives up; then there is no actor.
    pub(crate) async fn make(making: Making) -> Result<ProviderActor> {
        let (identity, given_up) = (making.capability.identity().clone(), making.given_up.clone());
        let make = pin!(within(lifecycle_deadline(), making.make()));
        let given_up = pin!(given_up.ended());
        match select(make, given_up).await {
            Either::Left((made, _)) => made.map_err(|_| too_slow(&identity, "start"))?,
            Either::Right(_) => {
                let message = format!("{identity} had not started when the time of its host was up");
                Err(Error::new(ErrorKind::HostNotRunning, message))
            }
        }
    }
}

impl Making {
    async fn make(self) -> Result<ProviderActor> {
        let Making { capability, instance, dispatch, shards, supervisor, .. } = self;
        let identity = capability.identity().clone();
        let reports = Reports::new(supervisor, identity.key.clone(), instance);
        #[cfg(feature = "experiments")]
        disturbance::start(&dispatch, &identity).await;
        let provider: Arc<dyn AsyncCapabilityProvider> = match capability.code() {
            Code::Async(provider) => provider,
            Code::Blocking(provider) => {
                let (dispatch, provider_identity) = (dispatch.clone(), identity.clone());
                let dispatcher = BlockingDispatcher { dispatch, provider: provider_identity, instance, shards };
                Arc::new(BlockingProvider::start(provider, dispatcher).await?)
            }
            Code::Plugin(plugin) => {
                let reports = reports.clone();
                let lost = Box::new(move |cause| reports.tell_of_crash(cause));
                let (identity, dispatch) = (identity.clone(), dispatch.clone());
                plugin.start(Surroundings { identity, instance, dispatch, lost }).await?
            }
        };
        Ok(ProviderActor::new(identity, provider, dispatch, reports))
    }
}
