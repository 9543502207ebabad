//! Real servers that speak the language of S3, from the `moto_server` on the `PATH`: on loopback ports of their own, with
//! everything in memory, and gone with their test.

use std::cell::RefCell;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The bucket that each server has.
pub(crate) const BUCKET: &str = "blobs";

/// A running server.
pub(crate) struct S3Server {
    pub(crate) port: u16,
    process: RefCell<Child>,
}

impl S3Server {
    pub(crate) async fn start() -> S3Server {
        // Another process may take the port before the server does. Then there is another one.
        for _ in 0..10 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if let Some(process) = launch(port).await {
                return S3Server { port, process: RefCell::new(process) };
            }
        }
        panic!("no moto_server could be started");
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        end(&mut self.process.borrow_mut());
    }

    /// Starts it again on the same port, with an empty bucket.
    #[allow(clippy::zombie_processes, reason = "it is waited for when the server is dropped")]
    pub(crate) async fn start_again(&self) {
        self.process.replace(launch(self.port).await.expect("the server starts again"));
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        end(self.process.get_mut());
    }
}

/// Ends the server and what its launcher may have started: all are one group.
fn end(process: &mut Child) {
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", process.id())]).status();
    let _ = process.wait();
}

/// Starts a server and waits until it has made the bucket; nothing if it ends instead.
#[allow(clippy::zombie_processes, reason = "whoever has the server waits for its end")]
async fn launch(port: u16) -> Option<Child> {
    let mut process = Command::new("moto_server")
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("moto_server should be on the PATH: pip install 'moto[server]'");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        let made = reqwest::Client::new().put(format!("http://127.0.0.1:{port}/{BUCKET}")).send().await;
        if made.is_ok_and(|made| made.status().is_success()) {
            return Some(process);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("moto_server does not answer");
}
