//! A server that answers every third request with 503.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long a test waits for what is sure to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server. Its threads end with the process of the test.
pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Requests>,
}

#[derive(Default)]
struct Requests {
    number: Mutex<u64>,
    more: Condvar,
    /// What is done before the first request is answered.
    at_first: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Server {
    pub(super) fn start() -> Server {
        Server::start_and(|| {})
    }

    /// Starts a server that does something before it answers the first request.
    pub(super) fn start_and(at_first: impl FnOnce() + Send + 'static) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Requests { at_first: Mutex::new(Some(Box::new(at_first))), ..Requests::default() });
        let shared = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let requests = shared.clone();
                std::thread::spawn(move || serve(stream, &requests));
            }
        });
        Server { address, requests }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the number of requests so far.
    pub(super) fn requests(&self) -> u64 {
        *self.requests.number.lock().unwrap()
    }

    /// Waits until there were so many requests.
    pub(super) fn wait_for_requests(&self, number: u64) {
        let guard = self.requests.number.lock().unwrap();
        let (_guard, result) =
            self.requests.more.wait_timeout_while(guard, PATIENCE, |so_far| *so_far < number).unwrap();
        assert!(!result.timed_out(), "there were too few requests");
    }
}

/// Answers the requests of a connection, which have no bodies.
fn serve(stream: TcpStream, requests: &Requests) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(read) => length += read,
            }
        }
        assert!(length > 0, "a request has a first line");
        let number = {
            let mut number = requests.number.lock().unwrap();
            *number += 1;
            *number
        };
        requests.more.notify_all();
        if let Some(at_first) = requests.at_first.lock().unwrap().take() {
            at_first();
        }
        let status = if number.is_multiple_of(3) { "503 Service Unavailable" } else { "200 OK" };
        if stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok").as_bytes()).is_err() {
            return;
        }
    }
}
