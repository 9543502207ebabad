//! What a call between hosts costs, beside a request of a bare client. Run with
//! `cargo test --release -p wasmcloud-lattice cost -- --ignored --nocapture`.

use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::*;
use crate::testing::Server;

const PAYLOAD: usize = 100;
const SEQUENTIAL: usize = 3_000;
const CONCURRENT: usize = 40_000;
const CALLERS: usize = 64;
const ROUNDS: usize = 5;

/// A thread with a runtime of its own, as the lattice of a host has. It ends when this is dropped.
struct Thread {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// Starts a thread. `begin` makes what lives until its end, and what is returned.
    fn start<T: Send + 'static, L: 'static, F: Future<Output = (T, L)>>(
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> (T, Thread) {
        let (end, ending) = oneshot::channel::<()>();
        let (started, result) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (returned, _kept) = begin().await;
                started.send(returned).unwrap();
                let _ = ending.await;
            });
        });
        (result.recv().unwrap(), Thread { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Runs a number of calls by a number of callers. Returns how many are made in a second.
async fn rate<F: Future<Output = ()>>(calls: usize, callers: usize, call: impl Fn() -> F) -> f64 {
    let left = AtomicU64::new(calls as u64);
    let start = Instant::now();
    let caller = || async {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            call().await;
        }
    };
    let used = processor_time();
    futures_util::future::join_all((0..callers).map(|_| caller())).await;
    let used = (processor_time() - used) / calls as f64 * 1e6;
    println!("{callers} callers: {used:.1} us of processor time for each");
    calls as f64 / start.elapsed().as_secs_f64()
}

/// Returns the processor time that this process has used: of the callers and of those that answer. Unit: seconds.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

/// Answers each request, with a signature that it verifies and one that it makes if there is a key.
async fn respond(client: async_nats::Client, mut requests: async_nats::Subscriber, key: Option<KeyPair>) {
    while let Some(request) = requests.next().await {
        let payload = match &key {
            Some(key) => resigned(key, &request.payload),
            None => request.payload,
        };
        client.publish(request.reply.unwrap(), payload).await.unwrap();
    }
}

/// Verifies a signed payload and signs it anew.
fn resigned(key: &KeyPair, signed: &Bytes) -> Bytes {
    let payload = verified(key, signed);
    let signature = key.sign(payload).unwrap();
    [payload, &signature].concat().into()
}

fn verified<'a>(key: &KeyPair, signed: &'a Bytes) -> &'a [u8] {
    let (payload, signature) = signed.split_at(signed.len() - 64);
    key.verify(payload, signature).unwrap();
    payload
}

async fn bare(client: &async_nats::Client, key: Option<&KeyPair>) {
    let payload = vec![7; PAYLOAD];
    match key {
        None => assert_eq!(client.request("bare", payload.into()).await.unwrap().payload.len(), PAYLOAD),
        Some(key) => {
            let signature = key.sign(&payload).unwrap();
            let answer = client.request("signed", [payload, signature].concat().into()).await.unwrap();
            assert_eq!(verified(key, &answer.payload).len(), PAYLOAD);
        }
    }
}

/// The figures of one round. Unit: calls in a second.
#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    bare_sequential: f64,
    sequential: f64,
    bare: f64,
    sessions: f64,
    signed: f64,
    tokens: f64,
}

async fn measure(client: &async_nats::Client, key: &KeyPair, session: &Rpc, token: &Rpc) -> Figures {
    let call = |rpc: Rpc| async move {
        let answer = rpc.call(outgoing("Quick", vec![7; PAYLOAD], Duration::from_secs(10))).await;
        assert_eq!(answer.unwrap().len(), PAYLOAD);
    };
    Figures {
        bare_sequential: rate(SEQUENTIAL, 1, || bare(client, None)).await,
        sequential: rate(SEQUENTIAL, 1, || call(session.clone())).await,
        bare: rate(CONCURRENT, CALLERS, || bare(client, None)).await,
        sessions: rate(CONCURRENT, CALLERS, || call(session.clone())).await,
        signed: rate(CONCURRENT / 4, CALLERS, || bare(client, Some(key))).await,
        tokens: rate(CONCURRENT / 4, CALLERS, || call(token.clone())).await,
    }
}

struct Quick;

impl CallHandler for Quick {
    fn serve(self: Arc<Self>, call: IncomingCall) -> Serving {
        Box::pin(std::future::ready(Served::Answered(Ok(call.payload))))
    }
}

/// Starts a bare responder, and one that signs.
fn responder(address: String, seed: String) -> ((), Thread) {
    Thread::start(move || async move {
        let client = async_nats::connect(address).await.unwrap();
        for (subject, key) in [("bare", None), ("signed", Some(KeyPair::from_seed(&seed).unwrap()))] {
            let requests = client.subscribe(subject).await.unwrap();
            tokio::spawn(respond(client.clone(), requests, key));
        }
        crate::testing::settled(&client).await;
        ((), ())
    })
}

#[test]
#[ignore = "it measures: see the top of this file"]
fn the_cost_of_a_call_beside_that_of_a_bare_request() {
    let server = Server::start();
    let address = server.address();
    let key = KeyPair::new_server();
    let ((), _responder) = responder(address.clone(), key.seed().unwrap());
    let host_address = address.clone();
    let ((), _host) = Thread::start(move || async move {
        let mut plan = Plan::new(host_address, &Arc::default());
        plan.handler = Some(Arc::new(Quick));
        ((), plan.start().await)
    });
    crate::testing::run(async {
        let client = server.client().await;
        let session = Plan::caller(address.clone()).start().await;
        let token = Plan { no_sessions: true, ..Plan::caller(address) }.start().await;
        for host in [&session, &token] {
            eventually("the host is known", || !host.membership.hosts_of(&actor()).hosts.is_empty()).await;
        }
        for _ in 0..200 {
            session.call("Quick", vec![7]).await.unwrap();
        }
        for _ in 0..ROUNDS {
            let figures = measure(&client, &key, &session.rpc, &token.rpc).await;
            println!("{figures:.0?}");
            println!(
                "sequential {:.2}x of bare; 64 concurrent: sessions {:.2} of bare, tokens {:.2} of signed",
                figures.bare_sequential / figures.sequential,
                figures.sessions / figures.bare,
                figures.tokens / figures.signed
            );
        }
        println!("{:?}", session.rpc.counts());
    });
}
