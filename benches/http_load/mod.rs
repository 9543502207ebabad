//! An HTTP client that keeps a server busy.

pub(crate) mod idle;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUEST: &[u8] =
    b"GET /demo?test=kthxbye HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\naccept: */*\r\n\r\n";

/// The throughput and latency of a server under load.
pub(crate) struct Load {
    pub(crate) per_second: f64,
    /// The 99th percentile of the latency. Unit: seconds.
    pub(crate) p99: f64,
}

impl Load {
    /// Sends requests for a time, sequentially on each connection.
    pub(crate) fn measure(server: SocketAddr, connections: usize, time: Duration) -> Load {
        runtime().block_on(async {
            let opened = join_all((0..connections).map(|_| Connection::open(server))).await;
            let begin = Instant::now();
            let busy = opened.into_iter().map(async |mut connection| {
                let mut times = Vec::new();
                while begin.elapsed() < time {
                    let sent = Instant::now();
                    connection.send_request().await.expect("the server answers");
                    times.push(sent.elapsed().as_secs_f64());
                }
                times
            });
            let mut times = join_all(busy).await.concat();
            let per_second = times.len() as f64 / begin.elapsed().as_secs_f64();
            times.sort_by(f64::total_cmp);
            Load { per_second, p99: times[times.len() * 99 / 100] }
        })
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

/// A persistent connection.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    async fn open(server: SocketAddr) -> Connection {
        let stream = TcpStream::connect(server).await.expect("the server can be connected to");
        stream.set_nodelay(true).expect("a socket has this option");
        Connection { stream, received: Vec::new() }
    }

    /// Sends a request and reads its answer, which must have the status 200.
    async fn send_request(&mut self) -> std::io::Result<()> {
        self.received.clear();
        self.stream.write_all(REQUEST).await?;
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(length) = answer_length(&self.received)
                && self.received.len() >= length
            {
                assert!(self.received.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.received));
                return Ok(());
            }
        }
    }
}

/// Returns the length of an answer once its head has arrived.
fn answer_length(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&received[..head]).expect("the head is text");
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().expect("a length"))
    });
    Some(head + length.expect("the answer has a length"))
}
