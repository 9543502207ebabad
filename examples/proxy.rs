//! An actor between two providers: the HTTP server delivers requests to it, and it makes requests with the HTTP client. The
//! values of its link limit the hosts that it may reach.
//!
//! ```text
//! cargo run --release --features providers --example proxy -- --host example.com
//! curl http://localhost:8080/http://example.com/
//! ```

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::error::Error;

use clap::Parser;
use wasmcloud_host::builtin::{HttpClient, HttpServer};
use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
use wasmcloud_host::{Actor, Host, HostBuilder};

use support::Shutdown;

/// The actor. It fetches the URL in the path of each request.
const PROXY: &[u8] = include_bytes!("../fixtures/guests/proxy.wasm");

const SERVER: &str = "wasmcloud:httpserver";
const CLIENT: &str = "wasmcloud:httpclient";

/// Serves an actor that fetches the URL in the path of a request, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(after_help = "Example:\n  proxy --host example.com &\n  curl http://localhost:8080/http://example.com/")]
struct Arguments {
    /// The port to listen on, on the loopback address; 0 takes any free one
    #[arg(long, short, default_value_t = 8080)]
    port: u16,
    /// The hosts that may be reached, separated by commas. Default: any
    #[arg(long, default_value = "")]
    host: String,
    /// The networks that may be reached in addition to public ones, separated by commas, such as 127.0.0.1 or 10.0.0.0/8
    #[arg(long, default_value = "")]
    network: String,
}

#[actix_rt::main]
async fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,wasmcloud_http_server=info"))
        .init();
    if let Err(error) = run(Arguments::parse()).await {
        eprintln!("proxy: {error}");
        std::process::exit(1);
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut shutdown = Shutdown::new()?;
    let host = HostBuilder::new().build();
    host.start().await?;
    let served = serve(&host, arguments).await;
    if served.is_ok() {
        shutdown.asked_for("proxy").await;
    }
    host.stop().await;
    served
}

async fn serve(host: &Host, arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let actor = Actor::from_slice(&sign(PROXY)?)?;
    let actor_id = actor.public_key();
    host.start_actor(actor).await?;

    // The client starts first: the actor needs it for the first request.
    let client = HttpClient::new(None).capability()?;
    let client_id = client.id();
    host.start_native_capability(client).await?;
    let reach = [("ALLOWED_HOSTS", arguments.host), ("ALLOWED_NETWORKS", arguments.network)];
    host.set_link(&actor_id, CLIENT, None, client_id, values(reach)).await?;

    let http = HttpServer::new(None);
    let server = http.capability()?;
    let server_id = server.id();
    host.start_native_capability(server).await?;
    let listen = [("PORT", arguments.port.to_string()), ("BIND", "127.0.0.1".to_owned())];
    host.set_link(&actor_id, SERVER, None, server_id, values(listen)).await?;

    let address = http.address(&actor_id).ok_or("the actor is linked, but not served")?;
    println!("Listening on http://{address}");
    println!("Try: curl http://localhost:{}/http://example.com/", address.port());
    Ok(())
}

fn values<const N: usize>(pairs: [(&str, String); N]) -> HashMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Signs the actor with keys created for this run, and with the capabilities that it needs.
fn sign(module: &[u8]) -> wasmcloud_host::Result<Vec<u8>> {
    let claims = ActorClaims::new("Proxy").capability(SERVER).capability(CLIENT).revision(1).version("0.1.0");
    sign_module(module, &claims, &KeyPair::new_account(), &KeyPair::new_module())
}
