//! The server, with the open ports of all links.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;

use crate::BoxedError;
use crate::actor_caller::ActorCaller;
use crate::config::HttpServerConfig;
use crate::connection_table::ConnectionTable;
use crate::figures::{Counters, Figures};
use crate::listener::Listener;
use crate::request_handler::RequestHandler;
use crate::tls;

/// Serves linked actors over HTTP, each on a port of its own.
pub struct Server<C> {
    /// The open ports, by the public key of the actor.
    listeners: Mutex<HashMap<String, Listener<C>>>,
    /// The connections of all ports.
    table: Arc<ConnectionTable>,
    counters: Arc<Counters>,
}

impl<C: ActorCaller + 'static> Server<C> {
    /// Creates a server without open ports.
    pub fn new() -> Server<C> {
        Server { listeners: Mutex::default(), table: ConnectionTable::new(), counters: Arc::default() }
    }

    /// Establishes a link: opens the port that its values configure, and serves the actor there. If the actor is linked
    /// already, the new values replace the old ones.
    ///
    /// # Errors
    /// Names the invalid value, or the address that cannot be opened. The old values of the actor remain in effect.
    pub async fn bind(&self, actor: &str, values: &HashMap<String, String>, caller: C) -> Result<(), BoxedError> {
        let config = HttpServerConfig::from_link_values(values)?;
        let tls = match &config.tls {
            Some(source) => Some(tls::load_acceptor(source).await?),
            None => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let handler = RequestHandler::new(actor, caller, &config, tls, self.counters.clone());
        if let Some(listener) = self.listeners().get(actor).filter(|listener| listener.serves(&config)) {
            listener.replace_handler(handler);
            return Ok(());
        }
        let listener = match self.remove_if_same_port(actor, &config) {
            None => Listener::open(&config, handler, &self.table).await?,
            Some(previous) => {
                match Listener::reopen_as(previous.close_port().await, &config, handler, &self.table).await {
                    Ok(listener) => listener,
                    Err((previous, refusal)) => {
                        self.listeners().extend(previous.map(|previous| (actor.to_owned(), previous)));
                        return Err(refusal.into());
                    }
                }
            }
        };
        log_address(actor, scheme, listener.address());
        let previous = self.listeners().insert(actor.to_owned(), listener);
        if let Some(previous) = previous {
            // The old port closes in the background, after its requests in flight.
            tokio::task::spawn_local(previous.close());
        }
        Ok(())
    }

    /// Ends a link: closes the port of the actor at once, and waits up to 25 seconds for its requests in flight.
    pub async fn unbind(&self, actor: &str) {
        let listener = self.listeners().remove(actor);
        if let Some(listener) = listener {
            listener.close().await;
        }
    }

    /// Ends all links, as [`Server::unbind`] does.
    pub async fn stop(&self) {
        let listeners = std::mem::take(&mut *self.listeners());
        join_all(listeners.into_values().map(Listener::close)).await;
    }

    /// Returns the address that an actor is served on, or `None` if it is not linked. May be called on any thread.
    pub fn address(&self, actor: &str) -> Option<SocketAddr> {
        self.listeners().get(actor).map(Listener::address)
    }

    /// Returns what was counted of the requests to all actors since the server was created. May be called on any thread.
    pub fn figures(&self) -> Figures {
        self.counters.read()
    }

    /// Removes the listener of an actor if it has to be closed before the new one is opened, because both use the same port on
    /// different addresses.
    fn remove_if_same_port(&self, actor: &str, config: &HttpServerConfig) -> Option<Listener<C>> {
        let mut listeners = self.listeners();
        let same = config.address.port() != 0
            && listeners.get(actor).is_some_and(|previous| previous.address().port() == config.address.port());
        if same { listeners.remove(actor) } else { None }
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<String, Listener<C>>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs the address of an actor, at the level `warn` if other machines can reach it.
fn log_address(actor: &str, scheme: &str, address: SocketAddr) {
    match address.ip().to_canonical().is_loopback() {
        true => log::info!(actor; "actor {actor} is served on {scheme}://{address}"),
        false => {
            log::warn!(actor; "actor {actor} is served on {scheme}://{address}, which other machines can reach")
        }
    }
}

impl<C: ActorCaller + 'static> Default for Server<C> {
    fn default() -> Server<C> {
        Server::new()
    }
}

impl<C> fmt::Debug for Server<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
