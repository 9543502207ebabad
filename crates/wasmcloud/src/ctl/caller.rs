//! Calls actors of a lattice as a client that is no host. The client has a key of its own for each run. Hosts that trust
//! certain hosts only accept its calls if the seed of a trusted cluster vouches for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::RequestErrorKind;
use nkeys::KeyPair;
use uuid::Uuid;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::edge::{Answer, Edge, EdgeSettings};
use wasmcloud_lattice::session::{SessionSettings, Sessions};
use wasmcloud_lattice::wire::{Extension, Invocation};
use wasmcloud_lattice::{Connection, ConnectionOptions, HostTrust, Namespace, Offer, TransferSettings, Transfers};

/// The largest payload of a call and of an answer. Unit: bytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// How often a call is sent, at most. Each further attempt follows a host that did not execute it.
const ATTEMPTS: usize = 8;

/// How long the NATS server may take to confirm that the end of a call was sent.
const CONFIRMATION: Duration = Duration::from_secs(1);

/// The pause before a call is sent again, whose host is being replaced.
const PAUSE: Duration = Duration::from_millis(25);

/// How calls reach actors.
#[derive(Debug)]
pub(super) struct Caller {
    namespace: Namespace,
    connection: Connection,
    edge: Edge,
    transfers: Transfers,
}

/// A call of an actor.
#[derive(Debug)]
pub(super) struct ActorCall<'a> {
    /// The public key of the actor.
    pub(super) actor: &'a str,
    /// The name of the operation.
    pub(super) operation: &'a str,
    /// The payload.
    pub(super) payload: Vec<u8>,
    /// The host that executes the call. Without one, any host that runs the actor does.
    pub(super) host: Option<&'a str>,
    /// When the call fails if it has not been answered.
    pub(super) deadline: Instant,
}

impl Caller {
    /// Connects with the lattice, within `limit`.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options, `LatticeUnavailable` without a connection in time.
    pub(super) async fn connect(
        options: &ConnectionOptions,
        namespace: Namespace,
        cluster: Option<KeyPair>,
        limit: Duration,
    ) -> Result<Caller> {
        let connection = Connection::start(options, &namespace, "calls")?;
        if !tokio::time::timeout(limit, connection.joined()).await.unwrap_or(false) {
            let message = format!("the NATS server cannot be reached within {limit:?} ({})", connection.state());
            return Err(Error::new(ErrorKind::LatticeUnavailable, message));
        }
        let key = Arc::new(KeyPair::new_server());
        let cluster_key = cluster.map(Arc::new);
        let trusted = cluster_key.as_ref().map(|key| key.public_key());
        let trust = HostTrust::new([], trusted);
        let sessions = Sessions::new(SessionSettings {
            namespace: namespace.clone(),
            key: Arc::clone(&key),
            trust: trust.clone(),
            cluster_key: cluster_key.clone(),
            lifetime: Duration::from_secs(60),
            messages: 1024,
            peers: 1,
        })?;
        let transfers = Transfers::start(TransferSettings {
            namespace: namespace.clone(),
            connection: connection.clone(),
            host: key.public_key(),
            message_bytes: LARGEST,
            offered_bytes: LARGEST,
            fetched_bytes: LARGEST,
        });
        let window = Duration::from_secs(60);
        let edge = Edge::new(EdgeSettings {
            namespace: namespace.clone(),
            key,
            cluster_key,
            trust,
            sessions: Arc::new(sessions),
            message_bytes: LARGEST,
            window,
        });
        Ok(Caller { namespace, connection, edge, transfers })
    }

