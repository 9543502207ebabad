//! Measures the round trip of a NATS message to an actor against a responder without a host.
//!
//! The actor is the guest `messenger`, which answers with a message of its own. The responder is `async-nats` as in its
//! documentation. Both answer on the thread of the client that sends the requests.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/conformance/nats_server.rs"]
mod nats_server;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use nats_server::NatsServer;
use wasmcloud_host::builtin::Messaging;
use wasmcloud_host::{Host, HostBuilder};

use crate::support::{Row, Series, is_real_run, rows as ratios};
use crate::{server_process, signing};

const CONTRACT: &str = "wasmcloud:messaging";

/// Returns the rows of this part.
pub(crate) async fn rows() -> Vec<Row> {
    let server = NatsServer::start();
    let host = start_actor(&server, "actor.*").await;
    let responder = async_nats::connect(server.url()).await.expect("the server answers");
    let mut requests = responder.subscribe("native.*").await.expect("it can be subscribed to");
    let responder_task = tokio::task::spawn_local(async move {
        while let Some(message) = requests.next().await {
            let reply = message.reply.expect("an answer is waited for");
            responder.publish(reply, message.payload).await.expect("the server is there");
        }
    });
    let client = async_nats::connect(server.url()).await.expect("the server answers");
    let (rounds, calls) = if is_real_run() { (31, 300) } else { (1, 2) };
    let mut table = Vec::new();
    for (at_once, target) in [(1, Some(1.5)), (64, None)] {
        let name = format!("a NATS message and its answer, {at_once} at once");
        let mut reference = Series::new(format!("{name}: async-nats"), None);
        let mut through = Series::new(format!("{name}: an actor"), target);
        for _ in 0..rounds {
            reference.add(time(&client, "native.echo", at_once, calls).await, calls * at_once);
            through.add(time(&client, "actor.echo", at_once, calls).await, calls * at_once);
        }
        table.extend(ratios(&reference, &[&through]));
    }
    responder_task.abort();
    host.stop().await;
    table
}

async fn start_actor(server: &NatsServer, subscription: &str) -> Host {
    let host = HostBuilder::new().with_shards(1).with_health_interval(None).build();
    host.start().await.expect("the host starts");
    let capability = Messaging::new(None).capability().expect("it is one");
    let provider = capability.id();
    host.start_native_capability(capability).await.expect("the provider starts");
    let actor = signing::sign("messenger").capability(CONTRACT).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.expect("the actor starts");
    let values = HashMap::from([
        ("URL".to_owned(), server.url()),
        ("SUBSCRIPTION".to_owned(), subscription.to_owned()),
        ("CONCURRENCY".to_owned(), "64".to_owned()),
    ]);
    host.set_link(&key, CONTRACT, None, provider, values).await.expect("the server can be used");
    host
}

async fn time(client: &async_nats::Client, subject: &'static str, at_once: u32, calls: u32) -> Duration {
    let begin = Instant::now();
    let callers = (0..at_once).map(async |_| {
        for _ in 0..calls {
            let answer = client.request(subject, "hello".into()).await.expect("it answers");
            assert_eq!(&answer.payload[..], b"hello");
        }
    });
    join_all(callers).await;
    begin.elapsed()
}
