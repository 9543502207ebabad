//! Measures an actor's key-value calls against the same store and the same Redis client, called without a host.
//!
//! The actor is the guest `host_call`, which makes its calls within one call, so that only the path between the actor
//! and the store is measured. The direct store is `redb` as a non-blocking program uses it: on its own thread behind a
//! channel, with the same durability, and with waiting additions sharing a transaction.

mod direct;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/conformance/redis_server.rs"]
mod redis_server;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis_server::RedisServer;
use wasmcloud_host::builtin::KeyValue;
use wasmcloud_host::{ActorOptions, Host, HostBuilder};

use crate::support::{Row, Series, Target, is_real_run, median, rows as ratios};
use crate::{server_process, signing};
use direct::Direct;

const CONTRACT: &str = "wasmcloud:keyvalue";
const CALLERS: usize = 64;

/// A call to the store.
#[derive(Clone, Copy)]
struct Call<'a> {
    operation: &'static str,
    payload: &'a [u8],
}

/// `Get {key: "value"}`
const GET: Call<'static> = Call { operation: "Get", payload: b"\x81\xa3key\xa5value" };

/// `Add {key: "sum", value: 1}`
const ADD: Call<'static> = Call { operation: "Add", payload: b"\x82\xa3key\xa3sum\xa5value\x01" };

/// `Set {key: "value", value: "x" * 100, expires: 0}`.
fn set() -> Vec<u8> {
    [&b"\x83\xa3key\xa5value\xa5value\xd9\x64"[..], &[b'x'; 100], b"\xa7expires\x00"].concat()
}

/// Returns the rows of this part.
pub(crate) async fn rows() -> Vec<Row> {
    let mut table = embedded().await;
    table.extend(on_redis().await);
    table
}

/// An actor that is linked to a store.
struct LinkedActor {
    host: Host,
    actor: String,
}

impl LinkedActor {
    async fn start(instances: usize, values: HashMap<String, String>) -> LinkedActor {
        let host = HostBuilder::new().with_shards(1).with_health_interval(None).build();
        host.start().await.expect("the host starts");
        let capability = KeyValue::new(None).capability().expect("it is one");
        let provider = capability.id();
        host.start_native_capability(capability).await.expect("the provider starts");
        let actor = signing::sign("host_call").capability(CONTRACT).actor();
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(instances)).await.expect("the actor starts");
        host.set_link(&key, CONTRACT, None, provider, values).await.expect("the store can be used");
        let linked = LinkedActor { host, actor: key };
        linked.repeat(1, Call { operation: "Set", payload: &set() }).await;
        linked
    }

    /// Makes one instance repeat a call.
    async fn repeat(&self, calls: u32, call: Call<'_>) {
        let parts = [&b""[..], CONTRACT.as_bytes(), call.operation.as_bytes(), call.payload];
        let lengths = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes());
        let payload: Vec<u8> = calls.to_le_bytes().into_iter().chain(lengths).chain(parts.concat()).collect();
        let answer = self.host.call_actor(&self.actor, "Repeat", &payload).await.expect("the actor answers");
        assert_eq!(answer[0], 1, "{}", String::from_utf8_lossy(&answer));
    }

    async fn time(&self, callers: usize, calls: u32, call: Call<'_>) -> Duration {
        let begin = Instant::now();
        join_all((0..callers).map(|_| self.repeat(calls, call))).await;
        begin.elapsed()
    }
}

async fn embedded() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("there is room for files");
    let path = |name: &str| folder.path().join(name).to_str().expect("it is a text").to_owned();
    let linked = LinkedActor::start(CALLERS, HashMap::from([("PATH".to_owned(), path("host.redb"))])).await;
    let direct = Direct::open(&path("direct.redb"));
    let mut table = Vec::new();
    let (rounds, gets, adds) = if is_real_run() { (31, 2_000, 50) } else { (1, 10, 2) };
    for (call, calls) in [(GET, gets), (ADD, adds)] {
        for callers in [1, CALLERS] {
            let calls = if callers == 1 { calls } else { (calls / 8).max(1) };
            let all = calls * callers as u32;
            let name = format!("{} on the embedded store, {callers} at once", call.operation);
            let mut reference = Series::new(format!("{name}: redb on its thread"), None);
            let mut through = Series::new(format!("{name}: an actor"), Some(1.3));
            let mut blocking = Series::new(format!("{name}: redb on the caller's thread, blocking it"), None);
            for _ in 0..rounds {
                reference.add(direct.time(callers, calls, call.operation == "Add").await, all);
                through.add(linked.time(callers, calls, call).await, all);
                blocking.add(direct.time_blocking(calls, call.operation == "Add"), calls);
            }
            let others: &[&Series] = if callers == 1 { &[&through, &blocking] } else { &[&through] };
            table.extend(ratios(&reference, others));
        }
    }
    linked.host.stop().await;
    table
}

async fn on_redis() -> Vec<Row> {
    let server = RedisServer::start();
    let linked = LinkedActor::start(CALLERS, HashMap::from([("URL".to_owned(), server.url())])).await;
    let client = redis::Client::open(server.url()).expect("it is a URL");
    // The same client with the same settings.
    let config = ConnectionManagerConfig::new().set_response_timeout(None).set_pipeline_buffer_size(1024);
    let connection = ConnectionManager::new_with_config(client, config).await.expect("the server answers");
    let (rounds, calls) = if is_real_run() { (31, 200) } else { (1, 2) };
    let mut table = Vec::new();
    for call in [GET, ADD] {
        let mut per_call = Vec::new();
        let mut throughput = Vec::new();
        for _ in 0..rounds {
            let direct = time_client(&connection, calls, call.operation == "Add").await.as_secs_f64();
            let through = linked.time(CALLERS, calls, call).await.as_secs_f64();
            per_call.push(direct / (f64::from(calls) * CALLERS as f64));
            throughput.push(direct / through);
        }
        let per_call = Some(Duration::from_secs_f64(median(per_call)));
        let what = format!("{} on Redis, {CALLERS} at once", call.operation);
        let target = Some(Target::AtLeast(0.8));
        table.push(Row { what: format!("{what}: the client"), per_call, figure: 1.0, unit: "x", target: None });
        let figure = median(throughput);
        table.push(Row { what: format!("{what}: operations/s of actors"), per_call: None, figure, unit: "x", target });
    }
    linked.host.stop().await;
    table
}

/// Measures the same operations of the Redis client alone.
async fn time_client(connection: &ConnectionManager, calls: u32, add: bool) -> Duration {
    let begin = Instant::now();
    let callers = (0..CALLERS).map(async |_| {
        let mut connection = connection.clone();
        for _ in 0..calls {
            if add {
                let _: i64 =
                    redis::cmd("INCRBY").arg("sum").arg(1).query_async(&mut connection).await.expect("it adds");
            } else {
                let _: String = redis::cmd("GET").arg("value").query_async(&mut connection).await.expect("it is there");
            }
        }
    });
    join_all(callers).await;
    begin.elapsed()
}
