//! The providers that come with the host.

#[cfg(feature = "blobstore")]
mod blob_store;
mod extras;
#[cfg(feature = "httpclient")]
mod http_client;
#[cfg(feature = "httpserver")]
mod http_server;
#[cfg(feature = "keyvalue")]
mod key_value;
mod link_values;
mod logging;
#[cfg(feature = "messaging")]
mod messaging;

use std::collections::HashMap;

use wascap::jwt::{self, Claims};

#[cfg(feature = "blobstore")]
pub use blob_store::BlobStore;
pub use extras::Extras;
#[cfg(feature = "httpclient")]
pub use http_client::HttpClient;
#[cfg(feature = "httpserver")]
pub use http_server::HttpServer;
#[cfg(feature = "keyvalue")]
pub use key_value::KeyValue;
pub use logging::Logging;
#[cfg(feature = "messaging")]
pub use messaging::Messaging;

/// What a provider that comes with the host claims to be: the host vouches for it, so nobody signs it.
fn claims(name: &str, public_key: &str, contract: &str) -> Claims<jwt::CapabilityProvider> {
    Claims::<jwt::CapabilityProvider>::new(
        name.to_owned(),
        String::new(),
        public_key.to_owned(),
        contract.to_owned(),
        "wasmcloud-host".to_owned(),
        None,
        Some(env!("CARGO_PKG_VERSION").to_owned()),
        HashMap::new(),
    )
}