    /// Returns whether a payload fits into the message of a call that names no host. Hosts of 2021 may take such a call, and
    /// fetch nothing.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        // Such a call holds its payload as an array, in which a byte takes two bytes at most.
        payload.len() <= self.transfers.inline_limit() / 2
    }

    /// Calls an actor, and returns its answer.
    ///
    /// # Errors
    /// Those of the call; `ActorNotFound` if no host runs the actor, `DeadlineExceeded` without an answer in time,
    /// `OutcomeUnknown` if the connection was lost meanwhile.
    pub(super) async fn call(&self, call: ActorCall<'_>) -> Result<Vec<u8>> {
        let ActorCall { actor, operation, payload, host, deadline } = call;
        let mut invocation = Invocation {
            origin: WasmCloudEntity::Host,
            target: WasmCloudEntity::Actor(actor.to_owned()),
            operation: operation.to_owned(),
            payload,
            id: String::new(),
            encoded_claims: String::new(),
            host_id: self.edge.host().to_string(),
            extension: Some(Extension::new(0, 0)),
        };
        let _offer = if host.is_some() { self.offer(&mut invocation)? } else { None };
        for _ in 0..ATTEMPTS {
            if let Some(answer) = self.send(&mut invocation, host.map(Arc::from).as_ref(), deadline).await? {
                return Ok(answer);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(absent(actor, host))
    }

    /// Offers the payload to the host that executes the call, if it exceeds a message.
    fn offer(&self, invocation: &mut Invocation) -> Result<Option<Offer>> {
        if invocation.payload.len() <= self.transfers.inline_limit() {
            return Ok(None);
        }
        let offer = self.transfers.offer(std::mem::take(&mut invocation.payload).into())?;
        if let Some(extension) = &mut invocation.extension {
            extension.transfer = Some(offer.transfer());
        }
        Ok(Some(offer))
    }

    /// Sends a call once. Returns `None` if it was not executed and may be sent again.
    async fn send(
        &self,
        invocation: &mut Invocation,
        host: Option<&Arc<str>>,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>> {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let secret = secret()?;
        if let Some(extension) = &mut invocation.extension {
            extension.cancellation = Some(*blake3::hash(&secret).as_bytes());
        }
        let subject = match host {
            Some(host) => self.namespace.peer(&format!("host.{host}.call")),
            None => self.namespace.call(&invocation.target).unwrap_or_default(),
        };
        invocation.id = Uuid::new_v4().to_string();
        let sealed = self.edge.seal(invocation, host, remaining, true)?;
        let mark = self.connection.mark()?;
        let request = async_nats::Request::new().payload(sealed.bytes.clone()).timeout(Some(remaining));
        let answered = tokio::select! {
            biased;
            answered = self.connection.client()?.send_request(subject, request) => answered,
            () = self.connection.broken(mark) => {
                let message = "the connection was lost before the call was answered: it may have been executed";
                return Err(Error::new(ErrorKind::OutcomeUnknown, message));
            }
        };
        if answered.as_ref().is_err_and(|error| error.kind() == RequestErrorKind::TimedOut) {
            self.end(host, &secret).await;
        }
        let message = answered.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => absent(&invocation.target.to_string(), host.map(|host| &**host)),
            RequestErrorKind::TimedOut => {
                Error::new(ErrorKind::DeadlineExceeded, format!("{} has not answered in time", invocation.target))
            }
            RequestErrorKind::MaxPayloadExceeded => Error::new(
                ErrorKind::MessageTooLarge,
                "the payload is larger than a message of the NATS server: name the host that is to execute the call",
            ),
            _ => Error::new(ErrorKind::LatticeUnavailable, "the call was not sent").caused_by(error),
        })?;
        match self.edge.open(&sealed, &message.payload)? {
            Answer::Payload(payload) => Ok(Some(payload)),
            Answer::Failed(error) => Err(error),
            Answer::Retry(_) => Ok(None),
            Answer::Transfer { host: owner, transfer } => {
                let fetched = self.transfers.fetch(&owner, &transfer, deadline).await;
                self.end(host, &secret).await;
                fetched.map(Some)
            }
        }
    }

    /// Tells the host that the caller waits no longer, so that it ends the call, or no longer offers the answer. A host that
    /// does not hear it ends both at the deadline.
    async fn end(&self, host: Option<&Arc<str>>, secret: &[u8; 16]) {
        let subject = match host {
            Some(host) => self.namespace.peer(&format!("host.{host}.cancel")),
            None => self.namespace.peer("cancel"),
        };
        let told = self.connection.publish(subject, secret.to_vec().into()).await;
        if told.is_ok() {
            // Unless the server confirms it, the message may be lost with the process.
            let _ = self.connection.round_trip(CONFIRMATION).await;
        }
    }
}

/// Returns the secret that ends a call. The call carries its hash.
fn secret() -> Result<[u8; 16]> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| {
        Error::new(ErrorKind::Internal, "the operating system has no random numbers").caused_by(error)
    })?;
    Ok(secret)
}

fn absent(actor: &str, host: Option<&str>) -> Error {
    let place = host.map_or("no host of the lattice runs it".to_owned(), |host| format!("host {host} does not run it"));
    Error::new(ErrorKind::ActorNotFound, format!("{actor} cannot be called: {place}"))
}
