//! The capability providers that come with the host, a cargo feature each.
//!
//! Each provider is configured by the values of its links. A link with a value that its provider does not know is refused.
//!
//! # Features
//! - `default`: all providers
//! - `blobstore`, `httpclient`, `httpserver`, `keyvalue`, `messaging`: the providers of these contracts
//! - `fuzzing`: the interface of the fuzz targets

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

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
#[cfg(test)]
mod payload_fields;

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_plugin::NativeCapability;

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

/// The providers that a program can be built without, by the names of their features.
const OPTIONAL: [&str; 5] = ["blobstore", "httpclient", "httpserver", "keyvalue", "messaging"];

/// The provider of this short name, which is its contract's without `wasmcloud:`, to be run under this link name.
///
/// # Errors
/// `Unsupported`, naming the feature, where the program was built without it; `InvalidArgument` where there is none.
#[doc(hidden)]
pub fn named(name: &str, link_name: Option<String>) -> Result<NativeCapability> {
    match name {
        #[cfg(feature = "blobstore")]
        "blobstore" => BlobStore::new(link_name).capability(),
        "extras" => Extras::new(link_name).capability(),
        #[cfg(feature = "httpclient")]
        "httpclient" => HttpClient::new(link_name).capability(),
        #[cfg(feature = "httpserver")]
        "httpserver" => HttpServer::new(link_name).capability(),
        #[cfg(feature = "keyvalue")]
        "keyvalue" => KeyValue::new(link_name).capability(),
        "logging" => Logging::new(link_name).capability(),
        #[cfg(feature = "messaging")]
        "messaging" => Messaging::new(link_name).capability(),
        optional if OPTIONAL.contains(&optional) => {
            let message =
                format!("the provider {name} is not part of this program: build it with the feature {name:?}");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
        other => {
            let (other, known) = (shorten(other), OPTIONAL.join(", "));
            let message = format!("no provider {other:?} comes with the host; there are extras, logging, {known}");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}

/// What the payload of an operation says to the provider that serves the contract, or to the host where it is an actor's
/// answer, for the fuzz targets. Nothing where it is refused.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn read_payload(contract: &str, operation: &str, payload: &[u8]) -> Option<String> {
    match contract {
        #[cfg(feature = "blobstore")]
        "wasmcloud:blobstore" => blob_store::read_payload(operation, payload),
        "wasmcloud:extras" => extras::read_payload(operation, payload),
        #[cfg(feature = "httpclient")]
        "wasmcloud:httpclient" => http_client::read_payload(operation, payload),
        #[cfg(feature = "httpserver")]
        "wasmcloud:httpserver" => wasmcloud_http_server::read_response(payload),
        #[cfg(feature = "keyvalue")]
        "wasmcloud:keyvalue" => key_value::read_payload(operation, payload),
        "wasmcloud:logging" => logging::read_payload(operation, payload),
        #[cfg(feature = "messaging")]
        "wasmcloud:messaging" => messaging::read_payload(operation, payload),
        _ => wasmcloud_core::health::read_health(payload).err(),
    }
}

/// What a provider that comes with the host claims to be: the host vouches for it, so nobody signs it.
fn claims(name: &str, public_key: &str, contract: &str) -> Claims<jwt::CapabilityProvider> {
    let metadata = jwt::CapabilityProvider {
        name: Some(name.to_owned()),
        capid: contract.to_owned(),
        vendor: "wasmcloud-host".to_owned(),
        ver: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..jwt::CapabilityProvider::default()
    };
    metadata.claims(String::new(), public_key)
}
