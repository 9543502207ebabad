//! A plugin in the host's process. Its code runs on threads of its own. Its calls to actors reach the provider's shard through
//! a channel.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use crossbeam_channel::{Receiver, Sender};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
use wasmcloud_provider::threads::Threads;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use super::admission::{AdmissionControl, AdmittedOutcome};
use super::budget::ReservedBytes;
use super::callback_thread::{CallbackThread, Responder};
use super::context::PluginContext;
use super::host_vtable::HostServices;
use super::in_flight::{InFlightCalls, ServedCall};
use super::instance::PluginInstance;
use super::library::Library;
use super::plugin_log::PluginLog;
use super::request::{ActorRequest, ProviderRequest, RequestFailure};

/// How many calls to actors wait for the shard before further ones are refused.
const QUEUE_LENGTH: usize = 1024;

/// A plugin in the host's process, used by its shard.
pub(super) struct InProcess {
    instance: Mutex<Option<Arc<PluginInstance>>>,
    threads: Threads,
    in_flight: Arc<InFlightCalls>,
    /// The task that makes the plugin's calls to actors.
    actor_calls: JoinHandle<()>,
}

/// The services of the host for the plugin's threads. Calls to actors are queued for the shard.
struct InProcessServices {
    actor_calls: Sender<QueuedActorCall>,
    queued: Arc<Notify>,
    admission: AdmissionControl,
    callback_thread: CallbackThread,
    log: PluginLog,
}

/// A call of the plugin to an actor that waits for the shard.
struct QueuedActorCall {
    request: ActorRequest,
    responder: Responder,
    reserved: ReservedBytes,
}

impl HostServices for InProcessServices {
    fn call_actor(&self, request: ActorRequest, responder: Responder) {
        let reserved = match self.admission.reserve_actor_call(&request) {
            Ok(reserved) => reserved,
            Err(refusal) => return responder.respond(Err(refusal), None),
        };
        if let Err(refused) = self.actor_calls.try_send(QueuedActorCall { request, responder, reserved }) {
            let text = match refused.is_full() {
                true => format!("{QUEUE_LENGTH} calls to actors wait already: call again later"),
                false => "the provider was stopped".to_owned(),
            };
            return refused.into_inner().responder.respond(Err(RequestFailure::busy(text)), None);
        }
        self.queued.notify_one();
    }

    fn largest_payload(&self) -> usize {
        self.admission.largest_payload()
    }

    fn callback_thread(&self) -> &CallbackThread {
        &self.callback_thread
    }

    fn log(&self, level: log::Level, text: &str) {
        self.log.write(level, text);
    }
}

impl InProcess {
    /// Starts a provider of a library, on threads of its own.
    ///
    /// # Errors
    /// `Io` if the threads cannot be started, `ProviderFailed` if the provider refuses to start.
    pub(super) async fn start(library: Arc<Library>, context: PluginContext) -> Result<InProcess> {
        let PluginContext { provider, dispatcher, budgets, payload_bytes, .. } = context;
        let threads = Threads::start(&provider)?;
        let callback_thread = format!("provider-answers-{}", provider.contract_id);
        let callback_thread = CallbackThread::start(callback_thread).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot start a thread for {provider}")).caused_by(error)
        })?;
        let (actor_calls, queue) = crossbeam_channel::bounded(QUEUE_LENGTH);
        let queued = Arc::new(Notify::new());
        let log = PluginLog::new(&provider);
        let admission = AdmissionControl::new(&budgets, payload_bytes);
        let in_flight = Arc::new(InFlightCalls::new(provider, dispatcher, admission.clone()));
        let services =
            Arc::new(InProcessServices { actor_calls, queued: queued.clone(), admission, callback_thread, log });
        let actor_calls = actix_rt::spawn(make_actor_calls(queue, queued, in_flight.clone()));
        let started = InProcess { instance: Mutex::default(), threads, in_flight, actor_calls };
        let start = move || PluginInstance::start(library, services).map_err(RequestFailure::into_error);
        let instance = started.threads.run_in_order(start).await.map_err(|error| {
            let message = format!("{} could not be started", started.in_flight.provider());
            Error::new(ErrorKind::ProviderFailed, message).context_of(error)
        })?;
        *started.slot() = Some(Arc::new(instance));
        Ok(started)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<PluginInstance>>> {
        // The contents are consistent after any panic: each use is a single operation.
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self) -> Result<Arc<PluginInstance>> {
        let stopped = || Error::new(ErrorKind::ProviderNotFound, "the provider was stopped");
        self.slot().clone().ok_or_else(stopped)
    }

    /// Makes a request after all earlier ones of this kind have ended.
    async fn request_in_order(&self, request: ProviderRequest) -> Result<(), BoxedError> {
        let instance = self.instance()?;
        let job = move || instance.request(&request).map(drop).map_err(RequestFailure::into_error);
        self.threads.run_in_order(job).await
    }
}

/// Makes the queued calls of a plugin to actors, concurrently.
async fn make_actor_calls(queue: Receiver<QueuedActorCall>, queued: Arc<Notify>, in_flight: Arc<InFlightCalls>) {
    loop {
        while let Ok(call) = queue.try_recv() {
            actix_rt::spawn(make_actor_call(call, in_flight.clone()));
        }
        queued.notified().await;
    }
}

async fn make_actor_call(call: QueuedActorCall, in_flight: Arc<InFlightCalls>) {
    let QueuedActorCall { request, responder, reserved } = call;
    let outcome = in_flight.call_actor(request).await;
    drop(reserved);
    if responder.is_queued() {
        let AdmittedOutcome { outcome, reserved } = in_flight.admission().admit(outcome);
        responder.respond(outcome, reserved);
    } else {
        responder.respond(outcome, None);
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for InProcess {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.request_in_order(ProviderRequest::Bind(binding.into())).await
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        self.request_in_order(ProviderRequest::Drain { actor: actor.to_owned() }).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.request_in_order(ProviderRequest::Unbind { actor: actor.to_owned() }).await
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let instance = self.instance()?;
        let ServedCall { request, deadline, guard, reserved } = self.in_flight.register(call)?;
        let job = move || {
            let _guard = guard;
            let _reserved = reserved;
            let answer = instance.request(&ProviderRequest::Call(request)).map_err(RequestFailure::into_error)?;
            Ok(answer.into_vec())
        };
        self.threads.run_call(deadline, job).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let instance = self.instance()?;
        let check = move || instance.request(&ProviderRequest::Check).map(drop).map_err(RequestFailure::into_error);
        self.threads.run_health_check(check).await
    }

    async fn stop(&self) {
        let Some(instance) = self.slot().take() else { return };
        let stop = move || {
            let stopped = instance.request(&ProviderRequest::Stop).map(drop).map_err(RequestFailure::into_error);
            // Destroyed on this thread, which may block, unless a call that never ends still holds it.
            drop(instance);
            stopped
        };
        if let Err(error) = self.threads.run_in_order(stop).await {
            log::error!(provider = self.in_flight.provider().key.joined(); "{} failed while it was stopped: {error}", self.in_flight.provider());
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.actor_calls.abort();
        if let Some(instance) = self.slot().take() {
            self.threads.enqueue(move || drop(instance));
        }
    }
}
