//! Helpers of the tests.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use nkeys::KeyPair;
use tokio::sync::{Notify, Semaphore};
use wasmcloud_host::jwt::{self, Claims};
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, ErrorKind, Host, HostBuilder, NativeCapability, ProviderCallContext,
    Result,
};

/// The contract of the probe.
pub(crate) const PROBE: &str = "test:probe";

/// Runs a test with a host of two shards, and stops it afterwards.
pub(crate) async fn with_host(test: impl AsyncFnOnce(Host)) {
    with_host_of(HostBuilder::new().with_shards(2), test).await;
}

/// Runs a test with a host of the test's making, and stops it afterwards.
pub(crate) async fn with_host_of(builder: HostBuilder, test: impl AsyncFnOnce(Host)) {
    let host = with_tested_compiler(builder).build();
    host.start().await.unwrap();
    test(host.clone()).await;
    host.stop().await;
}

/// Chooses the compiler that the environment asks the tests to be run with, if it does: all must pass with each.
pub(crate) fn with_tested_compiler(builder: HostBuilder) -> HostBuilder {
    match std::env::var("WASMCLOUD_TEST_COMPILER").as_deref() {
        Ok("singlepass") => builder.with_compiler(wasmcloud_host::Compiler::Singlepass),
        Ok(other) => panic!("the tests know no compiler {other:?}, or were built without it"),
        Err(_) => builder,
    }
}

/// The kind of an error that must have occurred.
pub(crate) fn kind<T: Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

pub(crate) fn values(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Waits for something that is sure to happen; a test that waits in vain fails instead of hanging.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(25), what).await.expect("what the test waits for did not happen")
}

/// Lets others run until something can be observed.
pub(crate) async fn until(mut observed: impl AsyncFnMut() -> bool) {
    soon(async {
        while !observed().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Whether an actor is stopped or being stopped, as seen by a call that does not wait to be served.
pub(crate) async fn refuses_calls(host: &Host, actor: &str) -> bool {
    let call = std::pin::pin!(host.call_actor(actor, "Any", b""));
    match futures_util::poll!(call) {
        Poll::Ready(refusal) => kind(refusal) == ErrorKind::ActorStopped,
        Poll::Pending => false,
    }
}

/// The payload that makes the guest `host_call` call the host with these very bytes.
pub(crate) fn host_call(binding: &str, namespace: &str, operation: &str, message: &[u8]) -> Vec<u8> {
    let parts = [binding.as_bytes(), namespace.as_bytes(), operation.as_bytes(), message];
    let lengths = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes());
    lengths.chain(parts.concat()).collect()
}

/// What came of a call by the guest `host_call`: the host's answer, or the text of its refusal.
pub(crate) fn host_answer(reply: &[u8]) -> Result<Vec<u8>, String> {
    match reply.split_first() {
        Some((1, response)) => Ok(response.to_vec()),
        Some((0, error)) => Err(String::from_utf8(error.to_vec()).unwrap()),
        other => panic!("no reply of host_call: {other:?}"),
    }
}

/// A certificate for `localhost` with its key, both in PEM.
pub(crate) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// What a probe has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Bound { actor: String, values: HashMap<String, String> },
    Unbound { actor: String },
    Called { actor: String, operation: String },
    Stopped,
}

/// A provider that shows what reaches it, and does as it is told: `Echo` answers the message, `Fail` fails, `Panic` panics,
/// `Wait` waits until it is released, `CallBack` calls the calling actor's operation `Echo`. A link with the value `REFUSE`
/// is refused.
#[derive(Clone)]
pub(crate) struct Probe {
    seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) arrived: Arc<Notify>,
    pub(crate) release: Arc<Semaphore>,
    dispatchers: Arc<Mutex<HashMap<String, wasmcloud_host::ActorDispatcher>>>,
}

impl Default for Probe {
    fn default() -> Self {
        let release = Arc::new(Semaphore::new(0));
        Probe { seen: Arc::default(), arrived: Arc::default(), release, dispatchers: Arc::default() }
    }
}

