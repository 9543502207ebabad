//! Measures what it costs a host with 100 actors to join lattices with registries of different sizes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use futures_util::stream::{StreamExt as _, iter};
use nkeys::KeyPair;
use tokio::net::{TcpListener, TcpStream};
use wasmcloud_host::{ActorOptions, ConnectionOptions, Host, LatticeOptions, Limits};

use crate::garbage::resident;
use crate::hosts::{builder, join, lattice, until};
use crate::processes::{Process, say, setting, wait_for_the_end};
use crate::recorder::CONTRACT;
use crate::server::{NatsServer, free_port};
use crate::signing;
use crate::support::{Row, Target, is_real_run, median};

/// The role of a host that joins.
pub(crate) const ROLE: &str = "joining";

/// The actors of the host that joins, and the links of each.
const ACTORS: usize = 100;
const LINKS_EACH: usize = 10;

/// The most messages that are sent before the server is asked whether it has stored them.
const WINDOW: u64 = 10_000;

/// What joining has cost a host.
struct Cost {
    milliseconds: f64,
    resident: f64,
    grown: f64,
}

/// Returns the rows of this section. `is_quick` leaves out the largest registry.
pub(crate) async fn rows(is_quick: bool) -> Vec<Row> {
    let (sizes, rounds) = match (is_real_run(), is_quick) {
        (false, _) => (vec![1_000, 2_000], 1),
        (true, true) => (vec![1_000, 100_000], 7),
        (true, false) => (vec![1_000, 100_000, 1_000_000], 7),
    };
    let server = NatsServer::start();
    // The actors are those of one folder, so that each process runs the same ones.
    let folder = tempfile::tempdir().expect("a folder");
    let member = join(builder(), lattice(&server.url())).await;
    let provider = KeyPair::new_service().public_key();
    let mut keys = Vec::new();
    for number in 0..ACTORS {
        let actor = signing::sign("tiny_echo").capability(CONTRACT);
        keys.push(actor.claims.subject.clone());
        std::fs::write(folder.path().join(number.to_string()), actor.bytes()).expect("it can be written");
    }
    link(&member, &keys, &provider).await;
    let mut stored = ACTORS * LINKS_EACH;
    let mut costs = Vec::new();
    for size in sizes {
        let begin = Instant::now();
        store_others(&server, stored..size).await;
        stored = size;
        println!("{size} links are stored, {:.0} s", begin.elapsed().as_secs_f64());
        let path = folder.path().to_str().expect("the path is text").to_owned();
        let measured: Vec<Cost> = (0..rounds).map(|_| measure(&server, &path)).collect();
        costs.push((size, middle(&measured)));
    }
    member.stop().await;
    table(&costs)
}

fn middle(costs: &[Cost]) -> Cost {
    let of = |field: fn(&Cost) -> f64| median(costs.iter().map(field).collect());
    Cost {
        milliseconds: of(|cost| cost.milliseconds),
        resident: of(|cost| cost.resident),
        grown: of(|cost| cost.grown),
    }
}

fn table(costs: &[(usize, Cost)]) -> Vec<Row> {
    let (fewest, base) = &costs[0];
    let mut table = Vec::new();
    for (size, cost) in costs {
        let target = (size != fewest).then_some(Target::AtMost(1.5));
        let name = format!("a host with {ACTORS} actors joins a registry of {size} links");
        let row = |what: String, figure| Row { what, per_call: None, figure, unit: "x", target };
        table.push(row(format!("{name}: time, {:.0} ms", cost.milliseconds), cost.milliseconds / base.milliseconds));
        table.push(row(format!("{name}: memory, {:.1} MiB", cost.resident), cost.resident / base.resident));
        table.push(row(format!("{name}: of it by joining, {:.1} MiB", cost.grown), cost.grown / base.grown));
    }
    table
}

/// Has a member set the links of the host that joins.
async fn link(member: &Host, keys: &[String], provider: &str) {
    let links = keys.iter().flat_map(|actor| (0..LINKS_EACH).map(move |number| (actor, number.to_string())));
    let set = async |(actor, number): (&String, String)| {
        let values = HashMap::from([("url".to_owned(), "redis://127.0.0.1:6379/0".to_owned())]);
        let set = member.set_link(actor, CONTRACT, Some(number), provider.to_owned(), values);
        set.await.expect("the link is set");
    };
    iter(links).for_each_concurrent(32, set).await;
}

