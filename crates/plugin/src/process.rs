//! A plugin in a process of its own, seen from the host: orders go out as frames, and whatever becomes of the process,
//! everybody who waits for it is answered.
//!
//! # Layout
//! - `program`: starting the process, and waiting for its end
//! - `line`: what is sent to it, and who waits for answers
//! - `traffic`: the threads that read and write

mod line;
mod program;
mod traffic;

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

use self::line::Line;
use self::program::LAST_MOMENTS;
use self::traffic::Asked;
use super::admission::Admission;
use super::budget::Reserved;
use super::context::PluginContext;
use super::frames::{START, Start, ToPlugin, VERSION};
use super::in_flight::{Begun, InFlightCalls};
use super::isolation::PluginProcess;
use super::order::{Failure, LinkOrder, Order};

/// How long after its time a process may still be at a call before it is taken for stuck.
const OVERDUE: Duration = Duration::from_secs(1);

/// A provider of another process, seen from its shard. The process is ended when this is dropped.
pub(super) struct Process {
    line: Arc<Line>,
    in_flight: Arc<InFlightCalls>,
    /// The number of the last health check.
    check: AtomicU64,
}

impl Process {
    /// Starts a process, and has it load the plugin.
    ///
    /// # Errors
    /// `Io` where there is no such program, and what the process says of the plugin.
    pub(super) async fn start(program: &PluginProcess, code: Arc<[u8]>, context: PluginContext) -> Result<Process> {
        let started = Process::spawn(program, context)?;
        let start = Start {
            version: VERSION,
            code: ByteBuf::from(&*code),
            memory: program.memory,
            open_files: program.open_files,
            largest_message: started.in_flight.admission().largest_message() as u64,
        };
        started.line.ask(START, ToPlugin::Start(start), None).await?.map_err(|refusal| {
            let message = format!("{} could not be started", started.in_flight.provider());
            Error::new(ErrorKind::ProviderFailed, message).context_of(refusal.into_error())
        })?;
        Ok(started)
    }

    fn spawn(program: &PluginProcess, context: PluginContext) -> Result<Process> {
        let PluginContext { provider, dispatcher, budgets, message_bytes, lost } = context;
        let name = provider.to_string();
        let failed = |error| {
            Error::new(ErrorKind::Io, "cannot make threads for the line to a plugin's process").caused_by(error)
        };
        let (child, socket) = program::spawn(program)?;
        let [reading, writing] = [socket.try_clone().map_err(failed)?, socket.try_clone().map_err(failed)?];
        let (outgoing, to_write) = crossbeam_channel::unbounded();
        let (calls, asked) = mpsc::unbounded_channel();
        let in_flight = Arc::new(InFlightCalls::new(provider, dispatcher, Admission::new(&budgets, message_bytes)));
        let line = Arc::new(Line::new(socket, outgoing, name));
        traffic::start_writing(writing, Arc::downgrade(&line), to_write).map_err(failed)?;
        let read =
            traffic::start_reading(reading, line.clone(), in_flight.admission().clone(), calls).map_err(failed)?;
        actix_rt::spawn(carry_out(asked, line.clone(), in_flight.clone()));
        actix_rt::spawn(program::watch(child, line.clone(), read, lost));
        Ok(Process { line, in_flight, check: AtomicU64::new(START) })
    }

    /// Has the process do something, and takes it for stuck where that is given up and goes on all the same.
    async fn order(&self, id: u64, order: Order, held: Option<Reserved>) -> Result<Vec<u8>, BoxedError> {
        let _overdue = Overdue { line: &self.line, id, what: order.name() };
        let outcome = self.line.ask(id, ToPlugin::Order { id, order }, held).await?;
        outcome.map(ByteBuf::into_vec).map_err(Failure::into_error)
    }

    async fn simply(&self, order: Order) -> Result<(), BoxedError> {
        self.order(self.in_flight.next(), order, None).await.map(drop)
    }
}

/// Calls actors for a process, side by side, until its line has ended.
async fn carry_out(mut calls: mpsc::UnboundedReceiver<Asked>, line: Arc<Line>, in_flight: Arc<InFlightCalls>) {
    // Calls that are under way when it ends are dropped with this: nobody waits for them any more.
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            asked = calls.recv() => {
                let Some(Asked { id, request, held }) = asked else { return };
                let (line, in_flight) = (line.clone(), in_flight.clone());
                under_way.spawn_local(async move {
                    let outcome = in_flight.serve(request).await;
                    drop(held);
                    traffic::answer(&line, in_flight.admission(), id, outcome);
                });
            }
            Some(_) = under_way.join_next() => {}
        }
    }
}

/// Watches over an order. Where nobody waits for it any more and the process is still at it a while later, it is stuck.
struct Overdue<'a> {
    line: &'a Arc<Line>,
    id: u64,
    what: &'static str,
}

impl Drop for Overdue<'_> {
    fn drop(&mut self) {
        if !self.line.waits_for(self.id) {
            return;
        }
        let (line, id, what) = (self.line.clone(), self.id, self.what);
        actix_rt::spawn(async move {
            tokio::time::sleep(OVERDUE).await;
            if line.give_up(id) {
                line.condemn(format!("it was still at a {what} {OVERDUE:?} after the time for it was up"));
            }
        });
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Process {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.simply(Order::Bind(LinkOrder::of(binding))).await
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        self.simply(Order::Drain { actor: actor.to_owned() }).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.simply(Order::Unbind { actor: actor.to_owned() }).await
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let Begun { order, serving: _serving, held, .. } = self.in_flight.begin(call)?;
        self.order(order.id, Order::Call(order), Some(held)).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        if self.line.waits_for(self.check.load(Ordering::Relaxed)) {
            let message = "it has not answered the last health check yet";
            return Err(Error::new(ErrorKind::DeadlineExceeded, message).into());
        }
        let id = self.in_flight.next();
        self.check.store(id, Ordering::Relaxed);
        let outcome = self.line.ask(id, ToPlugin::Order { id, order: Order::Check }, None).await;
        outcome?.map(drop).map_err(Failure::into_error)
    }

    async fn stop(&self) {
        self.line.stopping.store(true, Ordering::Release);
        if let Err(error) = self.simply(Order::Stop).await {
            log::error!("{} failed while it was stopped: {error}", self.in_flight.provider());
        }
        let ended = self.line.end.notified();
        if !self.line.has_ended() && timeout(LAST_MOMENTS, ended).await.is_err() {
            self.line.condemn("it did not end when it was stopped".to_owned());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.line.stopping.store(true, Ordering::Release);
        self.line.condemn("the provider was dropped".to_owned());
    }
}
