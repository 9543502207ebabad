//! An actor that keeps uploaded files in a directory: it is linked to the HTTP server and to a blob store.
//!
//! ```text
//! cargo run --release --features providers --example file_drop
//! curl --upload-file picture.png http://localhost:8080/picture.png
//! curl http://localhost:8080/
//! curl --retry 9 --output copy.png http://localhost:8080/picture.png
//! ```
//!
//! The store sends a file to the actor in chunks, between requests. Until the file is complete, the actor answers with 503
//! and `Retry-After`, which `curl --retry` follows.

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;

use clap::Parser;
use wasmcloud_host::builtin::{BlobStore, HttpServer};
use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
use wasmcloud_host::{Actor, Host, HostBuilder};

use support::Shutdown;

/// The actor. It serves `PUT`, `GET` and `DELETE` of files, and `GET /` for their list.
const FILE_DROP: &[u8] = include_bytes!("../fixtures/guests/file_drop.wasm");

const SERVER: &str = "wasmcloud:httpserver";
const STORE: &str = "wasmcloud:blobstore";

/// Stores uploaded files and serves them, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(after_help = "Example:\n  file_drop &\n  curl --upload-file picture.png http://localhost:8080/picture.png")]
pub(crate) struct Arguments {
    /// The port to listen on, on the loopback address; 0 takes any free one
    #[arg(long, short, default_value_t = 8080)]
    port: u16,
    /// The directory to keep files in
    #[arg(long, short, default_value = "file_drop")]
    directory: String,
}

#[actix_rt::main]
async fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,wasmcloud_http_server=info"))
        .init();
    if let Err(error) = run(Arguments::parse()).await {
        eprintln!("file_drop: {error}");
        std::process::exit(1);
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut shutdown = Shutdown::new()?;
    let host = HostBuilder::new().build();
    host.start().await?;
    let served = serve(&host, &arguments).await;
    if let Ok(address) = &served {
        println!("Listening on http://{address}");
        println!("Try: curl --upload-file FILE http://localhost:{}/FILE", address.port());
        shutdown.asked_for("file_drop").await;
    }
    host.stop().await;
    served.map(drop)
}

/// Starts the actor and its providers, and returns the address that it is served on.
pub(crate) async fn serve(host: &Host, arguments: &Arguments) -> Result<SocketAddr, Box<dyn Error>> {
    let actor = Actor::from_slice(&sign(FILE_DROP)?)?;
    let actor_id = actor.public_key();
    host.start_actor(actor).await?;

    // The store starts first: the actor needs it for the first request.
    let store = BlobStore::new(None).capability()?;
    let store_id = store.id();
    host.start_native_capability(store).await?;
    let keep = [("ROOT", arguments.directory.clone())];
    host.set_link(&actor_id, STORE, None, store_id, values(keep)).await?;

    let http = HttpServer::new(None);
    let server = http.capability()?;
    let server_id = server.id();
    host.start_native_capability(server).await?;
    let listen = [("PORT", arguments.port.to_string()), ("BIND", "127.0.0.1".to_owned())];
    host.set_link(&actor_id, SERVER, None, server_id, values(listen)).await?;
    Ok(http.address(&actor_id).ok_or("the actor is linked, but not served")?)
}

fn values<const N: usize>(pairs: [(&str, String); N]) -> HashMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Signs the actor with keys created for this run, and with the capabilities that it needs.
fn sign(module: &[u8]) -> wasmcloud_host::Result<Vec<u8>> {
    let claims = ActorClaims::new("File drop").capability(SERVER).capability(STORE).revision(1).version("0.1.0");
    sign_module(module, &claims, &KeyPair::new_account(), &KeyPair::new_module())
}
