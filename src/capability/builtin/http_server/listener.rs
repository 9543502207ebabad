//! One open port: its connections, and how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::handler::Site;
use super::settings::Settings;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests in flight may take to end once the port is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// How many connections one port serves at once; further ones wait to be accepted.
const CONNECTIONS: usize = 20_000;

/// How long to wait after a connection could not be accepted: usually the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that is open until it is closed.
pub(super) struct Listener {
    /// The address as it was asked for, and as it is.
    asked: SocketAddr,
    address: SocketAddr,
    site: Arc<ArcSwap<Site>>,
    close: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Listener {
    /// Opens a port and serves it on this thread.
    ///
    /// # Errors
    /// A text that names the address and what to do.
    pub(super) async fn open(settings: &Settings, site: Site) -> Result<Listener, String> {
        let asked = settings.address;
        let describe = |error: std::io::Error| {
            format!("cannot listen on {asked} ({error}): choose another PORT or BIND, or stop what listens there")
        };
        let socket = TcpListener::bind(asked).await.map_err(describe)?;
        let address = socket.local_addr().map_err(describe)?;
        let site = Arc::new(ArcSwap::from_pointee(site));
        let (close, closed) = oneshot::channel();
        let serving = actix_rt::spawn(serve(socket, site.clone(), closed));
        Ok(Listener { asked, address, site, close, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether these settings ask for the port that is open already.
    pub(super) fn listens_as(&self, settings: &Settings) -> bool {
        self.asked == settings.address && !self.serving.is_finished()
    }

    /// Has requests that begin from now on answered by another site.
    pub(super) fn serve_from_now_on(&self, site: Site) {
        self.site.store(Arc::new(site));
    }

    /// Closes the port, and waits until the requests in flight have ended or their time is up.
    pub(super) async fn close(self) {
        // Where nobody listens, the task has ended before.
        let _ = self.close.send(());
        if let Err(error) = self.serving.await {
            log::error!("the listener on {} did not end as it should: {error}", self.address);
        }
    }
}

async fn serve(socket: TcpListener, site: Arc<ArcSwap<Site>>, mut closed: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut closed => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn_local(connection(stream, site.clone(), &graceful));
                }
                Err(error) => {
                    log::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(socket);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        log::warn!("{} connection(s) were cut: their requests took too long to end", connections.len());
    }
}

/// Serves one connection to its end.
fn connection(
    stream: TcpStream,
    site: Arc<ArcSwap<Site>>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // Small responses must not wait for more to come.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let site = site.load_full();
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    let watched = graceful.watch(served);
    async move {
        if let Err(error) = watched.await {
            log::debug!("a connection ended early: {error}");
        }
    }
}
