//! `wasmcloud:httpserver`: a listener of its own for each linked actor, whose requests become calls.
//!
//! # Layout
//! - `settings`: what a link's values mean
//! - `listener`: one open port, its connections, and how they end
//! - `handler`: from a request to a call and back
//! - `messages`: the contract's payloads

mod handler;
mod listener;
mod messages;
mod settings;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::capability::{AsyncCapabilityProvider, Binding, NativeCapability, ProviderCallContext};
use crate::error::{BoxedError, Result};
use handler::Site;
use listener::Listener;
use settings::Settings;

const CONTRACT: &str = "wasmcloud:httpserver";

/// The provider's public key, the same in every host.
const PUBLIC_KEY: &str = "VBW2SATI6KGCM7PJFVP7FULS2UEFACLKGLJRJKF3ICHO7AEOLZRPDDRB";

/// An HTTP server as a capability provider: each actor that is linked to it is served on a port of its own.
///
/// | link value | meaning | default |
/// |---|---|---|
/// | `PORT` | the TCP port to listen on; `0` takes any free one (see [`HttpServer::address`]) | 8080 |
/// | `BIND` | the IP address to listen on | `0.0.0.0`, all of the machine's |
/// | `BODY_LIMIT` | the largest request body in bytes, 63 MiB at most; larger ones are answered with 413 | 8388608 (8 MiB) |
///
/// A link is refused, naming the value, where one cannot be read or the port cannot be opened. New values for a link
/// open the new port before the old one is closed. When a link ends, its port is closed at once, and requests in flight
/// have 25 s to end.
///
/// An actor that fails is answered for with 500, one that is not in time with 504, one that is stopped or has too much to
/// do with 503; why is on the log and never in the response. While the requests of a link hold more than 256 MiB of
/// bodies, further ones are answered with 503 too.
///
/// Repeated headers of a request reach the actor joined, as the contract has one text for each name; bytes of a header
/// that are no UTF-8 are replaced. Names in an actor's response that differ in case alone make repeated headers.
///
/// ```
/// use std::collections::HashMap;
/// use wasmcloud_host::{HostBuilder, builtin::HttpServer};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// let http = HttpServer::new(None);
/// host.start_native_capability(http.capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpServer {
    link_name: Option<String>,
    /// The open ports, by the public key of their actor.
    listeners: Arc<Mutex<HashMap<String, Listener>>>,
}

impl HttpServer {
    /// A server to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> HttpServer {
        HttpServer { link_name, listeners: Arc::default() }
    }

    /// The server as a provider to start. Clones of this server keep watching it.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("HTTP server", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    /// Where the requests for an actor are listened for, if it is linked.
    pub fn address(&self, actor: &str) -> Option<SocketAddr> {
        self.listeners().get(actor).map(Listener::address)
    }

    /// Takes the listener of an actor out, where its port has to be closed before the new one can be opened: both are the
    /// same port, on other addresses of the machine.
    fn take_from_same_port(&self, actor: &str, settings: &Settings) -> Option<Listener> {
        let mut listeners = self.listeners();
        let same = settings.address.port() != 0
            && listeners.get(actor).is_some_and(|before| before.address().port() == settings.address.port());
        if same { listeners.remove(actor) } else { None }
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<String, Listener>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for HttpServer {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let settings = Settings::read(&binding.values)?;
        let actor = binding.actor.clone();
        let site = Site::new(binding, &settings);
        if let Some(listener) = self.listeners().get(&actor).filter(|listener| listener.listens_as(&settings)) {
            listener.serve_from_now_on(site);
            return Ok(());
        }
        let listener = match self.take_from_same_port(&actor, &settings) {
            None => Listener::open(&settings, site).await?,
            Some(before) => match Listener::open_instead(before.close_port().await, &settings, site).await {
                Ok(listener) => listener,
                Err((before, refusal)) => {
                    self.listeners().extend(before.map(|before| (actor, before)));
                    return Err(refusal.into());
                }
            },
        };
        log::info!("actor {actor} is served on http://{}", listener.address());
        let before = self.listeners().insert(actor, listener);
        if let Some(before) = before {
            // The link has moved. The requests that came in at the old port end beside this.
            actix_rt::spawn(before.close());
        }
        Ok(())
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        self.unbind(actor).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        let listener = self.listeners().remove(actor);
        if let Some(listener) = listener {
            listener.close().await;
        }
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Err(format!("{CONTRACT} has no operation {:?} for actors to call", call.operation).into())
    }

    async fn stop(&self) {
        let listeners = std::mem::take(&mut *self.listeners());
        join_all(listeners.into_values().map(Listener::close)).await;
    }
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer").field("link_name", &self.link_name).finish_non_exhaustive()
    }
}
