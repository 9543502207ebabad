//! The host's side of a plugin in a child process. Requests are sent as frames. When the process ends, all pending requests
//! fail.
//!
//! # Layout
//! - `program`: starts the process, and waits for its end
//! - `connection`: the frames that are sent to it, and the pending requests
//! - `io_threads`: the threads that read and write frames

mod connection;
mod io_threads;
mod program;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use self::connection::Connection;
use self::io_threads::ReceivedActorCall;
use self::program::EXIT_TIMEOUT;
use super::admission::AdmissionControl;
use super::budget::ReservedBytes;
use super::context::PluginContext;
use super::frames::{START, Start, ToPlugin, VERSION};
use super::in_flight::{InFlightCalls, ServedCall};
use super::isolation::PluginProcess;
use super::plugin_log::PluginLog;
use super::request::{ProviderRequest, RequestFailure};

/// How long a process may continue with an abandoned request before it is terminated as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// A plugin in a child process, used by its shard. Dropping this terminates the process.
pub(super) struct Process {
    connection: Arc<Connection>,
    in_flight: Arc<InFlightCalls>,
    /// The id of the last health check.
    last_check: AtomicU64,
}

impl Process {
    /// Starts a process that loads the plugin.
    ///
    /// # Errors
    /// `Io` if the program cannot be started, `ProviderFailed` if the process cannot load the plugin.
    pub(super) async fn start(program: &PluginProcess, code: Arc<[u8]>, context: PluginContext) -> Result<Process> {
        let started = Process::spawn(program, context)?;
        let start = Start {
            version: VERSION,
            code: ByteBuf::from(&*code),
            memory: program.memory,
            open_files: program.open_files,
            largest_payload: started.in_flight.admission().largest_payload() as u64,
        };
        started.connection.request(START, ToPlugin::Start(start), None).await?.map_err(|refusal| {
            let message = format!("{} could not be started", started.in_flight.provider());
            Error::new(ErrorKind::ProviderFailed, message).context_of(refusal.into_error())
        })?;
        Ok(started)
    }

    fn spawn(program: &PluginProcess, context: PluginContext) -> Result<Process> {
        let PluginContext { provider, dispatcher, budgets, payload_bytes, lost } = context;
        let name = provider.to_string();
        let log = PluginLog::new(&provider);
        let failed = |error| {
            Error::new(ErrorKind::Io, "cannot start the threads for the connection to a plugin's process")
                .caused_by(error)
        };
        let (child, socket) = program::spawn(program)?;
        let read_half = socket.try_clone().map_err(failed)?;
        let write_half = socket.try_clone().map_err(failed)?;
        let (outgoing, to_write) = crossbeam_channel::unbounded();
        let (calls, received) = mpsc::unbounded_channel();
        let admission = AdmissionControl::new(&budgets, payload_bytes);
        let in_flight = Arc::new(InFlightCalls::new(provider, dispatcher, admission.clone()));
        let connection = Arc::new(Connection::new(socket, outgoing, name, log));
        io_threads::start_writer(write_half, Arc::downgrade(&connection), to_write).map_err(failed)?;
        let read = io_threads::start_reader(read_half, connection.clone(), admission, calls).map_err(failed)?;
        actix_rt::spawn(make_actor_calls(received, connection.clone(), in_flight.clone()));
        actix_rt::spawn(program::wait_for_exit(child, connection.clone(), read, lost));
        Ok(Process { connection, in_flight, last_check: AtomicU64::new(START) })
    }

    /// Makes a request. If the caller abandons it, the process is terminated unless it answers soon.
    async fn request(
        &self,
        id: u64,
        request: ProviderRequest,
        reserved: Option<ReservedBytes>,
    ) -> Result<Vec<u8>, BoxedError> {
        let _stuck_guard = StuckRequestGuard { connection: &self.connection, id, name: request.name() };
        let outcome = self.connection.request(id, ToPlugin::Request { id, request }, reserved).await?;
        outcome.map(ByteBuf::into_vec).map_err(RequestFailure::into_error)
    }

    async fn request_without_result(&self, request: ProviderRequest) -> Result<(), BoxedError> {
        self.request(self.in_flight.next_id(), request, None).await.map(drop)
    }
}

/// Makes calls to actors for a process, concurrently, until its connection ends.
async fn make_actor_calls(
    mut received: mpsc::UnboundedReceiver<ReceivedActorCall>,
    connection: Arc<Connection>,
    in_flight: Arc<InFlightCalls>,
) {
    // Dropping this cancels the calls that are in flight when the connection ends.
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            call = received.recv() => {
                let Some(ReceivedActorCall { id, request, reserved }) = call else { return };
                let (connection, in_flight) = (connection.clone(), in_flight.clone());
                calls.spawn_local(async move {
                    let outcome = in_flight.call_actor(request).await;
                    drop(reserved);
                    io_threads::send_answer(&connection, in_flight.admission(), id, outcome);
                });
            }
            Some(_) = calls.join_next() => {}
        }
    }
}

/// Watches a request. If it is dropped while the request is pending, the process must answer within [`STUCK_AFTER`].
struct StuckRequestGuard<'a> {
    connection: &'a Arc<Connection>,
    id: u64,
    name: &'static str,
}

impl Drop for StuckRequestGuard<'_> {
    fn drop(&mut self) {
        if !self.connection.is_pending(self.id) {
            return;
        }
        let (connection, id, name) = (self.connection.clone(), self.id, self.name);
        actix_rt::spawn(async move {
            tokio::time::sleep(STUCK_AFTER).await;
            if connection.abandon(id) {
                connection.terminate(format!("it was still busy with a {name} {STUCK_AFTER:?} after the deadline"));
            }
        });
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Process {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.request_without_result(ProviderRequest::Bind(binding.into())).await
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        self.request_without_result(ProviderRequest::Drain { actor: actor.to_owned() }).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.request_without_result(ProviderRequest::Unbind { actor: actor.to_owned() }).await
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let ServedCall { request, guard: _guard, reserved, .. } = self.in_flight.register(call)?;
        self.request(request.id, ProviderRequest::Call(request), Some(reserved)).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        if self.connection.is_pending(self.last_check.load(Ordering::Relaxed)) {
            let message = "it has not answered the last health check yet";
            return Err(Error::new(ErrorKind::DeadlineExceeded, message).into());
        }
        let id = self.in_flight.next_id();
        self.last_check.store(id, Ordering::Relaxed);
        let request = ToPlugin::Request { id, request: ProviderRequest::Check };
        let outcome = self.connection.request(id, request, None).await;
        outcome?.map(drop).map_err(RequestFailure::into_error)
    }

    async fn stop(&self) {
        self.connection.stopping.store(true, Ordering::Release);
        if let Err(error) = self.request_without_result(ProviderRequest::Stop).await {
            log::error!(provider = self.in_flight.provider().key.joined(); "{} failed while it was stopped: {error}", self.in_flight.provider());
        }
        let exited = self.connection.exited.notified();
        if !self.connection.has_exited() && timeout(EXIT_TIMEOUT, exited).await.is_err() {
            self.connection.terminate("it did not exit when it was stopped".to_owned());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.connection.stopping.store(true, Ordering::Release);
        self.connection.terminate("the provider was dropped".to_owned());
    }
}
