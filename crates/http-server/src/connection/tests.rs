//! Clients that stop sending or reading, and the memory that the server holds for them.

mod bodies;
mod unsent;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::Bytes;
use hyper::http;
use tokio::io::DuplexStream;
use tokio::task::{JoinHandle, LocalSet};

use super::*;
use crate::actor_caller::{CallError, RequestHead};
use crate::config::HttpServerConfig;
use crate::connection_table::{ConnectionTable, MemoryKind};
use crate::memory_quota::QuotaLimits;

const KIB: usize = 1024;

/// Timeouts for tests, which count bytes rather than measure time.
const TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts {
    idle: Duration::from_secs(20),
    head: Duration::from_secs(20),
    write: Duration::from_secs(1),
    end: Duration::from_millis(100),
};

const LIMITS: QuotaLimits = QuotaLimits { total: 4096 * KIB, client: 2048 * KIB, connection: 1024 * KIB };

/// Answers each request with a body of this size, and counts the calls.
#[derive(Clone)]
struct Answering {
    size: usize,
    called: Arc<AtomicUsize>,
}

impl ActorCaller for Answering {
    type Request = ();

    fn begin(&self, _: &RequestHead<'_>) {}

    async fn call(&self, (): &(), _: &str, _: Vec<u8>) -> Result<Vec<u8>, CallError> {
        self.called.fetch_add(1, Ordering::Relaxed);
        // Others have their turn, as with any actor.
        tokio::task::yield_now().await;
        let length = u32::try_from(self.size).unwrap().to_be_bytes();
        let head = b"\x82\xaastatusCode\xcc\xc8\xa4body\xc6";
        Ok([head, &length[..], &vec![b'x'; self.size]].concat())
    }
}

/// A server without a port.
struct Fixture {
    table: Arc<ConnectionTable>,
    handler: Arc<ArcSwap<RequestHandler<Answering>>>,
    called: Arc<AtomicUsize>,
}

impl Fixture {
    /// Creates a server whose actor answers with this number of bytes.
    fn new(size: usize) -> Fixture {
        let called = Arc::<AtomicUsize>::default();
        let config = HttpServerConfig::from_link_values(&HashMap::new()).unwrap();
        let handler =
            RequestHandler::new("MACTOR", Answering { size, called: called.clone() }, &config, None, Arc::default());
        Fixture {
            table: ConnectionTable::with(100, LIMITS, LIMITS),
            handler: Arc::new(ArcSwap::from_pointee(handler)),
            called,
        }
    }

    /// Connects a client whose connection buffers this number of unread bytes.
    async fn connect(&self, client: u8, unread: usize) -> (DuplexStream, JoinHandle<()>) {
        let (stream, of_server) = tokio::io::duplex(unread);
        let slot = self.table.acquire_slot(0, IpAddr::from([10, 0, 0, client])).await;
        let handler = self.handler.clone();
        let served = tokio::task::spawn_local(async move {
            serve_http(of_server, handler, Protocols::new(), &slot.0, TIMEOUTS).await;
        });
        (stream, served)
    }

    /// A client of HTTP/2 with this window for each answer.
    async fn connect_2(&self, client: u8, window: u32) -> Client {
        let (stream, served) = self.connect(client, 64 * KIB).await;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).initial_connection_window_size(1 << 24).max_concurrent_reset_streams(0);
        let (requests, mut connection) = builder.handshake(stream).await.unwrap();
        let pings = connection.ping_pong().unwrap();
        let connection = tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        Client { requests: requests.ready().await.unwrap(), pings, connection, served }
    }

    /// How often the actor was asked.
    fn called(&self) -> usize {
        self.called.load(Ordering::Relaxed)
    }

    /// What is held of a kind, in bytes.
    fn held(&self, kind: MemoryKind) -> usize {
        self.table.held(kind)
    }
}

/// A client of HTTP/2.
struct Client {
    requests: h2::client::SendRequest<Bytes>,
    pings: h2::PingPong,
    connection: JoinHandle<()>,
    served: JoinHandle<()>,
}

impl Client {
    /// Sends a request. `length` is what it announces of a body, which is sent by the caller.
    fn send(&mut self, length: Option<usize>) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut request = http::Request::builder().method("POST").uri("http://a/");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        self.requests.send_request(request.body(()).unwrap(), length.is_none()).unwrap()
    }

    /// The status of a request without a body whose answer is read.
    async fn status(&mut self) -> u16 {
        let (response, _) = self.send(None);
        let response = soon(response).await.unwrap();
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        status
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("what the test waits for did not happen")
}

/// Lets others run until something can be observed.
async fn until(observer: impl Fn() -> bool) {
    soon(async {
        while !observer() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Lets others run for as long as they have something to do.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}
