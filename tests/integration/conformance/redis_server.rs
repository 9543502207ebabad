//! Real Redis servers, from the `redis-server` on the `PATH`: without files, unless a test asks for some.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use super::server_process::ServerProcess;

/// A running server.
pub(crate) struct RedisServer(ServerProcess);

impl RedisServer {
    pub(crate) fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// Starts a server with more arguments.
    pub(crate) fn start_with(more: &[&str]) -> RedisServer {
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let command = move |port: u16| {
            let mut command = Command::new("redis-server");
            command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                .args(&more);
            command
        };
        RedisServer(ServerProcess::start(command, answers))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Deref for RedisServer {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.0
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // A server that wants a password or TLS answers too, or hangs up.
    let mut answer = [0; 1];
    stream.write_all(b"PING\r\n").is_ok() && stream.read(&mut answer).is_ok()
}
