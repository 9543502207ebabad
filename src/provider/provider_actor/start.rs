//! The start of a provider's instance, whatever its interface.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::sync::{Notify, RwLock};
use wasmcloud_core::deadline::within;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmcloud_plugin::{Code, NativeCapability, PluginBudgets, PluginContext};
use wasmcloud_provider::{ActorDispatcher, AsyncCapabilityProvider};

use super::counting::Counting;
use super::crash_reports::CrashReports;
use super::{ProviderActor, Running, lifecycle_deadline, timed_out};
use crate::dispatch::Dispatch;
use crate::identity::ProviderIdentity;
use crate::instruments::EntityInstruments;
use crate::provider::blocking::{BlockingDispatcher, BlockingProvider};
use crate::provider::caller::InstanceCaller;
#[cfg(feature = "experiments")]
use crate::provider::fault_injection;
use crate::shard::{BatchCounter, Shards};

/// The parts that a provider's instance is started from.
#[derive(Debug)]
pub(crate) struct ProviderStart {
    pub(crate) capability: NativeCapability,
    pub(crate) identity: Arc<ProviderIdentity>,
    pub(crate) instruments: EntityInstruments,
    pub(crate) reports: CrashReports,
    pub(crate) dispatch: Dispatch,
    pub(crate) shards: Arc<Shards>,
    pub(crate) budgets: PluginBudgets,
    /// Ended when the host stops waiting for starts.
    pub(crate) abandoned: Arc<ShutdownSignal>,
}

impl ProviderActor {
    /// Creates the actor on this thread, which must be a shard.
    ///
    /// # Errors
    /// The provider refuses to start or takes too long, or the host abandons the start.
    pub(crate) async fn create(start: ProviderStart) -> Result<ProviderActor> {
        let identity = start.identity.clone();
        let abandoned = start.abandoned.clone();
        let create = pin!(within(lifecycle_deadline(), start.create()));
        let abandoned = pin!(abandoned.ended());
        match select(create, abandoned).await {
            Either::Left((created, _)) => created.map_err(|_| timed_out(&identity, "start"))?,
            Either::Right(_) => {
                let message = format!("{identity} had not started when the grace period of its host ended");
                Err(Error::new(ErrorKind::HostNotRunning, message))
            }
        }
    }
}

impl ProviderStart {
    async fn create(self) -> Result<ProviderActor> {
        let ProviderStart { capability, identity, instruments, reports, dispatch, shards, budgets, .. } = self;
        let instance = reports.instance();
        let caller = InstanceCaller { dispatch: dispatch.clone(), identity: identity.clone(), instance };
        let caller = Arc::new(caller);
        let dispatcher = ActorDispatcher::new(caller.clone(), None);
        #[cfg(feature = "experiments")]
        fault_injection::start(&dispatch, &identity).await;
        let provider: Arc<dyn AsyncCapabilityProvider> = match capability.code() {
            Code::Async(provider) => provider,
            Code::Blocking(provider) => {
                let blocking = BlockingDispatcher { caller, shards };
                Arc::new(BlockingProvider::start(provider, capability.descriptor(), blocking).await?)
            }
            Code::Plugin(plugin) => {
                let reports = reports.clone();
                let context = PluginContext {
                    provider: capability.descriptor().clone(),
                    dispatcher: dispatcher.clone(),
                    budgets,
                    payload_bytes: dispatch.limits().message_bytes,
                    lost: Box::new(move |cause| reports.crashed(cause)),
                };
                plugin.start(context).await?
            }
        };
        let counting = Counting::new(provider.clone());
        let instruments = instruments.provider_instance(counting.figures());
        let running = Running {
            identity,
            instruments,
            _counting: counting,
            provider,
            dispatcher,
            dispatch,
            reports,
            shutdown: ShutdownSignal::default(),
            is_gone: Cell::new(false),
            lifecycle: RwLock::new(false),
            calls: Cell::new(0),
            idle: Notify::new(),
        };
        Ok(ProviderActor { running: Rc::new(running), changes: BatchCounter::default() })
    }
}
