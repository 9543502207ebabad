//! One connection: TLS, HTTP/1.1 or HTTP/2, and its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Patience, Watched, in_time};
use crate::caller::Caller;
use crate::site::Site;

/// How long a client may take to agree on TLS.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that the head of a request may have, and how much of a connection is read ahead. Longer heads are
/// answered with 431, as are those of more than 100 headers.
const HEAD_LIMIT: u32 = 32 * 1024;

/// How many requests of one HTTP/2 connection are served at once.
const STREAMS: u32 = 128;

/// How much of one body, and of all bodies of an HTTP/2 connection, may arrive before they are read.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;

/// Both protocols, told apart by how a client begins.
#[derive(Debug, Clone)]
pub(crate) struct Protocols(Rc<Builder<OnThisThread>>);

impl Protocols {
    pub(crate) fn new() -> Protocols {
        let mut builder = Builder::new(OnThisThread);
        // How long a head may take is watched together with everything else that may take long.
        builder.http1().header_read_timeout(None).max_buf_size(HEAD_LIMIT as usize);
        builder
            .http2()
            .max_header_list_size(HEAD_LIMIT)
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Protocols(Rc::new(builder))
    }
}

/// Serves a connection to its end. Once `closing` says so, it ends with the requests that are under way.
pub(crate) async fn serve<C: Caller + 'static>(
    stream: TcpStream,
    site: Arc<ArcSwap<Site<C>>>,
    protocols: Protocols,
    closing: watch::Receiver<bool>,
) {
    // Small responses must not wait for more to come.
    let _ = stream.set_nodelay(true);
    match site.load().tls.clone() {
        None => speak(stream, site, protocols, closing).await,
        // Boxed: most connections are not encrypted, and need not have the room for it.
        Some(tls) => Box::pin(speak_encrypted(tls, stream, site, protocols, closing)).await,
    }
}

async fn speak_encrypted<C: Caller + 'static>(
    tls: TlsAcceptor,
    stream: TcpStream,
    site: Arc<ArcSwap<Site<C>>>,
    protocols: Protocols,
    mut closing: watch::Receiver<bool>,
) {
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)) => agreed,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    match agreed {
        Ok(Ok(stream)) => speak(stream, site, protocols, closing).await,
        Ok(Err(error)) => log::debug!("a client did not agree on TLS: {error}"),
        Err(_) => log::debug!("a client took too long to agree on TLS"),
    }
}

async fn speak<C: Caller + 'static>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: Arc<ArcSwap<Site<C>>>,
    protocols: Protocols,
    mut closing: watch::Receiver<bool>,
) {
    let activity = Activity::new(Patience::DEFAULT);
    let watched = TokioIo::new(Watched { stream, activity: activity.clone() });
    let observed = activity.clone();
    let answer = service_fn(move |request: Request<_>| {
        let serving = observed.begin_request(request.version() == Version::HTTP_2);
        let site = site.load_full();
        // Boxed: a connection keeps the room for what answers its requests, even while there are none.
        Box::pin(async move {
            let answer = site.answer(request).await;
            drop(serving);
            Ok::<_, Infallible>(answer)
        })
    });
    let mut connection = pin!(protocols.0.serve_connection(watched, answer));
    let to_its_end = async {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            _ = closing.wait_for(|closing| *closing) => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    match in_time(to_its_end, &activity).await {
        Some(Ok(())) => {}
        Some(Err(error)) => log::debug!("a connection ended early: {error}"),
        None => log::debug!("a connection was closed: its client took too long"),
    }
}

/// Runs what belongs to a connection on the thread of that connection.
#[derive(Debug, Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, work: F) {
        tokio::task::spawn_local(work);
    }
}
