//! Accepts connections, and bounds them: the size and time of a request's head, and how long a peer may not read.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot::Receiver;
use tokio::time::{sleep, timeout};

use super::answers::Body;
use super::patience::Patient;
use super::places::{Place, Places};
use super::router::Router;
use super::stream::IsStream;

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
    let places = Places::default();
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
        let Some((place, lost)) = places.take(peer.ip(), Instant::now()) else {
            log::debug!("a connection from {peer} is closed: viewers have all places");
            continue;
        };
        let connection = builder().serve_connection(io_of(stream), service(router.clone(), place, peer.ip()));
        tokio::spawn(attend(graceful.watch(connection), lost, peer));
    }
    drop(listener);
    router.close();
    if timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        log::debug!("some connections to the telemetry are still open, and are closed");
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Returns what answers the requests of a connection.
fn service(
    router: Arc<Router>,
    place: Place,
    peer: IpAddr,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future = Answering> {
    let place = Arc::new(place);
    service_fn(move |request| -> Answering {
        let (router, place) = (router.clone(), place.clone());
        Box::pin(async move {
            place.asks(Instant::now());
            let answer = router.answer(request, peer).await;
            if answer.extensions().get::<IsStream>().is_some() {
                place.is_stream();
            }
            Ok(answer)
        })
    })
}

/// Attends a connection until it ends, or its place is lost.
async fn attend(connection: impl Future<Output = hyper::Result<()>>, lost: Receiver<()>, peer: SocketAddr) {
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                log::debug!("a connection from {peer} has ended: {error}");
            }
        }
        // Its sender is dropped, and sends nothing.
        _ = lost => log::debug!("a connection from {peer} is closed: others need its place"),
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
