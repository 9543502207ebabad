//! Real NATS servers, from the `nats-server` on the `PATH`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::server_process::ServerProcess;

/// A running server.
pub(crate) struct NatsServer(ServerProcess);

impl NatsServer {
    pub(crate) fn start() -> NatsServer {
        NatsServer::start_with("")
    }

    /// Starts a server with more configuration.
    pub(crate) fn start_with(more: &str) -> NatsServer {
        NatsServer::start_program(Path::new("nats-server"), more)
    }

    /// Starts a server of a version of the caller's choice.
    pub(crate) fn start_program(program: &Path, more: &str) -> NatsServer {
        let program = program.to_owned();
        let mut configuration = NamedTempFile::new().unwrap();
        configuration.write_all(more.as_bytes()).unwrap();
        let command = move |port: u16| {
            let mut command = Command::new(&program);
            command.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--config"]).arg(configuration.path());
            command
        };
        NatsServer(ServerProcess::start(command, answers))
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A conversation in the server's own protocol.
    pub(crate) fn connect(&self) -> Conversation {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut conversation = Conversation { answers: BufReader::new(stream.try_clone().unwrap()), stream };
        conversation.tell("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        conversation
    }
}

impl Deref for NatsServer {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.0
    }
}

/// A connection of a client that leaves nothing out.
pub(crate) struct Conversation {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Conversation {
    /// Sends something, and answers with every line that comes back until the server has read it all.
    pub(crate) fn tell(&mut self, text: &str) -> Vec<String> {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.write_all(b"PING\r\n").unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the server hung up: {lines:?}");
            if line.trim() == "PONG" {
                return lines;
            }
            lines.push(line.trim().to_owned());
        }
    }
}

pub(crate) fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // It speaks first.
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).is_ok() && &answer == b"INFO"
}
