//! The open ports of all links.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;

use crate::BoxedError;
use crate::actor_caller::ActorCaller;
use crate::config::HttpServerConfig;
use crate::connection_table::ConnectionTable;
use crate::listener::Listener;
use crate::request_handler::RequestHandler;
use crate::tls;

/// HTTP servers for linked actors, each on a port of its own.
pub struct Server<C> {
    /// The open ports, by the public key of their actor.
    listeners: Mutex<HashMap<String, Listener<C>>>,
    /// The connections at all of these ports.
    table: Arc<ConnectionTable>,
}

impl<C: ActorCaller + 'static> Server<C> {
    /// A server without any open port.
    pub fn new() -> Server<C> {
        Server { listeners: Mutex::default(), table: ConnectionTable::new() }
    }

    /// Takes a link: opens the port that its values ask for and answers requests there with calls. For an actor that has
    /// a port already, the new values replace the old ones.
    ///
    /// # Errors
    /// A text that names the value which cannot be read, or the address that cannot be listened on. What was in effect for
    /// the actor before still is.
    pub async fn bind(&self, actor: &str, values: &HashMap<String, String>, caller: C) -> Result<(), BoxedError> {
        let config = HttpServerConfig::from_link_values(values)?;
        let tls = match &config.tls {
            Some(source) => Some(tls::load_acceptor(source).await?),
            None => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let handler = RequestHandler::new(actor, caller, &config, tls);
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
            // The link has moved. The requests that came in at the old port end beside this.
            tokio::task::spawn_local(previous.close());
        }
        Ok(())
    }

    /// Lets go of a link: closes the actor's port at once, and waits until the requests in flight have ended or their time
    /// is up.
    pub async fn unbind(&self, actor: &str) {
        let listener = self.listeners().remove(actor);
        if let Some(listener) = listener {
            listener.close().await;
        }
    }

    /// Lets go of all links.
    pub async fn stop(&self) {
        let listeners = std::mem::take(&mut *self.listeners());
        join_all(listeners.into_values().map(Listener::close)).await;
    }

    /// Where the requests for an actor are listened for, if it is linked. It may be asked on any thread.
    pub fn address(&self, actor: &str) -> Option<SocketAddr> {
        self.listeners().get(actor).map(Listener::address)
    }

    /// Takes the listener of an actor out, where its port has to be closed before the new one can be opened: both are the
    /// same port, on other addresses of the machine.
    fn remove_if_same_port(&self, actor: &str, config: &HttpServerConfig) -> Option<Listener<C>> {
        let mut listeners = self.listeners();
        let same = config.address.port() != 0
            && listeners.get(actor).is_some_and(|previous| previous.address().port() == config.address.port());
        if same { listeners.remove(actor) } else { None }
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<String, Listener<C>>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the log where an actor is served. That other machines reach it is told to those who want to know of little else.
fn log_address(actor: &str, scheme: &str, address: SocketAddr) {
    match address.ip().to_canonical().is_loopback() {
        true => log::info!("actor {actor} is served on {scheme}://{address}"),
        false => log::warn!("actor {actor} is served on {scheme}://{address}, to other machines as well"),
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
