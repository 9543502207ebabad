//! The telemetry of a host: its port, health, the state and the stream, and what strangers get.
//!
//! # Layout
//! - `access`: addresses, tokens, names and hostile peers
//! - `allocations`: what calls allocate for metrics and spans
//! - `health`: whether a host is alive and ready
//! - `state`: what a host tells of what it runs
//! - `stream`: what viewers are told
//! - `lattice`: other hosts, and operators who ask over the lattice
//! - `binary`: the port of `wasmcloud run`

mod access;
mod allocations;
mod binary;
mod health;
mod lattice;
mod state;
mod stream;

use std::net::SocketAddr;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use wasmcloud_host::{Host, HostBuilder, TelemetryOptions};

use crate::support::soon;

/// A free port of this machine.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn builder() -> HostBuilder {
    HostBuilder::new().with_shards(2).with_health_interval(None).with_telemetry(TelemetryOptions::new(ANY))
}

/// What the port has answered.
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Begins a request to the port of a host.
fn request(address: SocketAddr, path: &str) -> RequestBuilder {
    Client::builder().no_proxy().build().unwrap().get(format!("http://{address}{path}"))
}

async fn send(request: RequestBuilder) -> Answer {
    let response = soon(request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: soon(response.text()).await.unwrap() }
}

async fn get(host: &Host, path: &str) -> Answer {
    send(request(host.telemetry_address().unwrap(), path)).await
}

async fn state(host: &Host) -> Value {
    let answer = get(host, "/api/v1/state").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{}", answer.text);
    answer.json()
}

/// Asks for the state until it is as it should be.
async fn state_when(host: &Host, is_so: impl Fn(&Value) -> bool) -> Value {
    soon(async {
        loop {
            let state = state(host).await;
            if is_so(&state) {
                return state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
}

/// The item of a list of a state that has a value.
fn item<'a>(state: &'a Value, list: &str, field: &str, value: &str) -> &'a Value {
    let found = state[list].as_array().unwrap().iter().find(|item| item[field] == value);
    found.unwrap_or_else(|| panic!("no {list} with {field} {value}: {state:#}"))
}

/// A stream that is being read.
struct Stream {
    response: Response,
    unread: Vec<u8>,
}

impl Stream {
    async fn open(host: &Host) -> Stream {
        let response = soon(request(host.telemetry_address().unwrap(), "/api/v1/stream").send()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { response, unread: Vec::new() }
    }

    /// Waits for the next event. `None` once the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Some(read(std::str::from_utf8(&event).unwrap()));
            }
            match soon(self.response.chunk()).await.unwrap() {
                Some(piece) => self.unread.extend_from_slice(&piece),
                None => return None,
            }
        }
    }

    /// Waits for an event that is as it should be.
    async fn until(&mut self, is_so: impl Fn(&str, &Value) -> bool) -> Value {
        soon(async {
            loop {
                let (kind, value) = self.next().await.expect("the stream goes on");
                if is_so(&kind, &value) {
                    return value;
                }
            }
        })
        .await
    }
}

fn read(event: &str) -> (String, Value) {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    let data = field("data: ").unwrap_or_else(|| panic!("no data: {event}"));
    (field("event: ").unwrap().to_owned(), serde_json::from_str(data).unwrap())
}
