//! One open port: how connections come, and how they are ended.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::actor_caller::ActorCaller;
use crate::config::HttpServerConfig;
use crate::connection::{self, Protocols};
use crate::connection_table::{ConnectionSlot, ConnectionTable};
use crate::request_handler::RequestHandler;

/// How long requests in flight may take to end once the port is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// How long to wait after a connection could not be accepted: usually the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that is open until it is closed.
pub(crate) struct Listener<C> {
    /// The address as it was asked for, and as it is.
    requested: SocketAddr,
    address: SocketAddr,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
    /// Asks for the port to be closed.
    close: oneshot::Sender<()>,
    /// Told when it is.
    closed: oneshot::Receiver<()>,
    task: JoinHandle<()>,
}

impl<C: ActorCaller + 'static> Listener<C> {
    /// Opens a port and serves it on this thread.
    ///
    /// # Errors
    /// A text that names the address and what to do.
    pub(crate) async fn open(
        config: &HttpServerConfig,
        handler: RequestHandler<C>,
        table: &Arc<ConnectionTable>,
    ) -> Result<Listener<C>, String> {
        Listener::open_at(config.address, Arc::new(ArcSwap::from_pointee(handler)), table).await
    }

    async fn open_at(
        requested: SocketAddr,
        handler: Arc<ArcSwap<RequestHandler<C>>>,
        table: &Arc<ConnectionTable>,
    ) -> Result<Listener<C>, String> {
        let describe = |error: std::io::Error| {
            format!("cannot listen on {requested} ({error}): choose another PORT or BIND, or stop what listens there")
        };
        let socket = TcpListener::bind(requested).await.map_err(describe)?;
        let address = socket.local_addr().map_err(describe)?;
        let (close, close_requested) = oneshot::channel();
        let (close_done, closed) = oneshot::channel();
        let port = ListeningPort { socket, number: table.new_port(), table: table.clone() };
        let task = tokio::task::spawn_local(accept_connections(port, handler.clone(), close_requested, close_done));
        Ok(Listener { requested, address, handler, close, closed, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether these settings ask for the port that is open already.
    pub(crate) fn serves(&self, config: &HttpServerConfig) -> bool {
        self.requested == config.address && !self.task.is_finished()
    }

    /// Has requests that begin from now on answered by another site.
    pub(crate) fn replace_handler(&self, handler: RequestHandler<C>) {
        self.handler.store(Arc::new(handler));
    }

    /// Closes the port at once. What is left is enough to open it again.
    pub(crate) async fn close_port(self) -> ClosedListener<C> {
        let Listener { requested, handler, close, closed, .. } = self;
        // Where nobody listens, the task has ended before.
        let _ = close.send(());
        let _ = closed.await;
        ClosedListener { requested, handler }
    }

    /// Opens a port in the place of one that was closed for it. Where that fails the old one is opened again, and given
    /// back with the reason.
    pub(crate) async fn reopen_as(
        previous: ClosedListener<C>,
        config: &HttpServerConfig,
        handler: RequestHandler<C>,
        table: &Arc<ConnectionTable>,
    ) -> Result<Listener<C>, (Option<Listener<C>>, String)> {
        match Listener::open(config, handler, table).await {
            Ok(listener) => Ok(listener),
            Err(refusal) => {
                let reopened = Listener::open_at(previous.requested, previous.handler, table).await;
                Err((reopened.inspect_err(|error| log::error!("{error}")).ok(), refusal))
            }
        }
    }

    /// Closes the port, and waits until the requests in flight have ended or their time is up.
    pub(crate) async fn close(self) {
        // Where nobody listens, the task has ended before.
        let _ = self.close.send(());
        if let Err(error) = self.task.await {
            log::error!("the listener on {} did not end as it should: {error}", self.address);
        }
    }
}

/// A port that was closed, with what was behind it.
pub(crate) struct ClosedListener<C> {
    requested: SocketAddr,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
}

/// An open port, and its number among those of the server.
struct ListeningPort {
    socket: TcpListener,
    number: usize,
    table: Arc<ConnectionTable>,
}

impl ListeningPort {
    /// The next connection, as soon as there is a place for it.
    async fn accept(&self) -> (TcpStream, ConnectionSlot) {
        let mut is_first_error = true;
        loop {
            match self.socket.accept().await {
                Ok((stream, client)) => return (stream, self.table.acquire_slot(self.number, client.ip()).await),
                Err(error) => {
                    if std::mem::take(&mut is_first_error) {
                        log::warn!("connections cannot be accepted: {error}: those that are idle are closed");
                    }
                    self.table.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn accept_connections<C: ActorCaller + 'static>(
    port: ListeningPort,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
    mut close: oneshot::Receiver<()>,
    closed: oneshot::Sender<()>,
) {
    let protocols = Protocols::new();
    let mut connections = JoinSet::new();
    {
        let mut next = pin!(port.accept());
        loop {
            tokio::select! {
                _ = &mut close => break,
                Some(_) = connections.join_next() => {}
                (stream, slot) = &mut next => {
                    connections.spawn_local(connection::serve_connection(stream, handler.clone(), protocols.clone(), slot));
                    next.set(port.accept());
                }
            }
        }
    }
    let ListeningPort { socket, number, table } = port;
    drop(socket);
    // Nobody may be waiting for that alone.
    let _ = closed.send(());
    table.close_port(number);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, ended).await.is_err() {
        log::warn!("{} connection(s) were cut: their requests took too long to end", connections.len());
    }
}
