//! Accepts connections, and bounds them: their number, the size and time of a request's head, and how long a peer may not read.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::patience::Patient;
use super::router::Router;

/// The most connections at a time. A further one is closed at once.
const CONNECTIONS: usize = 256;

/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The most fields and bytes of a request's head.
const HEAD_FIELDS: usize = 64;
const HEAD_BYTES: usize = 16 * 1024;

/// How long a peer may read nothing while there is something to be read.
const READING_TIME: Duration = Duration::from_secs(20);

/// How long requests in progress may take when the port is closed.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// The delay after a connection could not be accepted, such as for want of file descriptors.
const RETRY: Duration = Duration::from_millis(100);

/// Serves connections until `end`.
pub(super) async fn serve(listener: TcpListener, router: Arc<Router>, end: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut end = pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                log::debug!("a connection to the telemetry is not accepted: {error}");
                sleep(RETRY).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            log::debug!("a connection from {peer} is closed: there are {CONNECTIONS} already");
            continue;
        };
        let router = router.clone();
        let service = service_fn(move |request| {
            let router = router.clone();
            async move { Ok::<_, Infallible>(router.answer(request, peer.ip()).await) }
        });
        let connection = graceful.watch(builder().serve_connection(io_of(stream), service));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                log::debug!("a connection from {peer} has ended: {error}");
            }
        });
    }
    drop(listener);
    router.close();
    if timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        log::debug!("some connections to the telemetry are still open, and are closed");
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_headers(HEAD_FIELDS).max_buf_size(HEAD_BYTES);
    builder
}

fn io_of(stream: TcpStream) -> TokioIo<Patient<TcpStream>> {
    let set: io::Result<()> = stream.set_nodelay(true);
    if let Err(error) = set {
        log::debug!("a connection to the telemetry may be slow: {error}");
    }
    TokioIo::new(Patient::new(stream, READING_TIME))
}
