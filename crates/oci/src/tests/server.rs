//! An HTTP server that answers as a test says, with one request for each connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    /// The host and port that the client asked for.
    pub(super) host: String,
    pub(super) authorization: Option<String>,
    pub(super) body: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<String>,
    pub(super) body: Vec<u8>,
    pub(super) then: Then,
}

/// What follows the body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The end, where the header said.
    End,
    /// The end of the connection, although the header promised this many bytes more.
    BreakOff(usize),
    /// Zeros without end, and without a length in the header.
    Endless,
    /// A byte now and then without end, within the time in which a server may be silent.
    Drip,
}

/// Returns an answer with a body.
pub(super) fn answer(status: u16, headers: &[&str], body: impl Into<Vec<u8>>) -> Answer {
    let headers = headers.iter().map(|&header| header.to_owned()).collect();
    Answer { status, headers, body: body.into(), then: Then::End }
}

impl Answer {
    pub(super) fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// A server that ends with its test.
pub(super) struct Server {
    /// The host and port.
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server that answers by a function.
    pub(super) async fn start(respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, sent) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<AtomicU64>::default());
        let (log, count, respond) = (seen.clone(), sent.clone(), Arc::new(respond));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, count, respond) = (log.clone(), count.clone(), respond.clone());
                tokio::spawn(async move { serve(stream, &log, &count, &*respond).await });
            }
        });
        Server { address, seen, sent, task }
    }

    /// Returns the requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns how many requests had a path that begins so.
    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path.starts_with(path)).count()
    }

    /// Returns how many bytes of bodies have been sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops accepting connections, as a registry that is down.
    pub(super) async fn stop(self) {
        self.task.abort();
        let address = self.address.clone();
        drop(self);
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one request. A client that leaves ends it.
async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Seen>>,
    sent: &AtomicU64,
    respond: &(dyn Fn(&Seen) -> Answer + Sync),
) {
    let Some(seen) = read(&mut stream).await else { return };
    log.lock().unwrap().push(seen.clone());
    let answer = respond(&seen);
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", answer.status);
    let length = answer.body.len();
    match answer.then {
        Then::End => head += &format!("Content-Length: {length}\r\n"),
        Then::BreakOff(missing) => head += &format!("Content-Length: {}\r\n", length + missing),
        Then::Endless | Then::Drip => {}
    }
    for header in &answer.headers {
        head += &format!("{header}\r\n");
    }
    head += "\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    if seen.method != "HEAD" {
        sent.fetch_add(length as u64, Ordering::Relaxed);
        stream.write_all(&answer.body).await.ok();
        follow(&mut stream, answer.then, sent).await;
    }
    stream.shutdown().await.ok();
}

async fn follow(stream: &mut TcpStream, then: Then, sent: &AtomicU64) {
    let (piece, pause) = match then {
        Then::End | Then::BreakOff(_) => return,
        Then::Endless => (vec![0; 16 << 10], Duration::ZERO),
        Then::Drip => (vec![0; 1], Duration::from_millis(5)),
    };
    while stream.write_all(&piece).await.is_ok() {
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
}

/// Reads a request with its body.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length: usize = field("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut words = head.split(' ');
    Some(Seen {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        host: field("host").unwrap_or_default(),
        authorization: field("authorization"),
        body: String::from_utf8_lossy(&bytes[end..]).into_owned(),
    })
}