/// Stores links of other actors and their index entries. They have the size of real ones, and are not signed: the host that
/// joins must not read them.
async fn store_others(server: &NatsServer, numbers: std::ops::Range<usize>) {
    let client = async_nats::connect(server.url()).await.expect("the server answers");
    let context = async_nats::jetstream::new(client.clone());
    let mut stream = context.get_stream("KV_WASMCLOUD_bench").await.expect("the bucket is there");
    let before = stream.info().await.expect("the server answers").state.last_sequence;
    let provider = KeyPair::new_service().public_key();
    let bytes = Bytes::from(vec![b'x'; 420]);
    let contract = BASE64URL_NOPAD.encode(CONTRACT.as_bytes());
    let mut sent = 0;
    for number in numbers {
        // A text that can stand for the public key of an actor.
        let actor = format!("M{:0>55}", BASE32_NOPAD.encode(&(number / LINKS_EACH).to_be_bytes()));
        let name = BASE64URL_NOPAD.encode((number % LINKS_EACH).to_string().as_bytes());
        let link = format!("$KV.WASMCLOUD_bench.link.{actor}.{contract}.{name}");
        let index = format!("$KV.WASMCLOUD_bench.provider.{provider}.{name}.{actor}.{contract}");
        client.publish(link, bytes.clone()).await.expect("the server is there");
        client.publish(index, bytes.slice(..200)).await.expect("the server is there");
        sent += 2;
        if sent % WINDOW == 0 {
            settle(&mut stream, before + sent).await;
        }
    }
    settle(&mut stream, before + sent).await;
}

/// Waits until the server has stored everything.
async fn settle(stream: &mut async_nats::jetstream::stream::Stream, sequence: u64) {
    while stream.info().await.expect("the server answers").state.last_sequence < sequence {
        actix_rt::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Lets a host join in a process of its own.
fn measure(server: &NatsServer, folder: &str) -> Cost {
    let address = server.address().to_string();
    let mut process = Process::start(ROLE, &[("ADDRESS", &address), ("FOLDER", folder)]);
    let line = process.line();
    println!("    joined: ms, MiB, MiB grown: {line}");
    let mut figures = line.split(' ').map(|figure| figure.parse().expect("a number"));
    let mut next = || figures.next().expect("three figures");
    Cost { milliseconds: next(), resident: next(), grown: next() }
}

/// Starts a host with its actors, lets it join, and says what that has cost.
pub(crate) async fn serve() {
    let gate = free_port();
    let connection =
        ConnectionOptions::new(format!("nats://127.0.0.1:{gate}")).longest_delay(Duration::from_millis(20));
    let host = builder().with_lattice(LatticeOptions::new(connection).namespace("bench")).build();
    host.start_on_own_thread().await.expect("the host starts");
    let mut actors = Vec::new();
    for number in 0..ACTORS {
        let path = std::path::Path::new(&setting("FOLDER")).join(number.to_string());
        let actor = wasmcloud_host::Actor::from_file(path).expect("it is signed");
        actors.push(actor.public_key());
        let options = ActorOptions::new().limits(Limits::new().memory_bytes(1 << 20));
        host.start_actor_with(actor, options).await.expect("the actor starts");
    }
    let before = resident();
    let connected = open_gate(gate, setting("ADDRESS").parse().expect("an address")).await;
    let is_known = || {
        let of = |actor: &String| {
            let known = |number: usize| host.link_state(actor, CONTRACT, Some(&number.to_string())).is_some();
            (0..LINKS_EACH).all(known)
        };
        actors.iter().all(of)
    };
    until("the links are known", is_known).await;
    let begin = connected.get().expect("it has connected");
    let elapsed = begin.elapsed().as_secs_f64() * 1e3;
    let mebibytes = |bytes: f64| bytes / 1024.0 / 1024.0;
    say(&format!("{elapsed:.2} {:.2} {:.2}", mebibytes(resident()), mebibytes(resident() - before)));
    wait_for_the_end();
}

/// Lets connections through to the server from now on. The result is the time of the first one.
pub(crate) async fn open_gate(port: u16, server: SocketAddr) -> Arc<OnceLock<Instant>> {
    let first = Arc::new(OnceLock::new());
    let connected = first.clone();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            first.get_or_init(Instant::now);
            let Ok(mut server) = TcpStream::connect(server).await else { continue };
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    connected
}
