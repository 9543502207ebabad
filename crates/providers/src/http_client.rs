//! `wasmcloud:httpclient`: sends the HTTP requests of actors, within the limits of their links.
//!
//! # Layout
//! - `config`: the configuration, parsed from a link's values
//! - `network`: ranges of IP addresses, and which of them are public
//! - `egress`: the hosts, addresses and redirects that a link allows
//! - `headers`: the headers that a request is sent with
//! - `client`: the HTTP client of a link
//! - `propagation`: the trace that a request belongs to
//! - `payloads`: the contract's payloads

mod client;
mod config;
mod egress;
mod headers;
mod network;
mod payloads;
mod propagation;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use client::LinkedClient;
use config::HttpClientConfig;

const CONTRACT: &str = "wasmcloud:httpclient";

/// The provider's public key. It is the same in every host.
const PUBLIC_KEY: &str = "VB7M6YTQJHKCTGLQOQE33ZCE6OF4FI6DCSBOWRLBJ7357QIOI267ILK2";

/// The only operation of the contract.
const REQUEST: &str = "Request";

/// The provider of `wasmcloud:httpclient`: sends HTTP requests for the actors that are linked to it.
///
/// Each link configures the provider for one actor, by the values that [`HttpClient::LINK_VALUES`] lists.
///
/// The provider refuses a link if a value is unknown or invalid. The error names the value. Each link has connections of its own,
/// which are closed with the link. When a link's values change, requests in flight end under the old values.
///
/// # Reachable addresses
/// Addresses are checked when a connection is made, for every name and every redirect. Addresses that are not public (loopback,
/// private, link-local, metadata services of clouds and other special ranges) are reachable only if `ALLOWED_NETWORKS` contains them.
/// Redirects from `https` to `http` are not followed. Proxies named by the environment are not used.
///
/// # Requests and responses
/// A request fails if its target is not allowed, if it exceeds `TIMEOUT_MS` or the deadline of the call, if the request or the
/// response is too large, or if the responses of the link hold more than 256 MiB. A request that failed may have taken effect.
///
/// Bodies are passed on unchanged: responses are not decompressed. Repeated response headers are joined by commas.
///
/// The body and the URL determine how a request is framed and addressed:
///
/// | Request header of the actor | Treatment |
/// |---|---|
/// | `content-length` | Sent if it equals the length of the body, otherwise the request is refused. If it is missing, the client adds it for requests with a body, and `0` for `POST`, `PUT` and `PATCH` without one. |
/// | `host` | Replaced by the host of the URL. |
/// | `connection` | `close` is sent, and `keep-alive` is ignored as the default. With any other value the request is refused. |
/// | `transfer-encoding`, `te`, `trailer`, `upgrade`, `http2-settings`, `keep-alive`, `proxy-connection`, `proxy-authorization`, `proxy-authenticate` | The request is refused. |
/// | `traceparent`, `tracestate` | Sent if they name another trace than the one that the call belongs to. Otherwise the client sets them for a call that belongs to a trace. |
/// | any other | Sent. |
///
/// # Example
/// ```
/// use wasmcloud_host::{HostBuilder, builtin::HttpClient};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// host.start_native_capability(HttpClient::new(None).capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpClient {
    link_name: Option<String>,
    /// The clients of linked actors, by public key.
    clients: Arc<Mutex<HashMap<String, Arc<LinkedClient>>>>,
}

impl HttpClient {
    /// Creates a provider that runs under this link name. Default: `default`.
    pub fn new(link_name: Option<String>) -> HttpClient {
        HttpClient { link_name, clients: Arc::default() }
    }

    /// Returns the provider for `Host::start_native_capability`.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("HTTP client", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Arc<LinkedClient>>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for HttpClient {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let config = HttpClientConfig::from_link_values(&binding.values)?;
        // Blocking, because the system's certificates are read from files.
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
        client.send_request(&call.message, &call.dispatcher).await
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

/// Decodes a payload and returns it as text, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    (operation == REQUEST)
        .then(|| payloads::RequestPayload::decode(payload).ok())
        .flatten()
        .map(|read| format!("{read:?}"))
}
