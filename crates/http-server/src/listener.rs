//! An open port: accepts connections, and closes them when it ends.

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

/// Maximum time for requests in flight to finish after the port is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// Delay after a failed accept, which usually means that no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An open port.
pub(crate) struct Listener<C> {
    /// The configured address. Its port may be 0.
    requested: SocketAddr,
    /// The actual address.
    address: SocketAddr,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
    /// Requests that the port is closed.
    close: oneshot::Sender<()>,
    /// Notified when the port is closed.
    closed: oneshot::Receiver<()>,
    task: JoinHandle<()>,
}

impl<C: ActorCaller + 'static> Listener<C> {
    /// Opens a port, and serves it on this thread.
    ///
    /// # Errors
    /// Names the address, and what to do.
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

    /// Returns whether the configured port is the one that is open.
    pub(crate) fn serves(&self, config: &HttpServerConfig) -> bool {
        self.requested == config.address && !self.task.is_finished()
    }

    /// Replaces the handler for requests that arrive from now on.
    pub(crate) fn replace_handler(&self, handler: RequestHandler<C>) {
        self.handler.store(Arc::new(handler));
    }

    /// Closes the port at once. Returns what is needed to reopen it.
    pub(crate) async fn close_port(self) -> ClosedListener<C> {
        let Listener { requested, handler, close, closed, .. } = self;
        // An error means that the task has ended already.
        let _ = close.send(());
        let _ = closed.await;
        ClosedListener { requested, handler }
    }

    /// Opens a port in place of one that was closed for it.
    ///
    /// # Errors
    /// Says why the port could not be opened. The old port is reopened and returned, if possible.
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

    /// Closes the port, and waits up to 25 seconds for requests in flight.
    pub(crate) async fn close(self) {
        // An error means that the task has ended already.
        let _ = self.close.send(());
        if let Err(error) = self.task.await {
            log::error!("the listener on {} panicked: {error}", self.address);
        }
    }
}

/// A closed port that can be reopened.
pub(crate) struct ClosedListener<C> {
    requested: SocketAddr,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
}

/// The socket of an open port, and its number within the server.
struct ListeningPort {
    socket: TcpListener,
    number: usize,
    table: Arc<ConnectionTable>,
}

impl ListeningPort {
    /// Accepts the next connection, and waits until there is a slot for it.
    async fn accept(&self) -> (TcpStream, ConnectionSlot) {
        let mut is_first_error = true;
        loop {
            match self.socket.accept().await {
                Ok((stream, client)) => return (stream, self.table.acquire_slot(self.number, client.ip()).await),
                Err(error) => {
                    if std::mem::take(&mut is_first_error) {
                        log::warn!("connections cannot be accepted: {error}: closing idle connections");
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
    // The receiver may have been dropped.
    let _ = closed.send(());
    table.close_port(number);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, ended).await.is_err() {
        log::warn!("{} connection(s) were closed: their requests took too long to end", connections.len());
    }
}
