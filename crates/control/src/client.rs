//! The client of the control interface, for programs and command lines.
//!
//! # Layout
//! - `gather`: answers of several hosts to one question
//! - `queries`: hosts, links, claims and auctions
//! - `inventories`: what one host runs, and its state
//! - `reading`: what comes in pages, within bounds
//! - `orders`: what changes hosts
//! - `calls`: calls to actors
//! - `events`: what hosts tell

mod calls;
mod events;
mod gather;
mod inventories;
mod orders;
mod queries;
mod reading;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use nkeys::KeyPair;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::printable;
use wasmcloud_lattice::{Connection, ConnectionOptions, LatticeState, Namespace};

use crate::outcome::Outcome;
use crate::subject::Subjects;
use crate::token;

pub use events::{ControlEvents, EventWatch};

/// How much longer a client waits than the host is asked to.
const MARGIN: Duration = Duration::from_secs(2);

/// A client of the control interface. Cheap to clone. The connection ends with the last clone and the last subscription.
///
/// ```no_run
/// use std::time::Duration;
/// use wasmcloud_control::ControlClient;
/// use wasmcloud_lattice::ConnectionOptions;
///
/// # async fn list() -> wasmcloud_core::error::Result<()> {
/// let connection = ConnectionOptions::new("nats://127.0.0.1:4222");
/// let client = ControlClient::connect(connection, "default", Duration::from_secs(2)).await?;
/// for host in client.hosts().await? {
///     println!("{} has run for {} s", host.id, host.uptime);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ControlClient {
    pub(crate) connection: Connection,
    /// Closes the connection with the last client and the last subscription.
    open: Arc<Open>,
    subjects: Subjects,
    timeout: Duration,
    /// How long hosts wait for the outcome of an order before they acknowledge it as accepted.
    wait: Duration,
    /// Signs orders. `None` sends them without a token.
    signer: Option<Arc<KeyPair>>,
    /// Signs calls to actors: the key of a host or a cluster.
    caller: Arc<KeyPair>,
    /// The public key of the host that calls claim to come from.
    caller_host: String,
}

/// An open connection.
struct Open(Connection);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl ControlClient {
    /// Connects with a NATS server. `timeout` bounds the connection, and each request from then on.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options or an invalid namespace; `LatticeUnavailable` if the first attempt fails or takes
    /// too long.
    pub async fn connect(options: ConnectionOptions, namespace: &str, timeout: Duration) -> Result<ControlClient> {
        let namespace = Namespace::new(namespace)?;
        let connection = Connection::start(&options, &namespace, "control client")?;
        let mut status = connection.watch();
        let is_decided = |state: &LatticeState| state.is_joined() || matches!(state, LatticeState::Alone { .. });
        let decided = tokio::time::timeout(timeout, status.wait_for(|status| is_decided(&status.state))).await;
        let state = decided.ok().and_then(Result::ok).map(|status| status.state.clone());
        let reason = match state {
            Some(state) if state.is_joined() => None,
            Some(LatticeState::Alone { reason: Some(reason) }) => Some(reason),
            _ => Some(format!("it did not answer within {timeout:?}")),
        };
        if let Some(reason) = reason {
            connection.abandon();
            let message =
                format!("the NATS server cannot be reached ({reason}): check its address and whether it runs");
            return Err(Error::new(ErrorKind::LatticeUnavailable, message));
        }
        let subjects = Subjects::new(namespace);
        let caller = Arc::new(KeyPair::new_server());
        let caller_host = caller.public_key();
        let open = Arc::new(Open(connection.clone()));
        Ok(ControlClient { connection, open, subjects, timeout, wait: timeout, signer: None, caller, caller_host })
    }

    /// Signs all orders from now on with a seed of an account (`SA...`), a user (`SU...`) or a cluster (`SC...`).
    ///
    /// # Errors
    /// `InvalidArgument` for another text. The error does not show it.
    pub fn sign_with(mut self, seed: &str) -> Result<ControlClient> {
        let key = KeyPair::from_seed(seed.trim()).ok().filter(|key| token::is_issuer(&key.public_key()));
        let key = key.ok_or_else(|| {
            let message = "the seed is not one of an account (SA...), a user (SU...) or a cluster (SC...)";
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        self.signer = Some(Arc::new(key));
        Ok(self)
    }

    /// Sets how long hosts wait for the outcome of an order before they acknowledge it as accepted. Maximum: 10 minutes. Default:
    /// the timeout.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> ControlClient {
        self.wait = wait;
        self
    }

    /// Returns the names of the namespace's subjects.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Returns how long a request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Closes the connection. What was published before has been sent when it returns.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the server did not confirm what was sent.
    pub async fn close(&self) -> Result<()> {
        self.connection.close(self.timeout).await
    }

    /// Returns the headers of an order: its token, if the client signs.
    fn headers(&self, subject: &str, content: &[u8]) -> Result<Option<HeaderMap>> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut headers = HeaderMap::new();
        headers.insert(token::HEADER, token::sign(subject, content, signer, now)?);
        Ok(Some(headers))
    }

    /// Sends a request and waits for one answer, for `limit`.
    async fn ask(&self, subject: String, content: Bytes, limit: Duration, is_order: bool) -> Result<Bytes> {
        let mut request = Request::new().payload(content.clone()).timeout(Some(limit));
        if is_order && let Some(headers) = self.headers(&subject, &content)? {
            request = request.headers(headers);
        }
        let answer = self.connection.send_request(subject, request).await.map_err(|error| match error.kind() {
            ErrorKind::LatticeUnavailable => {
                let message = "no host answers: list the hosts that are there";
                Error::new(ErrorKind::LatticeUnavailable, message).context_of(error)
            }
            ErrorKind::DeadlineExceeded if is_order => {
                let message = "the host did not answer in time, and may have carried out the order";
                Error::new(ErrorKind::DeadlineExceeded, message).context_of(error)
            }
            _ => error,
        })?;
        Ok(answer.payload)
    }

    /// Sends a question or an order, and reads the answer.
    async fn exchange<Q: Serialize, A: DeserializeOwned>(
        &self,
        subject: String,
        request: &Q,
        limit: Duration,
        is_order: bool,
    ) -> Result<A> {
        let answer = self.ask(subject, json(request)?, limit, is_order).await?;
        read(&answer)
    }
}

impl fmt::Debug for ControlClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlClient")
            .field("namespace", &self.subjects.namespace().as_str())
            .field("signs", &self.signer.is_some())
            .finish_non_exhaustive()
    }
}

/// Returns a request in JSON.
fn json(request: &impl Serialize) -> Result<Bytes> {
    let written = serde_json::to_vec(request);
    let cannot = |error| Error::new(ErrorKind::Internal, "a request cannot be written").caused_by(error);
    written.map(Bytes::from).map_err(cannot)
}

/// Reads an answer. One that is an error has the fields of an outcome alone.
fn read<A: DeserializeOwned>(answer: &[u8]) -> Result<A> {
    match serde_json::from_slice(answer) {
        Ok(read) => Ok(read),
        Err(unreadable) => match serde_json::from_slice::<Outcome>(answer).map(Outcome::settled) {
            Ok(Err(refused)) => Err(refused),
            _ => {
                let message = format!("the answer of a host cannot be read: {}", printable(answer));
                Err(Error::new(ErrorKind::Unsupported, message).caused_by(unreadable))
            }
        },
    }
}
