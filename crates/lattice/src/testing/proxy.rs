//! A proxy for TCP in front of a server. It cuts connections, stops them without closing (a partition), and delays them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a proxy does with the bytes of its connections.
#[derive(Debug, Clone, Copy, Default)]
struct Conduct {
    /// Nothing passes. Connections stay open, and what was sent meanwhile is dropped.
    partitioned: bool,
    /// The delay of each piece of data.
    delay: Duration,
    /// Connections of earlier generations are closed.
    generation: u64,
}

/// A proxy. Dropping it closes its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    conduct: watch::Sender<Conduct>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of a server.
    pub(crate) async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let conduct = watch::Sender::new(Conduct::default());
        let watched = conduct.clone();
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server, watched.subscribe()));
            }
        });
        Proxy { address, conduct, acceptor }
    }

    /// Returns the address that clients connect to.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Drops all data from now on, in both directions, without closing connections. New connections open and stay silent.
    pub(crate) fn partition(&self) {
        self.conduct.send_modify(|conduct| conduct.partitioned = true);
    }

    /// Ends a partition. Connections that lost data are closed, as a real one would be reset.
    pub(crate) fn heal(&self) {
        self.conduct.send_modify(|conduct| {
            conduct.partitioned = false;
            conduct.generation += 1;
        });
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.conduct.send_modify(|conduct| conduct.generation += 1);
    }

    /// Delays each piece of data.
    #[allow(dead_code, reason = "the tests of slow networks use it")]
    pub(crate) fn delay(&self, delay: Duration) {
        self.conduct.send_modify(|conduct| conduct.delay = delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut();
    }
}

/// Serves one connection until an end closes it, or the proxy does.
async fn serve(client: TcpStream, server: SocketAddr, conduct: watch::Receiver<Conduct>) {
    let mut end = conduct.clone();
    let generation = end.borrow().generation;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, conduct.clone()) => {}
        () = copy(from_server, to_client, conduct) => {}
        _ = end.wait_for(|conduct| conduct.generation != generation) => {}
    }
}

/// Copies one direction until it ends.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, conduct: watch::Receiver<Conduct>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length) = from.read(&mut buffer).await else { return };
        if length == 0 {
            return;
        }
        let now = *conduct.borrow();
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        if !now.partitioned && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
