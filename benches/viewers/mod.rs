//! Measures what viewers of the dashboard cost.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{Shared, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use wasmcloud_host::{Host, TelemetryOptions};

use crate::support::{Row, Series, is_real_run, rows};
use crate::{builder, signing};

/// Measures what viewers of the dashboard cost calls to the host that they watch: over real streams, which are opened and closed in
/// turn. A round is as long as the time between two messages to viewers, so that each has one.
pub(crate) async fn dashboard(actors: usize, viewers: usize) -> Vec<Row> {
    let (rounds, length) = if is_real_run() { (121, Duration::from_secs(1)) } else { (1, Duration::from_millis(10)) };
    let Crowd { host, keys } = crowd(actors).await;
    let address = host.telemetry_address().expect("the port is open");
    let series = |what: String, target| Series::new(format!("calls to {actors} actors in turn: {what}"), target);
    let mut base = series("without viewers".to_owned(), None);
    let mut seen = series(format!("with {viewers} viewers"), Some(1.05));
    let mut keys = keys.iter().cycle();
    for round in 0..2 * rounds {
        // Each comes first as often as second.
        let is_watched = (round % 4 == 1) || (round % 4 == 2);
        let audience = is_watched.then(|| Audience::open(address, viewers));
        let mut calls = 0;
        let begin = Instant::now();
        while begin.elapsed() < length {
            let key = keys.next().expect("there are actors");
            host.call_actor(key, "Echo", b"ping").await.expect("the actor answers");
            calls += 1;
        }
        let series = if is_watched { &mut seen } else { &mut base };
        series.add(begin.elapsed(), calls);
        if let Some(audience) = audience {
            let read = audience.close();
            assert!(read.len() == viewers && read.iter().all(|bytes| *bytes > 0), "each was sent something: {read:?}");
            // The host sees that they are gone.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    host.stop().await;
    rows(&base, &[&seen])
}

/// A host with many actors and a port.
struct Crowd {
    host: Host,
    keys: Vec<String>,
}

async fn crowd(actors: usize) -> Crowd {
    let host = builder(true).with_telemetry(TelemetryOptions::new(([127, 0, 0, 1], 0).into())).build();
    host.start().await.expect("the host starts");
    let mut keys = Vec::new();
    for _ in 0..actors {
        let actor = signing::sign("tiny_echo").actor();
        keys.push(actor.public_key());
        host.start_actor(actor).await.expect("the actor starts");
    }
    Crowd { host, keys }
}

/// Viewers that read their streams, on a thread of their own.
struct Audience {
    end: oneshot::Sender<()>,
    /// Returns how many bytes each viewer was sent.
    thread: JoinHandle<Vec<usize>>,
}

impl Audience {
    /// Opens streams. Returns once each has brought the state, and what follows it.
    fn open(address: SocketAddr, viewers: usize) -> Audience {
        let (opened, open) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let ended = ended.shared();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime is built");
            runtime.block_on(join_all((0..viewers).map(|_| view(address, opened.clone(), ended.clone()))))
        });
        (0..viewers).for_each(|_| open.recv().expect("the viewers connect"));
        Audience { end, thread }
    }

    /// Closes the streams.
    fn close(self) -> Vec<usize> {
        drop(self.end);
        self.thread.join().expect("the viewers read to the end")
    }
}

async fn view<E>(address: SocketAddr, opened: mpsc::Sender<()>, ended: Shared<E>) -> usize
where
    E: Future<Output: Clone>,
{
    let mut stream = TcpStream::connect(address).await.expect("the port is open");
    let request = b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.expect("the port reads");
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    let mut messages = 0;
    loop {
        let read = tokio::select! {
            read = stream.read(&mut buffer) => read.expect("the stream goes on"),
            _ = ended.clone() => return total,
        };
        assert!(read > 0, "the stream goes on");
        let ends = buffer[..read].windows(2).filter(|two| *two == b"\n\n").count();
        if messages < 2 && messages + ends >= 2 {
            opened.send(()).expect("the benchmark waits");
        }
        messages += ends;
        total += read;
    }
}
