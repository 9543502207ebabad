//! The side of the host: it reads requests, checks who gives orders, and answers. What a request means is for its
//! [`ControlHandler`] to say.
//!
//! Each request gets an answer, and a malformed one an error, up to a rate. Beyond that, requests are dropped and counted.
//!
//! # Layout
//! - `handler`: what the host supplies
//! - `request`: reads requests
//! - `carrying_out`: orders in progress, and their acknowledgements
//! - `pages`, `state_pages`: inventories and states that fit into messages
//! - `throttles`, `counts`: bounds, and what was counted

mod carrying_out;
mod counts;
mod handler;
mod pages;
mod request;
mod state_pages;
#[cfg(test)]
mod tests;
mod throttles;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::Message;
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::{Connection, Namespace, Subject, Subscription, is_inbox};

use crate::authority::ControlAuthority;
use crate::event::ControlEvent;
use crate::message::{ActorAuctionAck, ActorAuctionRequest, ProviderAuctionAck, ProviderAuctionRequest};
use crate::outcome::Outcome;
use crate::subject::Subjects;
use crate::token;
use counts::Counters;
use request::Request;
use throttles::Throttles;

pub use counts::ControlCounts;
pub use handler::{Carried, ControlHandler, Order, Work};

/// The largest request that is read. Unit: bytes.
const LARGEST_REQUEST: usize = 1024 * 1024;

/// The largest answer if the server has not told its limit, and to any server. Unit: bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// The most orders that are carried out at a time.
const ORDERS: usize = 64;

/// How long the server may take to confirm the end of subscriptions.
const FAREWELL: Duration = Duration::from_secs(2);

/// The delays before subscriptions that failed are made again.
const SOONEST_RETRY: Duration = Duration::from_millis(200);
const LATEST_RETRY: Duration = Duration::from_secs(30);

/// What a service needs.
pub struct ControlSettings {
    /// The namespace of the lattice.
    pub namespace: Namespace,
    /// The public key of the host.
    pub host: String,
    /// The connection of control.
    pub connection: Connection,
    /// Who may give orders.
    pub authority: ControlAuthority,
    /// What answers and carries out.
    pub handler: Arc<dyn ControlHandler>,
}

/// The control interface of a host. Cheap to clone. Dropping the last one ends its tasks.
#[derive(Clone)]
pub struct ControlService(Arc<Handle>);

struct Handle {
    inner: Arc<Inner>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the tasks share.
struct Inner {
    subjects: Subjects,
    host: String,
    connection: Connection,
    authority: ControlAuthority,
    handler: Arc<dyn ControlHandler>,
    counters: Counters,
    /// A permit for each order in progress.
    orders: Arc<Semaphore>,
    leaving: watch::Sender<bool>,
}

impl ControlService {
    /// Starts to serve, on tasks of the current tokio runtime. They outlive reconnections, and begin again if the server has
    /// refused a subscription.
    ///
    /// # Errors
    /// `InvalidArgument` for a host key that is none.
    pub fn start(settings: ControlSettings) -> Result<ControlService> {
        let ControlSettings { namespace, host, connection, authority, handler } = settings;
        let subjects = Subjects::new(namespace);
        subjects.commands(&host)?;
        if authority.is_open() {
            log::warn!(
                "any program on the NATS server may control host {host}: name control issuers, or let operators alone publish on {}",
                subjects.namespace().control(">")
            );
        }
        let inner = Arc::new(Inner {
            subjects,
            host,
            connection,
            authority,
            handler,
            counters: Counters::default(),
            orders: Arc::new(Semaphore::new(ORDERS)),
            leaving: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(run_until_left(inner.clone()));
        Ok(ControlService(Arc::new(Handle { inner, tasks: Mutex::new(tasks) })))
    }

    /// Publishes an event of the host.
    ///
    /// # Errors
    /// `LatticeUnavailable` while the host is not connected; `InvalidArgument` for a malformed kind; `MessageTooLarge` beyond
    /// the server's limit.
    pub async fn tell(&self, event: ControlEvent) -> Result<()> {
        self.0.inner.tell(event).await
    }

    /// Returns what was counted since the start.
    pub fn counts(&self) -> ControlCounts {
        self.0.inner.counters.read()
    }

    /// Ends the subscriptions, and returns when the server knows it or does not answer. Orders in progress go on.
    pub async fn leave(&self) {
        self.0.inner.leaving.send_replace(true);
        let mut tasks = self.0.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
        // The client ends subscriptions on tasks of its own.
        tokio::task::yield_now().await;
        if let Err(error) = self.0.inner.connection.round_trip(FAREWELL).await {
            log::debug!("the server may still have subscriptions of control: {error}");
        }
    }
}

impl fmt::Debug for ControlService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlService").field("host", &self.0.inner.host).field("counts", &self.counts()).finish()
    }
}

impl fmt::Debug for ControlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlSettings").field("host", &self.host).finish_non_exhaustive()
    }
}

async fn run_until_left(inner: Arc<Inner>) {
    let mut leaving = inner.leaving.subscribe();
    tokio::select! {
        () = run(&inner) => {}
        _ = leaving.wait_for(|is_leaving| *is_leaving) => {}
    }
}

/// Serves, and begins again after a failure, until the connection is closed.
async fn run(inner: &Arc<Inner>) {
    let mut delay = SOONEST_RETRY;
    while inner.connection.joined().await {
        let began = Instant::now();
        if let Err(error) = inner.serve().await {
            log::warn!("the host cannot be controlled and tries again: {error}");
        }
        delay = if began.elapsed() > LATEST_RETRY { SOONEST_RETRY } else { (delay * 2).min(LATEST_RETRY) };
        sleep(delay).await;
    }
}

