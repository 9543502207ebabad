//! The providers that come with the host.

mod http_server;

pub use http_server::HttpServer;