impl Probe {
    pub(crate) fn capability(&self) -> NativeCapability {
        NativeCapability::from_async(self.clone(), None, provider_claims(PROBE)).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The operations that were called.
    pub(crate) fn calls(&self) -> Vec<String> {
        let called = |seen| match seen {
            Seen::Called { operation, .. } => Some(operation),
            _ => None,
        };
        self.seen().into_iter().filter_map(called).collect()
    }

    /// The way to call an actor outside of any call.
    pub(crate) fn dispatcher(&self, actor: &str) -> wasmcloud_host::ActorDispatcher {
        self.dispatchers.lock().unwrap()[actor].clone()
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Probe {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        if let Some(reason) = binding.values.get("REFUSE") {
            return Err(reason.clone().into());
        }
        self.dispatchers.lock().unwrap().insert(binding.actor.clone(), binding.dispatcher);
        self.note(Seen::Bound { actor: binding.actor, values: binding.values });
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.note(Seen::Unbound { actor: actor.to_owned() });
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        self.note(Seen::Called { actor: call.actor.clone(), operation: call.operation.clone() });
        match call.operation.as_str() {
            "Echo" => Ok(call.message),
            "Panic" => panic!("deliberate panic"),
            "Wait" => {
                self.arrived.notify_one();
                self.release.acquire().await?.forget();
                Ok(b"released".to_vec())
            }
            "CallBack" => Ok(call.dispatcher.dispatch(&call.actor, "Echo", call.message).await?),
            other => Err(format!("deliberate failure of {other}").into()),
        }
    }

    async fn stop(&self) {
        self.note(Seen::Stopped);
    }
}

/// The claims of a provider made for a test.
pub(crate) fn provider_claims(contract: &str) -> Claims<jwt::CapabilityProvider> {
    let metadata = jwt::CapabilityProvider {
        name: Some("test provider".to_owned()),
        capid: contract.to_owned(),
        vendor: "test".to_owned(),
        ..jwt::CapabilityProvider::default()
    };
    metadata.claims(KeyPair::new_account().public_key(), KeyPair::new_service().public_key())
}

/// Starts the guest `host_call` linked to a probe, and answers with both and the actor's key.
pub(crate) async fn probed_caller(host: &Host) -> (Probe, String) {
    let probe = Probe::default();
    let actor = crate::signing::sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    let capability = probe.capability();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    host.start_actor(actor).await.unwrap();
    host.set_link(&key, PROBE, None, provider, HashMap::new()).await.unwrap();
    (probe, key)
}

/// Runs a test in a process of its own: one that counts what its process holds, while other tests hold things too.
/// `name` is the test's full name.
pub(crate) fn in_own_process<T: Future<Output = ()>>(name: &str, test: impl FnOnce() -> T) {
    const MARK: &str = "WASMCLOUD_TEST_IN_OWN_PROCESS";
    if std::env::var_os(MARK).is_some() {
        return actix_rt::System::new().block_on(test());
    }
    run_in(std::process::Command::new(std::env::current_exe().unwrap()).env(MARK, "1"), name);
}

/// Runs one test in a process that is started like this, and fails with what that one says.
pub(crate) fn run_in(process: &mut std::process::Command, name: &str) {
    let run = process.args(["--exact", "--nocapture", name]).output().unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && output.contains("1 passed"), "{output}{}", String::from_utf8_lossy(&run.stderr));
}

/// Keeps what is logged from now on, for tests of what is on the log. Other tests of this process are on it too.
pub(crate) fn keep_log() {
    // Whoever comes second finds it kept already.
    let _ = log::set_logger(&LOG);
    log::set_max_level(log::LevelFilter::Debug);
}

/// The lines of the log since [`keep_log`].
pub(crate) fn logged() -> Vec<String> {
    LOG.0.lock().unwrap().clone()
}

static LOG: KeptLog = KeptLog(Mutex::new(Vec::new()));

struct KeptLog(Mutex<Vec<String>>);

impl log::Log for KeptLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wasmcloud_")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut line = record.args().to_string();
            if record.target() == "wasmcloud_actor" {
                line = format!("{} {line}{}", record.level(), Fields::of(record).0);
            }
            self.0.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

/// The fields of a line, as ` key=value`.
struct Fields(String);

impl Fields {
    fn of(record: &log::Record<'_>) -> Fields {
        let mut fields = Fields(String::new());
        record.key_values().visit(&mut fields).unwrap();
        fields
    }
}

impl<'line> log::kv::VisitSource<'line> for Fields {
    fn visit_pair(&mut self, key: log::kv::Key<'line>, value: log::kv::Value<'line>) -> Result<(), log::kv::Error> {
        self.0.push_str(&format!(" {key}={value}"));
        Ok(())
    }
}
