//! Actors that share work: jobs are published to a subject, and each reaches one of several workers.
//!
//! ```text
//! cargo run --release --features providers --example work_queue -- --workers 3 --jobs 20
//! ```
//!
//! Without a server the jobs stay in the host. With a server, workers of several hosts share them, and any client may publish:
//!
//! ```text
//! cargo run --release --features providers --example work_queue -- --url nats://localhost --jobs 0
//! nats request jobs.log "some work"
//! ```

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::error::Error;

use clap::Parser;
use wasmcloud_host::builtin::{Logging, Messaging};
use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
use wasmcloud_host::{Actor, Host, HostBuilder};

use support::Shutdown;

/// The actor. It answers each message with the same message, and logs messages to subjects that end in `log`.
const MESSENGER: &[u8] = include_bytes!("../fixtures/guests/messenger.wasm");

/// Shares jobs among several actors, which log the jobs that they do, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(after_help = "Example:\n  work_queue --workers 3 --jobs 20")]
pub(crate) struct Arguments {
    /// The number of workers
    #[arg(long, short, default_value_t = 3)]
    workers: usize,
    /// The number of jobs to publish
    #[arg(long, short, default_value_t = 10)]
    jobs: usize,
    /// The NATS server that carries the messages: nats://[user:password@]host[:port]
    #[arg(long, env = "WORK_QUEUE_NATS_URL", hide_env_values = true)]
    url: Option<String>,
}

#[actix_rt::main]
async fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("error,wasmcloud_actor=warn")).init();
    if let Err(error) = run(Arguments::parse()).await {
        eprintln!("work_queue: {error}");
        std::process::exit(1);
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut shutdown = Shutdown::new()?;

    let host = HostBuilder::new().build();
    host.start().await?;
    let worked = work(&host, &arguments).await;
    if let Ok(published) = &worked {
        println!("{published} job(s) were published for {} worker(s), which wait for more", arguments.workers);
        shutdown.asked_for("work_queue").await;
    }
    host.stop().await;
    worked.map(drop)
}

/// Starts the workers, publishes the jobs, and returns their number. A job is done once it is logged.
pub(crate) async fn work(host: &Host, arguments: &Arguments) -> Result<usize, Box<dyn Error>> {
    let (log, messaging) = (Logging::new(None).capability()?, Messaging::new(None).capability()?);
    let (log_id, messaging_id) = (log.id(), messaging.id());
    host.start_native_capability(log).await?;
    host.start_native_capability(messaging).await?;

    let server = arguments.url.iter().map(|url| ("URL".to_owned(), url.clone()));
    let subscription = [("SUBSCRIPTION", "jobs.*"), ("QUEUEGROUP_NAME", "workers")];
    let subscription = subscription.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let values: HashMap<_, _> = server.chain(subscription).collect();
    for number in 1..=arguments.workers {
        let worker = Actor::from_slice(&sign(&format!("Worker {number}"))?)?;
        let worker_id = worker.public_key();
        host.start_actor(worker).await?;
        host.set_link(&worker_id, "wasmcloud:logging", None, log_id.clone(), HashMap::new()).await?;
        host.set_link(&worker_id, "wasmcloud:messaging", None, messaging_id.clone(), values.clone()).await?;
    }
    publish(host, arguments).await
}

/// Publishes jobs from an actor, which answers each request with a message to the queue.
async fn publish(host: &Host, arguments: &Arguments) -> Result<usize, Box<dyn Error>> {
    let Some(client) = host.actors().await?.into_iter().next() else { return Ok(0) };
    for number in 1..=arguments.jobs {
        let job = rmp_serde::to_vec_named(&Job {
            subject: "put.job",
            reply_to: "jobs.log",
            body: serde_bytes::Bytes::new(format!("job {number}").as_bytes()),
        })?;
        host.call_actor(&client, "HandleMessage", &job).await?;
    }
    Ok(arguments.jobs)
}

/// A message of `wasmcloud:messaging`.
#[derive(serde::Serialize)]
struct Job<'a> {
    subject: &'a str,
    #[serde(rename = "replyTo")]
    reply_to: &'a str,
    body: &'a serde_bytes::Bytes,
}

/// Signs a worker with keys created for this run. A released actor is signed once, with the keys of its publisher.
fn sign(name: &str) -> wasmcloud_host::Result<Vec<u8>> {
    let claims = ActorClaims::new(name).capability("wasmcloud:logging").capability("wasmcloud:messaging");
    let claims = claims.revision(1).version("0.1.0");
    sign_module(MESSENGER, &claims, &KeyPair::new_account(), &KeyPair::new_module())
}
