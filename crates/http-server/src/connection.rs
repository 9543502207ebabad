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

use crate::activity::{Activity, ConnectionEnd, ConnectionTimeouts, ObservedStream, run_with_timeouts};
use crate::actor_caller::ActorCaller;
use crate::connection_table::ConnectionSlot;
use crate::connection_table::{CloseRequest, ConnectionHandle};
use crate::request_handler::RequestHandler;

/// How long a client may take to agree on TLS.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that the head of a request may have, and how much of a connection is read ahead. Longer heads are
/// answered with 431, as are those of more than 100 headers.
const MAX_HEAD_BYTES: u32 = 32 * 1024;

/// How many requests of one HTTP/2 connection are served at once.
const MAX_STREAMS: u32 = 128;

/// How much of one body, and of all bodies of an HTTP/2 connection, may arrive before they are read.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;

/// How much of what has not been sent the system may keep for one connection, beside what has no acknowledgement yet. Without
/// that it takes some megabytes, and tells of room for more only when a third of them is gone.
#[cfg(target_os = "linux")]
const MAX_UNSENT_KERNEL_BYTES: u32 = 128 * 1024;

/// Both protocols, told apart by how a client begins.
#[derive(Debug, Clone)]
pub(crate) struct Protocols(Rc<Builder<LocalExecutor>>);

impl Protocols {
    pub(crate) fn new() -> Protocols {
        let mut builder = Builder::new(LocalExecutor);
        // How long a head may take is watched together with everything else that may take long.
        builder.http1().header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES as usize);
        builder
            .http2()
            .max_header_list_size(MAX_HEAD_BYTES)
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Protocols(Rc::new(builder))
    }
}

/// Serves a connection to its end. When it is asked to, it ends with the requests that are under way.
pub(crate) async fn serve_connection<C: ActorCaller + 'static>(
    stream: TcpStream,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
    protocols: Protocols,
    slot: ConnectionSlot,
) {
    set_socket_options(&stream);
    match handler.load().tls.clone() {
        None => serve_http(stream, handler, protocols, &slot.0, ConnectionTimeouts::DEFAULT).await,
        // Boxed: most connections are not encrypted, and need not have the room for it.
        Some(tls) => Box::pin(serve_tls(tls, stream, handler, protocols, &slot.0)).await,
    }
}

/// Sets options of a stream. What the system does without them is right too, if slower or larger.
fn set_socket_options(stream: &TcpStream) {
    // Small responses must not wait for more to come.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(MAX_UNSENT_KERNEL_BYTES);
}

async fn serve_tls<C: ActorCaller + 'static>(
    tls: TlsAcceptor,
    stream: TcpStream,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
    protocols: Protocols,
    connection: &Arc<ConnectionHandle>,
) {
    let asked = poll_fn(|context| {
        connection.wake_on_close_request(context.waker());
        if connection.close_request() == CloseRequest::None { Poll::Pending } else { Poll::Ready(()) }
    });
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)) => agreed,
        () = asked => return,
    };
    match agreed {
        Ok(Ok(stream)) => serve_http(stream, handler, protocols, connection, ConnectionTimeouts::DEFAULT).await,
        Ok(Err(error)) => log::debug!("a client did not agree on TLS: {error}"),
        Err(_) => log::debug!("a client took too long to agree on TLS"),
    }
}

async fn serve_http<C: ActorCaller + 'static>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
    protocols: Protocols,
    connection: &Arc<ConnectionHandle>,
    timeouts: ConnectionTimeouts,
) {
    let activity = Activity::new(timeouts, connection.clone());
    let stream = TokioIo::new(ObservedStream { stream, activity: activity.clone() });
    let observer = activity.clone();
    let answer = service_fn(move |request: Request<_>| {
        let in_flight = observer.begin_request(request.version() == Version::HTTP_2);
        let handler = handler.load_full();
        // Boxed: a connection keeps the room for what answers its requests, even while there are none.
        Box::pin(async move { Ok::<_, Infallible>(handler.handle(request, in_flight).await) })
    });
    let connection = pin!(protocols.0.serve_connection(stream, answer));
    match run_with_timeouts(connection, |connection| connection.graceful_shutdown(), &activity).await {
        ConnectionEnd::Completed(Ok(())) => {}
        ConnectionEnd::Completed(Err(error)) => log::debug!("a connection ended early: {error}"),
        ConnectionEnd::Cut => {
            log::debug!("a connection was cut: its client took too long, or others needed what it held")
        }
    }
}

/// Runs what belongs to a connection on the thread of that connection.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, work: F) {
        tokio::task::spawn_local(work);
    }
}

#[cfg(test)]
mod tests;
