//! How experiments disturb a provider: its calls and its start.

use std::future::{Future, pending};
use std::panic::resume_unwind;

use crate::dispatch::Dispatch;
use crate::event::EventKind;
use crate::experiment::InjectedFault;
use crate::supervisor::child::Child;
use crate::supervisor::snapshot::ProviderIdentity;

/// Serves a call that something may happen to. A panic is one like the provider's own, but for the hook that would have it
/// printed: it is no surprise.
pub(super) async fn call<T>(dispatch: &Dispatch, provider: &ProviderIdentity, work: impl Future<Output = T>) -> T {
    let fault = dispatch.laboratory().call(|| Child::Provider(provider.key.clone()));
    let fault = fault.inspect(|fault| tell(dispatch, provider, fault));
    match fault {
        Some(fault @ InjectedFault::Crash { .. }) => resume_unwind(Box::new(fault.to_string())),
        Some(InjectedFault::Drop { .. }) => pending().await,
        Some(InjectedFault::Delay { delay, .. } | InjectedFault::SlowStart { delay }) => {
            tokio::time::sleep(delay).await;
            work.await
        }
        None => work.await,
    }
}

/// Has the start take longer, if an experiment wants it to.
pub(super) async fn start(dispatch: &Dispatch, provider: &ProviderIdentity) {
    let fault = dispatch.laboratory().start(|| Child::Provider(provider.key.clone()));
    let fault = fault.inspect(|fault| tell(dispatch, provider, fault));
    if let Some(InjectedFault::SlowStart { delay }) = fault {
        tokio::time::sleep(delay).await;
    }
}

fn tell(dispatch: &Dispatch, provider: &ProviderIdentity, fault: &InjectedFault) {
    dispatch.events().tell(provider.subject(), EventKind::Injected { fault: fault.clone() });
}
