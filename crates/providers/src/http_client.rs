//! `wasmcloud:httpclient`: requests of actors to HTTP servers, within what their links allow.
//!
//! # Layout
//! - `config`: what a link's values mean
//! - `network`: ranges of addresses, and which are public
//! - `egress`: where requests may go: hosts, addresses, redirects
//! - `headers`: what a request is sent with
//! - `client`: one request and its response, within the link's limits
//! - `payloads`: the contract's payloads

mod client;
mod config;
mod egress;
mod headers;
mod network;
mod payloads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use client::LinkedClient;
use config::HttpClientConfig;

const CONTRACT: &str = "wasmcloud:httpclient";

/// The provider's public key, the same in every host.
const PUBLIC_KEY: &str = "VB7M6YTQJHKCTGLQOQE33ZCE6OF4FI6DCSBOWRLBJ7357QIOI267ILK2";

/// The one operation of the contract.
const REQUEST: &str = "Request";

/// An HTTP client as a capability provider: it sends requests for the actors that are linked to it.
///
/// | link value | meaning | default |
/// |---|---|---|
/// | `ALLOWED_HOSTS` | the hosts that may be asked, separated by commas: `api.example.com`, `*.example.com`, an IP address, each with `:port` behind it where only that port is meant | any |
/// | `ALLOWED_NETWORKS` | the networks that may be reached beside the public ones: `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`, separated by commas | none |
/// | `TIMEOUT_MS` | how long a request may take to the end of its response, in milliseconds | 30000 |
/// | `CONNECT_TIMEOUT_MS` | how long a connection may take, in milliseconds | 10000 |
/// | `MAX_REDIRECTS` | how many redirects of a request are followed, 20 at most; with `0` the actor is given them | 5 |
/// | `REQUEST_LIMIT` | the largest request body in bytes, 63 MiB at most | 8388608 (8 MiB) |
/// | `RESPONSE_LIMIT` | the largest response body in bytes, 63 MiB at most | 8388608 (8 MiB) |
/// | `CA_CERT` | the only certificates that TLS servers are trusted by: in PEM, or the path of a file in PEM, read when the link is made | those of the system |
/// | `timeout`, `max_redirects` | accepted, as providers of 2021 knew them, without effect | |
///
/// A link is refused, naming the value, where one is unknown or cannot be read. Each link has connections of its own, which are closed when
/// it ends; requests under way when its values change end under the old ones.
///
/// Wherever a name leads, by whatever redirect, the addresses that it is connected to are checked when it is: those of
/// the machine itself, of private and link-local networks, of clouds' metadata services and all others that are not public are
/// reached only where `ALLOWED_NETWORKS` has them. A redirect from `https` to `http` is not followed. Proxies that the
/// environment names are not used.
///
/// A request ends with an error for the actor when it may not go where it is to, is not done in time (the call's own deadline
/// counts too), is too large or has a response that is, or when the responses of a link hold more than 256 MiB. What went out may have
/// had its effect then. Bodies are passed on as they are: nothing is decompressed. Repeated headers of a response reach the
/// actor joined by commas.
///
/// A request is framed by its body and addressed by its URL:
///
/// | header of an actor | what becomes of it |
/// |---|---|
/// | `content-length` | sent where it is the length of the body; any other refuses the request. Without it the client tells the length of a body, and `0` for `POST`, `PUT` and `PATCH` without one |
/// | `host` | replaced by that of the URL |
/// | `connection` | `close` is sent, `keep-alive` is what happens anyway; any other refuses the request |
/// | `transfer-encoding`, `te`, `trailer`, `upgrade`, `http2-settings`, `keep-alive`, `proxy-connection`, `proxy-authorization`, `proxy-authenticate` | refuse the request |
/// | all others | sent |
#[derive(Clone)]
pub struct HttpClient {
    link_name: Option<String>,
    /// What each linked actor has, by its public key.
    clients: Arc<Mutex<HashMap<String, Arc<LinkedClient>>>>,
}

impl HttpClient {
    /// A client to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> HttpClient {
        HttpClient { link_name, clients: Arc::default() }
    }

    /// The client as a provider to start.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("HTTP client", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Arc<LinkedClient>>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for HttpClient {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let config = HttpClientConfig::from_link_values(&binding.values)?;
        // The certificates of the system are read from files.
        let client = tokio::task::spawn_blocking(|| LinkedClient::new(config)).await??;
        self.clients().insert(binding.actor, Arc::new(client));
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.clients().remove(actor);
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        if call.operation != REQUEST {
            return Err(format!("{CONTRACT} has no operation {:?}, only {REQUEST:?}", call.operation).into());
        }
        let client = self.clients().get(&call.actor).cloned();
        let client = client.ok_or_else(|| format!("actor {} is not linked to the HTTP client", call.actor))?;
        client.send_request(&call.message).await
    }

    async fn stop(&self) {
        self.clients().clear();
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("link_name", &self.link_name).finish_non_exhaustive()
    }
}

/// What the payload of an operation says, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    (operation == REQUEST)
        .then(|| payloads::RequestPayload::decode(payload).ok())
        .flatten()
        .map(|read| format!("{read:?}"))
}
