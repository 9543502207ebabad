//! Measures calls of an actor on another host, against requests of the same payload without hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nkeys::KeyPair;
use wasmcloud_host::Host;

use crate::bare::{self, Protection, Responder};
use crate::hosts::{builder, join, join_here, knows, lattice, on_own_thread};
use crate::server::NatsServer;
use crate::signing;
use crate::support::{Row, Series, Target, is_real_run, median};
use crate::tokens::Caller;

const OPERATION: &str = "Echo";
const PAYLOAD: &[u8] = &[7; 100];
const SUBJECT: &str = "bare.echo";
const CALLERS: u32 = 64;

/// Two hosts. The first one is on the thread of the callers, the second one, which runs the actor, on a thread of its own.
struct Pair {
    server: NatsServer,
    front: Host,
    back: Host,
    actor: String,
}

impl Pair {
    async fn start() -> Pair {
        let server = NatsServer::start();
        let front = join_here(builder(), lattice(&server.url())).await;
        let back = join(builder(), lattice(&server.url())).await;
        let actor = signing::sign("echo").actor();
        let key = actor.public_key();
        back.start_actor(actor).await.expect("the actor starts");
        knows(&front, &key, 1).await;
        // The first calls carry tokens, until the hosts have a session.
        for _ in 0..50 {
            front.call_actor(&key, OPERATION, PAYLOAD).await.expect("the actor answers");
        }
        Pair { server, front, back, actor: key }
    }

    async fn stop(self) {
        self.front.stop().await;
        self.back.stop().await;
    }
}

/// Measures one call after another.
pub(crate) async fn sequential() -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (31, 500) } else { (1, 8) };
    let (reference, remote) = on_own_thread(async move || {
        let pair = Pair::start().await;
        let _responder = Responder::start(pair.server.url(), SUBJECT, Protection::None).await;
        let client = async_nats::connect(pair.server.url()).await.expect("the server answers");
        let mut reference = Series::new("sequential: a request of 100 bytes with async-nats".to_owned(), None);
        let mut remote = Series::new("sequential: a call of an actor on another host".to_owned(), Some(1.5));
        for _ in 0..rounds {
            reference.add(at_once(1, calls, async || bare(&client, &Protection::None).await).await, calls);
            remote.add(at_once(1, calls, async || call(&pair.front, &pair.actor).await).await, calls);
        }
        let counts = pair.front.lattice().expect("it has a lattice").counts;
        println!("sequential: {} calls, {} of them sent again", counts.called, counts.sent_again);
        pair.stop().await;
        (reference, remote)
    })
    .await;
    crate::support::rows(&reference, &[&remote])
}

/// Measures concurrent calls between hosts that have a session.
pub(crate) async fn sessions() -> Vec<Row> {
    on_own_thread(async move || {
        let pair = Pair::start().await;
        let remote = ("64 concurrent, sessions: calls of an actor on another host", Some(0.6));
        let rows =
            concurrent(&pair, Protection::None, remote, async |_| async || call(&pair.front, &pair.actor).await).await;
        let edge = pair.back.lattice().expect("it has a lattice").counts.edge;
        println!("sessions: {} calls by session, {} by token", edge.by_session, edge.by_token);
        pair.stop().await;
        rows
    })
    .await
}

/// Measures concurrent calls of a caller that signs each of them, against requests that are signed alike, and against those
/// whose answers are not signed either, as in the format of 2021.
pub(crate) async fn tokens() -> Vec<Row> {
    on_own_thread(async move || {
        let pair = Pair::start().await;
        let key = Arc::new(KeyPair::new_server());
        let mut rows = Vec::new();
        for (protection, target) in
            [(Protection::Signatures(key.clone()), Some(0.8)), (Protection::SignedRequests(key.clone()), None)]
        {
            let remote = async |client| {
                let caller = Arc::new(Caller::new(client, &pair.actor));
                async move || caller.call(OPERATION, PAYLOAD).await
            };
            let what = ("64 concurrent, tokens: calls of an actor", target);
            rows.extend(concurrent(&pair, protection, what, remote).await);
        }
        pair.stop().await;
        rows
    })
    .await
}

/// Measures 64 callers of a responder, and 64 callers of what `remote` makes for a client. Returns the rates of requests.
async fn concurrent<C: AsyncFn()>(
    pair: &Pair,
    protection: Protection,
    (name, target): (&'static str, Option<f64>),
    remote: impl AsyncFnOnce(async_nats::Client) -> C,
) -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (31, 50) } else { (1, 2) };
    let _responder = Responder::start(pair.server.url(), SUBJECT, protection.clone()).await;
    let url = pair.server.url();
    let with = match protection {
        Protection::None => "without cryptography",
        Protection::SignedRequests(_) => "only requests signed and verified",
        Protection::Signatures(_) => "each message signed and verified",
    };
    let client = async_nats::connect(url).await.expect("the server answers");
    let remote = remote(client.clone()).await;
    let mut bare_times = Vec::new();
    let mut remote_times = Vec::new();
    for _ in 0..rounds {
        let time = at_once(CALLERS, calls, async || bare(&client, &protection).await).await;
        bare_times.push(time.as_secs_f64());
        remote_times.push(at_once(CALLERS, calls, &remote).await.as_secs_f64());
    }
    let ratios = bare_times.iter().zip(&remote_times).map(|(bare, remote)| bare / remote).collect();
    let each = |times| Some(Duration::from_secs_f64(median(times) / f64::from(calls * CALLERS)));
    let row = |what, per_call, figure, target| Row { what, per_call, figure, unit: "x", target };
    vec![
        row(format!("64 concurrent requests of async-nats, {with}: throughput"), each(bare_times), 1.0, None),
        row(format!("{name}: throughput"), each(remote_times), median(ratios), target.map(Target::AtLeast)),
    ]
}

/// Returns the time of `callers` callers, each of which calls `calls` times.
async fn at_once(callers: u32, calls: u32, call: impl AsyncFn()) -> Duration {
    let begin = Instant::now();
    let caller = async || {
        for _ in 0..calls {
            call().await;
        }
    };
    join_all((0..callers).map(|_| caller())).await;
    begin.elapsed()
}

async fn bare(client: &async_nats::Client, protection: &Protection) {
    bare::request(client, SUBJECT, protection, PAYLOAD).await;
}

async fn call(host: &Host, actor: &str) {
    let answer = host.call_actor(actor, OPERATION, PAYLOAD).await.expect("the actor answers");
    assert_eq!(answer, PAYLOAD);
}
