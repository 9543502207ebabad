//! An actor with two providers: it counts HTTP requests by path, in a store that survives restarts.
//!
//! ```text
//! cargo run --release --features providers --example counter
//! curl http://localhost:8081/some/path
//! ```
//!
//! The same actor counts in Redis when it is linked to one: `--url redis://localhost`.

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;

use clap::Parser;
use wasmcloud_host::builtin::{HttpServer, KeyValue};
use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
use wasmcloud_host::{Actor, Host, HostBuilder};

use support::Shutdown;

/// The actor. It increments the counter of each request's path, and answers with the new value.
const COUNTER: &[u8] = include_bytes!("../fixtures/guests/kvcounter.wasm");

/// Serves an actor that counts HTTP requests by their path, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(after_help = "Example:\n  counter --port 9000 &\n  curl http://localhost:9000/some/path")]
pub(crate) struct Arguments {
    /// The port to listen on; 0 takes any free one
    #[arg(long, short, default_value_t = 8081)]
    port: u16,
    /// The IP address to listen on, or localhost
    #[arg(long, short, default_value = "127.0.0.1")]
    bind: String,
    /// The file to keep the counters in
    #[arg(long, default_value = "counter.redb")]
    store: String,
    /// A Redis server to keep the counters in instead: redis://[user:password@]host[:port]
    #[arg(long, env = "COUNTER_REDIS_URL", hide_env_values = true)]
    url: Option<String>,
}

#[actix_rt::main]
async fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,wasmcloud_http_server=info"))
        .init();
    if let Err(error) = run(Arguments::parse()).await {
        eprintln!("counter: {error}");
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
        println!("Try: curl http://localhost:{}/some/path", address.port());
        shutdown.asked_for("counter").await;
    }
    host.stop().await;
    served.map(drop)
}

/// Starts the actor and its providers, and returns the address that the actor is served on.
pub(crate) async fn serve(host: &Host, arguments: &Arguments) -> Result<SocketAddr, Box<dyn Error>> {
    let actor = Actor::from_slice(&sign(COUNTER)?)?;
    let actor_id = actor.public_key();
    host.start_actor(actor).await?;

    let store = KeyValue::new(None).capability()?;
    let store_id = store.id();
    host.start_native_capability(store).await?;
    let values = match &arguments.url {
        Some(url) => HashMap::from([("URL".to_owned(), url.clone())]),
        None => HashMap::from([("PATH".to_owned(), arguments.store.clone())]),
    };
    host.set_link(&actor_id, "wasmcloud:keyvalue", None, store_id, values).await?;

    let http = HttpServer::new(None);
    let server = http.capability()?;
    let server_id = server.id();
    host.start_native_capability(server).await?;
    let values =
        HashMap::from([("PORT".to_owned(), arguments.port.to_string()), ("BIND".to_owned(), arguments.bind.clone())]);
    host.set_link(&actor_id, "wasmcloud:httpserver", None, server_id, values).await?;
    http.address(&actor_id).ok_or_else(|| "the actor is linked, but not served".into())
}

/// Signs a module with keys created for this run. A released actor is signed once, with the keys of its publisher.
fn sign(module: &[u8]) -> wasmcloud_host::Result<Vec<u8>> {
    let claims = ActorClaims::new("Counter")
        .capability("wasmcloud:httpserver")
        .capability("wasmcloud:keyvalue")
        .revision(1)
        .version("0.1.0");
    sign_module(module, &claims, &KeyPair::new_account(), &KeyPair::new_module())
}
