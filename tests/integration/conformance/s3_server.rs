//! Real servers that speak the language of S3, from the `moto_server` on the `PATH` (`pip install 'moto[server]'`): with
//! everything in memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use super::server_process::ServerProcess;

/// The bucket that each server has.
pub(crate) const BUCKET: &str = "blobs";

/// A running server. When it starts again, its bucket is empty.
pub(crate) struct S3Server(ServerProcess);

impl S3Server {
    pub(crate) fn start() -> S3Server {
        let command = |port: u16| {
            let mut command = Command::new("moto_server");
            // What is on the path may be a launcher: all that it starts is one group.
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]).process_group(0);
            command
        };
        S3Server(ServerProcess::start(command, makes_the_bucket))
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Deref for S3Server {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.0
    }
}

fn makes_the_bucket(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!("PUT /{BUCKET} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
}
