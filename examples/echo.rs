//! The smallest application in one file: an HTTP server, a signed actor, and a link between them.
//!
//! ```text
//! cargo run --release --example echo
//! curl 'http://localhost:8080/demo?test=kthxbye'
//! ```

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::error::Error;

use clap::Parser;
use wasmcloud_host::builtin::HttpServer;
use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
use wasmcloud_host::{Actor, HostBuilder};

use support::Shutdown;

/// The actor. It answers each request with a description of it.
const ECHO: &[u8] = include_bytes!("../fixtures/guests/echo.wasm");

/// Serves an actor that echoes HTTP requests as JSON, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(after_help = "Example:\n  echo --port 9000 &\n  curl 'http://localhost:9000/demo?test=kthxbye'")]
struct Arguments {
    /// The port to listen on; 0 takes any free one
    #[arg(long, short, default_value_t = 8080)]
    port: u16,
    /// The IP address to listen on, or localhost
    #[arg(long, short, default_value = "127.0.0.1")]
    bind: String,
}

#[actix_rt::main]
async fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,wasmcloud_http_server=info"))
        .init();
    if let Err(error) = run(Arguments::parse()).await {
        eprintln!("echo: {error}");
        std::process::exit(1);
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut shutdown = Shutdown::new()?;

    let host = HostBuilder::new().build();
    host.start().await?;
    let served = serve(&host, arguments).await;
    if served.is_ok() {
        shutdown.asked_for("echo").await;
    }
    host.stop().await;
    served
}

async fn serve(host: &wasmcloud_host::Host, arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let actor = Actor::from_slice(&sign(ECHO)?)?;
    let actor_id = actor.public_key();
    host.start_actor(actor).await?;

    let http = HttpServer::new(None);
    let capability = http.capability()?;
    let provider_id = capability.id();
    host.start_native_capability(capability).await?;

    let values = HashMap::from([("PORT".to_owned(), arguments.port.to_string()), ("BIND".to_owned(), arguments.bind)]);
    host.set_link(&actor_id, "wasmcloud:httpserver", None, provider_id, values).await?;

    let address = http.address(&actor_id).ok_or("the actor is linked, but not served")?;
    println!("Listening on http://{address}");
    println!("Try: curl 'http://localhost:{}/demo?test=kthxbye'", address.port());
    Ok(())
}

/// Signs a module with keys created for this run. A released actor is signed once, with the keys of its publisher.
fn sign(module: &[u8]) -> wasmcloud_host::Result<Vec<u8>> {
    let claims = ActorClaims::new("Echo").capability("wasmcloud:httpserver").revision(1).version("0.1.0");
    sign_module(module, &claims, &KeyPair::new_account(), &KeyPair::new_module())
}
