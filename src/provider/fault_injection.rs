//! The faults that experiments inject into a provider: into its calls, and into its start.

use std::future::{Future, pending};
use std::panic::resume_unwind;

use crate::child::Child;
use crate::dispatch::Dispatch;
use crate::event::EventKind;
use crate::experiment::InjectedFault;
use crate::identity::ProviderIdentity;

/// Serves a call with the fault that an experiment injects, if any. An injected panic does not run the panic hook, which
/// would print it.
pub(super) async fn call<T>(dispatch: &Dispatch, provider: &ProviderIdentity, work: impl Future<Output = T>) -> T {
    let fault = dispatch.experiments().fault_of_call(|| Child::Provider(provider.key.clone()));
    let fault = fault.inspect(|fault| report_fault(dispatch, provider, fault));
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

/// Delays the start, if an experiment says so.
pub(super) async fn start(dispatch: &Dispatch, provider: &ProviderIdentity) {
    let fault = dispatch.experiments().fault_of_start(|| Child::Provider(provider.key.clone()));
    let fault = fault.inspect(|fault| report_fault(dispatch, provider, fault));
    if let Some(InjectedFault::SlowStart { delay }) = fault {
        tokio::time::sleep(delay).await;
    }
}

fn report_fault(dispatch: &Dispatch, provider: &ProviderIdentity, fault: &InjectedFault) {
    dispatch.events().emit(provider.subject(), EventKind::Injected { fault: fault.clone() });
}
