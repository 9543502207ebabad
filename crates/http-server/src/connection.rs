//! One connection: TLS, HTTP/1.1 or HTTP/2, and its end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Ended, Patience, Watched, in_time};
use crate::actor_caller::Caller;
use crate::connection_table::Admission;
use crate::connection_table::{Asked, Peer};
use crate::request_handler::Site;

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

/// How much of what has not been sent the system may keep for one connection, beside what has no acknowledgement yet. Without
/// that it takes some megabytes, and tells of room for more only when a third of them is gone.
#[cfg(target_os = "linux")]
const UNSENT_IN_SYSTEM: u32 = 128 * 1024;

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

/// Serves a connection to its end. When it is asked to, it ends with the requests that are under way.
pub(crate) async fn serve<C: Caller + 'static>(
    stream: TcpStream,
    site: Arc<ArcSwap<Site<C>>>,
    protocols: Protocols,
    admission: Admission,
) {
    prepare(&stream);
    match site.load().tls.clone() {
        None => speak(stream, site, protocols, &admission.0, Patience::DEFAULT).await,
        // Boxed: most connections are not encrypted, and need not have the room for it.
        Some(tls) => Box::pin(speak_encrypted(tls, stream, site, protocols, &admission.0)).await,
    }
}

/// Sets options of a stream. What the system does without them is right too, if slower or larger.
fn prepare(stream: &TcpStream) {
    // Small responses must not wait for more to come.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_IN_SYSTEM);
}

async fn speak_encrypted<C: Caller + 'static>(
    tls: TlsAcceptor,
    stream: TcpStream,
    site: Arc<ArcSwap<Site<C>>>,
    protocols: Protocols,
    peer: &Arc<Peer>,
) {
    let asked = poll_fn(|context| {
        peer.wake_when_asked(context.waker());
        if peer.asked() == Asked::Nothing { Poll::Pending } else { Poll::Ready(()) }
    });
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)) => agreed,
        () = asked => return,
    };
    match agreed {
        Ok(Ok(stream)) => speak(stream, site, protocols, peer, Patience::DEFAULT).await,
        Ok(Err(error)) => log::debug!("a client did not agree on TLS: {error}"),
        Err(_) => log::debug!("a client took too long to agree on TLS"),
    }
}

async fn speak<C: Caller + 'static>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: Arc<ArcSwap<Site<C>>>,
    protocols: Protocols,
    peer: &Arc<Peer>,
    patience: Patience,
) {
    let activity = Activity::new(patience, peer.clone());
    let watched = TokioIo::new(Watched { stream, activity: activity.clone() });
    let observed = activity.clone();
    let answer = service_fn(move |request: Request<_>| {
        let serving = observed.begin_request(request.version() == Version::HTTP_2);
        let site = site.load_full();
        // Boxed: a connection keeps the room for what answers its requests, even while there are none.
        Box::pin(async move { Ok::<_, Infallible>(site.answer(request, serving).await) })
    });
    let connection = pin!(protocols.0.serve_connection(watched, answer));
    match in_time(connection, |connection| connection.graceful_shutdown(), &activity).await {
        Ended::ByItself(Ok(())) => {}
        Ended::ByItself(Err(error)) => log::debug!("a connection ended early: {error}"),
        Ended::Cut => log::debug!("a connection was cut: its client took too long, or others needed what it held"),
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

#[cfg(test)]
mod tests;
