//! A plugin in the host's process: its code runs on threads of its own, and its calls to actors come back through a
//! channel to the shard that it lives on.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use crossbeam_channel::{Receiver, Sender};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
use wasmcloud_provider::threads::Threads;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use super::admission::Admission;
use super::budget::Reserved;
use super::callbacks::{Asker, Callbacks};
use super::context::PluginContext;
use super::host_vtable::HostServices;
use super::in_flight::{Begun, InFlightCalls};
use super::instance::Instance;
use super::library::Library;
use super::order::{ActorRequest, Failure, LinkOrder, Order};

/// How many calls to actors wait for the shard before further ones are refused.
const WAITING: usize = 1024;

/// A provider of this process, seen from its shard.
pub(super) struct InProcess {
    instance: Mutex<Option<Arc<Instance>>>,
    threads: Threads,
    in_flight: Arc<InFlightCalls>,
    requests: JoinHandle<()>,
}

/// What a plugin's threads leave for the shard.
struct Inbox {
    calls: Sender<Asked>,
    left: Arc<Notify>,
    admission: Admission,
    callbacks: Callbacks,
    name: String,
}

/// A call to an actor that the plugin has asked for.
struct Asked {
    request: ActorRequest,
    asker: Asker,
    held: Reserved,
}

impl HostServices for Inbox {
    fn call_actor(&self, request: ActorRequest, asker: Asker) {
        let held = match self.admission.take_request(&request) {
            Ok(held) => held,
            Err(refusal) => return asker.bring(Err(refusal), None),
        };
        if let Err(refused) = self.calls.try_send(Asked { request, asker, held }) {
            let full = refused.is_full();
            let text =
                if full { format!("{WAITING} calls to actors wait") } else { "the provider was stopped".to_owned() };
            return refused.into_inner().asker.bring(Err(Failure::busy(text)), None);
        }
        self.left.notify_one();
    }

    fn largest_message(&self) -> usize {
        self.admission.largest_message()
    }

    fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }

    fn log(&self, level: log::Level, text: &str) {
        log::log!(level, "{}: {text}", self.name);
    }
}

impl InProcess {
    /// Has the library make a provider, on threads of its own.
    ///
    /// # Errors
    /// Where there are no threads to be had, or the provider refuses to start.
    pub(super) async fn start(library: Arc<Library>, context: PluginContext) -> Result<InProcess> {
        let PluginContext { provider, dispatcher, budgets, message_bytes, .. } = context;
        let threads = Threads::start(&provider)?;
        let callbacks = Callbacks::start(format!("provider-answers-{}", provider.contract_id)).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot start a thread for {provider}")).caused_by(error)
        })?;
        let (calls, arrived) = crossbeam_channel::bounded(WAITING);
        let left = Arc::new(Notify::new());
        let name = provider.to_string();
        let admission = Admission::new(&budgets, message_bytes);
        let in_flight = Arc::new(InFlightCalls::new(provider, dispatcher, admission.clone()));
        let inbox = Arc::new(Inbox { calls, left: left.clone(), admission, callbacks, name });
        let requests = actix_rt::spawn(serve(arrived, left, in_flight.clone()));
        let started = InProcess { instance: Mutex::default(), threads, in_flight, requests };
        let start = move || Instance::start(library, inbox).map_err(Failure::into_error);
        let instance = started.threads.in_turn(start).await.map_err(|error| {
            let message = format!("{} could not be started", started.in_flight.provider());
            Error::new(ErrorKind::ProviderFailed, message).context_of(error)
        })?;
        *started.slot() = Some(Arc::new(instance));
        Ok(started)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Instance>>> {
        // What is in it is whole after any panic: each use is a single operation.
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self) -> Result<Arc<Instance>> {
        let stopped = || Error::new(ErrorKind::ProviderNotFound, "the provider was stopped");
        self.slot().clone().ok_or_else(stopped)
    }

    async fn in_turn(&self, order: Order) -> Result<(), BoxedError> {
        let instance = self.instance()?;
        let carry_out = move || instance.carry_out(&order).map(drop).map_err(Failure::into_error);
        self.threads.in_turn(carry_out).await
    }
}

/// Carries out what a plugin asks for, side by side.
async fn serve(calls: Receiver<Asked>, left: Arc<Notify>, in_flight: Arc<InFlightCalls>) {
    loop {
        while let Ok(asked) = calls.try_recv() {
            actix_rt::spawn(carry_out(asked, in_flight.clone()));
        }
        left.notified().await;
    }
}

async fn carry_out(Asked { request, asker, held }: Asked, in_flight: Arc<InFlightCalls>) {
    let outcome = in_flight.serve(request).await;
    drop(held);
    let (outcome, held) = if asker.lets_wait() { in_flight.admission().keep(outcome) } else { (outcome, None) };
    asker.bring(outcome, held);
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for InProcess {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.in_turn(Order::Bind(LinkOrder::of(binding))).await
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        self.in_turn(Order::Drain { actor: actor.to_owned() }).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.in_turn(Order::Unbind { actor: actor.to_owned() }).await
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let instance = self.instance()?;
        let Begun { order, deadline, serving, held } = self.in_flight.begin(call)?;
        let serve = move || {
            let (_serving, _held) = (serving, held);
            let answer = instance.carry_out(&Order::Call(order)).map_err(Failure::into_error)?;
            Ok(answer.into_vec())
        };
        self.threads.call(deadline, serve).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let instance = self.instance()?;
        let check = move || instance.carry_out(&Order::Check).map(drop).map_err(Failure::into_error);
        self.threads.check(check).await
    }

    async fn stop(&self) {
        let Some(instance) = self.slot().take() else { return };
        let stop = move || {
            let stopped = instance.carry_out(&Order::Stop).map(drop).map_err(Failure::into_error);
            // Destroyed here, where it may block, unless a call that never ends still holds it.
            drop(instance);
            stopped
        };
        if let Err(error) = self.threads.in_turn(stop).await {
            log::error!("{} failed while it was stopped: {error}", self.in_flight.provider());
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.requests.abort();
        if let Some(instance) = self.slot().take() {
            self.threads.leave(move || drop(instance));
        }
    }
}