impl Inner {
    /// Serves requests, until a subscription fails or ends.
    async fn serve(self: &Arc<Self>) -> Result<()> {
        let subjects = vec![
            Subject::new(self.subjects.summaries()),
            Subject::new(self.subjects.inventory_page(&self.host)?),
            Subject::new(self.subjects.state(&self.host)?),
            Subject::new(self.subjects.actor_auction()),
            Subject::new(self.subjects.provider_auction()),
            Subject::new(self.subjects.commands(&self.host)?),
            // One host of the lattice gets each of these.
            Subject::shared(self.subjects.put_link()),
            Subject::shared(self.subjects.remove_link()),
        ];
        let subscriptions = self.connection.subscribe_all(subjects).await?;
        let mut throttles = Throttles::new();
        let mut subscriptions = futures_util::stream::select_all(subscriptions.into_iter().map(messages));
        while let Some(message) = futures_util::StreamExt::next(&mut subscriptions).await {
            self.hear(message?, &mut throttles).await;
        }
        Ok(())
    }

    /// Answers a request, or begins to carry an order out.
    async fn hear(self: &Arc<Self>, message: Message, throttles: &mut Throttles) {
        self.counters.received.add();
        let Some(reply) = message.reply.as_deref() else { return self.counters.malformed.add() };
        if !is_inbox(reply) {
            return self.counters.refused.add();
        }
        let now = Instant::now();
        match self.admit(&message, throttles, now) {
            Ok(request) => self.serve_request(request, reply).await,
            Err(refusal) => {
                self.counters.of_refusal(refusal.kind()).add();
                // Beyond the rate there is silence: answers to garbage must cost less than the garbage.
                if throttles.refusals.allows(now) {
                    self.answer(reply, &Outcome::failed(&refusal)).await;
                }
            }
        }
    }

    async fn serve_request(self: &Arc<Self>, request: Request, reply: &str) {
        let host_id = self.host.clone();
        match request {
            Request::Summary => self.answer(reply, &self.handler.summary()).await,
            Request::Page(request) => {
                let page = pages::fitting(self.handler.page(&request), &request, self.largest_answer());
                self.answer(reply, &page).await;
            }
            Request::State(request) => match self.handler.state() {
                Ok(state) => self.answer(reply, &state_pages::page(&state, &request, self.largest_answer())).await,
                Err(refusal) => self.answer(reply, &Outcome::failed(&refusal)).await,
            },
            Request::ActorAuction(request) if self.handler.can_run_actor(&request) => {
                let ActorAuctionRequest { actor_ref, constraints } = request;
                self.answer(reply, &ActorAuctionAck { actor_ref, constraints, host_id }).await;
            }
            Request::ProviderAuction(request) if self.handler.can_run_provider(&request) => {
                let ProviderAuctionRequest { provider_ref, link_name, .. } = request;
                self.answer(reply, &ProviderAuctionAck { provider_ref, link_name, host_id }).await;
            }
            // As in 2021, a host that could not run it is silent.
            Request::ActorAuction(_) | Request::ProviderAuction(_) => {}
            Request::Order(order) => self.begin(*order, reply.to_owned()).await,
        }
    }

    /// Reads a request and checks whether it is served.
    fn admit(&self, message: &Message, throttles: &mut Throttles, now: Instant) -> Result<Request> {
        if message.payload.len() > LARGEST_REQUEST {
            let text = format!("the request is larger than {LARGEST_REQUEST} bytes");
            return Err(Error::new(ErrorKind::MessageTooLarge, text));
        }
        let request = Request::read(&self.subjects, &self.host, &message.subject, &message.payload)?;
        if !throttles.of(&request).allows(now) {
            let text = format!("host {} gets more requests of this kind than it serves: try again later", self.host);
            return Err(Error::new(ErrorKind::Busy, text));
        }
        if matches!(request, Request::Order(_)) {
            let headers = message.headers.as_ref();
            let token = headers.and_then(|headers| headers.get(token::HEADER)).map(|value| value.as_str());
            self.authority.admit(&message.subject, &message.payload, token, clock())?;
        }
        Ok(request)
    }

    /// Returns the size of the largest answer. Unit: bytes.
    fn largest_answer(&self) -> usize {
        self.connection.max_payload().unwrap_or(LARGEST_ANSWER).min(LARGEST_ANSWER)
    }

    /// Publishes an answer.
    async fn answer(&self, reply: &str, answer: &impl Serialize) {
        let Ok(json) = serde_json::to_vec(answer) else { return };
        match self.connection.publish(reply, json.into()).await {
            Ok(()) => self.counters.answered.add(),
            Err(error) => log::debug!("a request is not answered: {error}"),
        }
    }

    async fn tell(&self, mut event: ControlEvent) -> Result<()> {
        let subject = self.subjects.event(&self.host, &event.kind)?;
        event.host.clone_from(&self.host);
        if event.at == 0 {
            event.at = clock();
        }
        let json = serde_json::to_vec(&event);
        let cannot = |error| Error::new(ErrorKind::Internal, "an event cannot be written").caused_by(error);
        self.connection.publish(subject, json.map_err(cannot)?.into()).await?;
        self.counters.events.add();
        Ok(())
    }
}

/// Returns the messages of a subscription as a stream.
fn messages(subscription: Subscription) -> futures_util::stream::BoxStream<'static, Result<Message>> {
    let next = |mut subscription: Subscription| async move {
        let message = subscription.next().await?;
        Some((message, subscription))
    };
    Box::pin(futures_util::stream::unfold(subscription, next))
}

/// Returns the time. Unit: milliseconds since 1970.
fn clock() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
