//! Measures HTTP requests to an actor against an actix-web handler that does the same work, and the memory of idle
//! connections.
//!
//! `cargo bench --bench http` prints the table and writes `target/figures/http.json`. Each server has one thread, and
//! so has the client, which measures both alternately.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

mod http_load;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod raw;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use http_load::{Load, idle};
use raw::{REQUEST, Raw};
use support::{Row, Target, is_real_run, median, report};
use wasmcloud_host::{HostBuilder, builtin};

const CONTRACT: &str = "wasmcloud:httpserver";

fn main() {
    if idle::is_child() {
        return idle::run_child();
    }
    let through_actor = start_actor_server();
    let plain = start_plain_server();
    let mut table = Vec::new();
    for (connections, least, worst_p99) in [(64, 0.70, Some(2.0)), (1, 0.80, None)] {
        table.extend(compare(through_actor, plain, connections, least, worst_p99));
    }
    table.push(best_possible(plain));
    table.extend(idle::rows(through_actor));
    report("http", "HTTP requests to an actor (echo_large.wasm), against actix-web with one worker", &table)
        .expect("the figures can be written");
}

/// Measures both servers alternately, with this number of connections.
fn compare(actor: SocketAddr, plain: SocketAddr, connections: usize, least: f64, worst_p99: Option<f64>) -> Vec<Row> {
    let (rounds, time) = if is_real_run() { (11, 1000) } else { (1, 50) };
    let time = Duration::from_millis(time);
    let mut rates = Vec::new();
    let mut tails = Vec::new();
    let mut all = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let through = Load::measure(actor, connections, time);
        let beside = Load::measure(plain, connections, time);
        rates.push(through.per_second / beside.per_second);
        tails.push(through.p99 / beside.p99);
        all[0].push(through.per_second);
        all[1].push(beside.per_second);
    }
    let [through, beside] = all.map(median);
    let row = |what: String, figure, unit, target| Row { what, per_call: None, figure, unit, target };
    vec![
        row(format!("{connections} connection(s), actor: requests per second"), through, "/s", None),
        row(format!("{connections} connection(s), actix-web: requests per second"), beside, "/s", None),
        row(
            format!("{connections} connection(s): requests per second"),
            median(rates),
            "x",
            Some(Target::AtLeast(least)),
        ),
        row(format!("{connections} connection(s): p99"), median(tails), "x", worst_p99.map(Target::AtMost)),
    ]
}

/// Returns the best possible ratio: the time of an actix-web request, plus that of the guest called as directly as
/// wasmer allows.
fn best_possible(plain: SocketAddr) -> Row {
    let (rounds, calls, time) = if is_real_run() { (11, 20_000, 500) } else { (1, 10, 50) };
    let mut guest = Raw::new(&signing::guest("echo_large"), REQUEST);
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let beside = 1.0 / Load::measure(plain, 64, Duration::from_millis(time)).per_second;
        let called = support::time(calls, || guest.call()).as_secs_f64() / f64::from(calls);
        ratios.push(beside / (beside + called));
    }
    let what = "64 connection(s): requests per second, if all but the guest were free".to_owned();
    Row { what, per_call: None, figure: median(ratios), unit: "x", target: None }
}

/// Serves the echo actor on one thread until the process ends.
fn start_actor_server() -> SocketAddr {
    let (sender, address) = mpsc::channel();
    thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let host = HostBuilder::new().with_shards(1).build();
            host.start().await.expect("the host starts");
            let actor = signing::sign("echo_large").capability(CONTRACT).actor();
            let key = actor.public_key();
            host.start_actor(actor).await.expect("the actor starts");
            let http = builtin::HttpServer::new(None);
            let capability = http.capability().expect("it can be started");
            let provider = capability.id();
            host.start_native_capability(capability).await.expect("the provider starts");
            let values = [("PORT", "0"), ("BIND", "127.0.0.1")];
            let values: HashMap<_, _> = values.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            host.set_link(&key, CONTRACT, None, provider, values).await.expect("the actor is linked");
            sender.send(http.address(&key).expect("it is served")).expect("the main thread waits for it");
            std::future::pending::<()>().await;
        });
    });
    address.recv().expect("the actor is served")
}

/// Serves the same answers with actix-web, with one worker.
fn start_plain_server() -> SocketAddr {
    let (sender, address) = mpsc::channel();
    thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = HttpServer::new(|| App::new().default_service(web::to(describe))).workers(1);
            let server = server.bind(("127.0.0.1", 0)).expect("a port is free");
            sender.send(server.addrs()[0]).expect("the main thread waits for it");
            server.run().await.expect("it serves");
        });
    });
    address.recv().expect("actix-web serves")
}

/// The JSON body of the actor's answer.
#[derive(serde::Serialize)]
struct Description<'a> {
    method: &'a str,
    path: &'a str,
    query_string: &'a str,
    headers: BTreeMap<&'a str, &'a str>,
    body: &'a [u8],
}

async fn describe(request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect();
    let method = request.method().as_str();
    let path = request.path();
    let query_string = request.query_string();
    HttpResponse::Ok().json(Description { method, path, query_string, headers, body: &body })
}
