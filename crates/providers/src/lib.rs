//! The built-in capability providers. Each has a cargo feature, except for `extras` and `logging`.
//!
//! The values of a link configure its provider. A provider refuses a link that has an unknown or invalid value, and names it.
//!
//! # Features
//! - `default`: all providers
//! - `blobstore`, `httpclient`, `httpserver`, `keyvalue`, `messaging`: the provider of the contract with this name
//! - `fuzzing`: the functions that the fuzz targets call. They may change at any time.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "blobstore")]
mod blob_store;
mod extras;
#[cfg(feature = "httpclient")]
mod http_client;
#[cfg(feature = "httpserver")]
mod http_server;
#[cfg(any(feature = "httpclient", feature = "httpserver"))]
mod http_tracing;
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
pub use link_values::LinkValue;
pub use logging::Logging;
#[cfg(feature = "messaging")]
pub use messaging::Messaging;

/// The short names of the optional providers, which are also the names of their features.
const OPTIONAL: [&str; 5] = ["blobstore", "httpclient", "httpserver", "keyvalue", "messaging"];

/// Creates the provider of the contract `wasmcloud:<name>`, to be run under this link name. Default: `default`.
///
/// # Errors
/// - `Unsupported` if the program was built without the provider's feature.
/// - `InvalidArgument` if there is no such provider.
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
                format!("this program was built without the provider {name}: build it with the feature {name:?}");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
        other => {
            let (other, known) = (shorten(other), OPTIONAL.join(", "));
            let message = format!("there is no built-in provider {other:?}: choose one of extras, logging, {known}");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}

/// Decodes a payload as the provider of `contract` does, and returns it as text for comparison. Returns `None` if the
/// provider refuses the payload.
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

/// Returns the claims of a built-in provider. They are unsigned, because the provider is part of the host.
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
