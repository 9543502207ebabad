//! Measures the same call of an actor to a provider of the program, in both of its interfaces, to a plugin in the
//! host's process, and to a plugin in its own process.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/plugins.rs"]
mod built;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use wasmcloud_host::jwt::{self, Claims};
use wasmcloud_host::signing::KeyPair;
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, CapabilityProvider, Dispatcher, Host, HostBuilder, Isolation,
    NativeCapability, PluginProcess, ProviderArchive, ProviderCallContext,
};

use crate::signing;
use crate::support::{Row, Series, is_real_run, rows as ratios};

const CONTRACT: &str = "bench:echo";

/// A provider of the program, in both interfaces.
#[derive(Clone, Copy)]
struct Echo;

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Echo {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Ok(call.message)
    }

    async fn stop(&self) {}
}

impl CapabilityProvider for Echo {
    fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        Ok(())
    }

    fn handle_call(&self, _: &str, _: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError> {
        Ok(message.to_vec())
    }

    fn stop(&self) {}
}

fn claims() -> Claims<jwt::CapabilityProvider> {
    let account = KeyPair::new_account().public_key();
    let provider = KeyPair::new_service().public_key();
    jwt::CapabilityProvider { capid: CONTRACT.to_owned(), ..jwt::CapabilityProvider::default() }
        .claims(account, provider)
}

fn plugin(isolation: Isolation) -> NativeCapability {
    let archive = built::archive(CONTRACT, built::mischief());
    let archive = ProviderArchive::try_load(&archive).expect("it was just made");
    NativeCapability::from_archive_isolated(&archive, None, isolation).expect("it has a library for this machine")
}

/// An actor that is linked to one of the providers.
struct LinkedActor {
    host: Host,
    actor: String,
}

impl LinkedActor {
    async fn start(capability: NativeCapability) -> LinkedActor {
        let host = HostBuilder::new().with_shards(1).with_health_interval(None).build();
        host.start().await.expect("the host starts");
        let provider = capability.id();
        host.start_native_capability(capability).await.expect("the provider starts");
        let actor = signing::sign("host_call").capability(CONTRACT).actor();
        let key = actor.public_key();
        host.start_actor(actor).await.expect("the actor starts");
        host.set_link(&key, CONTRACT, None, provider, HashMap::new()).await.expect("the link is taken");
        LinkedActor { host, actor: key }
    }

    /// Makes the actor call the provider sequentially.
    async fn call(&self, calls: u32) -> Duration {
        let parts = [&b""[..], CONTRACT.as_bytes(), b"Echo", &[7; 64]];
        let lengths = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes());
        let payload: Vec<u8> = lengths.chain(parts.concat()).collect();
        let begin = Instant::now();
        for _ in 0..calls {
            let answer = self.host.call_actor(&self.actor, "Any", &payload).await.expect("the actor answers");
            assert_eq!(answer.first(), Some(&1), "the provider answers");
        }
        begin.elapsed()
    }
}

/// Returns the rows of this part.
pub(crate) async fn rows() -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (15, 2_000) } else { (1, 10) };
    let claims_of = |result: wasmcloud_host::Result<NativeCapability>| result.expect("its claims are whole");
    let apart =
        PluginProcess::of(std::env::current_exe().expect("the path of this program")).argument(crate::PLUGIN_HOST);
    let kinds = [
        ("a provider of the program", claims_of(NativeCapability::from_async(Echo, None, claims()))),
        ("a blocking provider of the program", claims_of(NativeCapability::from_instance(Echo, None, claims()))),
        ("a plugin in the host's process", plugin(Isolation::InProcess)),
        ("a plugin in a process of its own", plugin(Isolation::Process(apart))),
    ];
    let mut series = Vec::new();
    for (what, capability) in kinds {
        series.push((Series::new(format!("actor to {what} and back"), None), LinkedActor::start(capability).await));
    }
    for _ in 0..rounds {
        for (series, linked) in &mut series {
            series.add(linked.call(calls).await, calls);
        }
    }
    for (_, linked) in &series {
        linked.host.stop().await;
    }
    let (reference, others) = series.split_first().expect("there are four");
    ratios(&reference.0, &others.iter().map(|(series, _)| series).collect::<Vec<_>>())
}
