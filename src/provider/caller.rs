//! Calls of a provider's instance to actors.

use std::fmt;
use std::sync::Arc;

use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::trace::Tracing;
use wasmcloud_provider::{ActorAnswer, ActorCaller};

use crate::dispatch::{CallingProvider, Dispatch};
use crate::identity::ProviderIdentity;

/// Calls actors for one instance of a provider.
pub(super) struct InstanceCaller {
    pub(super) dispatch: Dispatch,
    pub(super) identity: Arc<ProviderIdentity>,
    pub(super) instance: InstanceNumber,
}

impl ActorCaller for InstanceCaller {
    fn begin(&self) -> CallContext {
        self.dispatch.begin()
    }

    fn tracing(&self) -> &Tracing {
        self.dispatch.tracing()
    }

    fn call<'a>(&'a self, context: Option<CallContext>, actor: &'a str, request: Request) -> ActorAnswer<'a> {
        let context = context.unwrap_or_else(|| self.begin());
        let origin = CallingProvider { identity: &self.identity, instance: self.instance };
        Box::pin(self.dispatch.call_from_provider(origin, context, actor, request))
    }
}

impl fmt::Debug for InstanceCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InstanceCaller").field(&self.identity.key).finish()
    }
}
