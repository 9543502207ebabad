//! Crashes that reach the supervisor before the instance is registered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Actor as _, Addr};
use wasmcloud_claims::jwt;
use wasmcloud_core::error::BoxedError;
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::limits::Limits;
use wasmcloud_core::trace::Tracing;
use wasmcloud_provider::{CapabilityProvider, Dispatcher};

use super::restart::Restart;
use super::*;
use crate::dispatch::authority::Authority;
use crate::dispatch::snapshot::Condition;
use crate::dispatch::{Dispatch, DispatchConfig};
use crate::event::EventBus;
use crate::instruments::Instruments;
use crate::lifecycle::{ProviderCrashed, ServiceRecord};
use crate::middleware::chain::MiddlewareChain;

const CONTRACT: &str = "test:early";

/// A provider whose first instances crash while they are being created, as a process that dies right after its start: the
/// crash report precedes the answer.
struct Early {
    supervisor: Mutex<Option<Addr<Supervisor>>>,
    provider: ProviderKey,
    crashes: usize,
    starts: AtomicUsize,
}

impl CapabilityProvider for Early {
    fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        let start = self.starts.fetch_add(1, Ordering::SeqCst);
        if start < self.crashes {
            let supervisor = self.supervisor.lock().unwrap().clone().unwrap();
            let (provider, instance) = (self.provider.clone(), InstanceNumber(start));
            let cause = format!("early crash {start}");
            let crashed = ProviderCrashed { provider, instance, cause, service: ServiceRecord::default() };
            // Until the supervisor has handled it.
            actix_rt::System::new().block_on(supervisor.send(crashed)).unwrap();
        }
        Ok(())
    }

    fn handle_call(&self, _: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, BoxedError> {
        Ok(Vec::new())
    }

    fn stop(&self) {}
}

/// Starts a provider whose first instances crash early, and returns its condition and instance once it has settled.
async fn started(crashes: usize, policy: RestartPolicy) -> (Condition, InstanceNumber) {
    let dispatch = Dispatch::new(DispatchConfig {
        limits: Limits::new(),
        authority: Authority::new(None),
        middlewares: MiddlewareChain::new(Vec::new()),
        events: EventBus::new(64),
        instruments: Instruments::off(),
        tracing: Tracing::new("N", 1.0),
    });
    let shards = Arc::new(Shards::start(1).await.unwrap());
    let config = SupervisorConfig {
        compilation: CompilationConfig::default(),
        updates: UpdatePolicy { enabled: false, strict: true },
        grace: Duration::from_secs(5),
        health: CheckPolicy { deadline: Duration::from_secs(1), interval: None },
        trust: TrustPolicy::default(),
        child_changes: None,
    };
    let near = shards.current_or_next();
    let supervisor = Supervisor::new(dispatch.clone(), shards, config).start();
    let vendor = nkeys::KeyPair::new_service().public_key();
    let issuer = nkeys::KeyPair::new_account().public_key();
    let metadata = jwt::CapabilityProvider {
        name: Some("early".to_owned()),
        capid: CONTRACT.to_owned(),
        vendor: "test".to_owned(),
        ..jwt::CapabilityProvider::default()
    };
    let claims = metadata.claims(issuer, vendor.as_str());
    let key = ProviderKey::new(&vendor, "default");
    let (slot, starts) = (Mutex::new(Some(supervisor.clone())), AtomicUsize::new(0));
    let provider = Early { supervisor: slot, provider: key.clone(), crashes, starts };
    let capability = NativeCapability::from_instance(provider, None, claims).unwrap();
    supervisor.send(Command::StartProvider { capability, policy, near }).await.unwrap().unwrap();
    let settled = async {
        loop {
            let running = dispatch.snapshot().providers.get(&key).cloned().unwrap();
            let is_settled = match running.condition {
                Condition::Running => !running.is_down,
                Condition::Restarting(_) => false,
                Condition::Failed(_) => true,
            };
            if is_settled {
                return (running.condition, running.instance);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled).await.expect("a provider that is settled")
}

#[actix_rt::test]
async fn an_instance_that_crashes_before_it_is_registered_is_replaced_after_that() {
    let settled = started(1, RestartPolicy::new()).await;
    assert_eq!(settled, (Condition::Running, InstanceNumber(1)));
    // So are the instances that are created in its place.
    let settled = started(3, RestartPolicy::new()).await;
    assert_eq!(settled, (Condition::Running, InstanceNumber(3)));
}

#[actix_rt::test]
async fn an_instance_that_crashes_before_it_is_registered_fails_by_its_policy_with_the_reason() {
    let (condition, _) = started(1, RestartPolicy::new().restart(Restart::Temporary)).await;
    assert!(matches!(&condition, Condition::Failed(reason) if reason.contains("temporary")), "{condition:?}");
    let (condition, _) = started(usize::MAX, RestartPolicy::new().in_a_row(3)).await;
    assert!(matches!(&condition, Condition::Failed(reason) if reason.contains("3 times in a row")), "{condition:?}");
}
