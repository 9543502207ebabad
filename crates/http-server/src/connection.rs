//! Serves a connection: TLS, HTTP/1.1 and HTTP/2, until it ends.

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

/// Maximum duration of a TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of the head of a request, and of the read buffer of a connection. Larger heads, and heads of more than 100
/// headers, are answered with 431. Unit: bytes.
const MAX_HEAD_BYTES: u32 = 32 * 1024;

/// Maximum number of concurrent requests of an HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// Flow-control windows of a stream and of a connection (HTTP/2). Unit: bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;

/// Maximum number of unsent bytes in the kernel per connection (`TCP_NOTSENT_LOWAT`). Without a limit the kernel buffers
/// megabytes, and reports progress only after it has sent a third of them.
#[cfg(target_os = "linux")]
const MAX_UNSENT_KERNEL_BYTES: u32 = 128 * 1024;

/// The HTTP/1.1 and HTTP/2 implementations. The first bytes of a client select one.
#[derive(Debug, Clone)]
pub(crate) struct Protocols(Rc<Builder<LocalExecutor>>);

impl Protocols {
    pub(crate) fn new() -> Protocols {
        let mut builder = Builder::new(LocalExecutor);
        // `Activity` has the timeout for heads, together with all others.
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

/// Serves a connection until it ends. If the connection is requested to close, it ends after its requests in flight.
pub(crate) async fn serve_connection<C: ActorCaller + 'static>(
    stream: TcpStream,
    handler: Arc<ArcSwap<RequestHandler<C>>>,
    protocols: Protocols,
    slot: ConnectionSlot,
) {
    set_socket_options(&stream);
    match handler.load().tls.clone() {
        None => serve_http(stream, handler, protocols, &slot.0, ConnectionTimeouts::DEFAULT).await,
        // Boxed, so that connections without TLS do not hold its state.
        Some(tls) => Box::pin(serve_tls(tls, stream, handler, protocols, &slot.0)).await,
    }
}

/// Sets socket options. Failures are ignored: without the options, the connection is slower or larger, but correct.
fn set_socket_options(stream: &TcpStream) {
    // Small responses are sent without delay.
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
        Ok(Err(error)) => log::debug!("a TLS handshake failed: {error}"),
        Err(_) => log::debug!("a TLS handshake took too long"),
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
        // Boxed, so that an idle connection does not hold the state of a request.
        Box::pin(async move { Ok::<_, Infallible>(handler.handle(request, in_flight).await) })
    });
    let connection = pin!(protocols.0.serve_connection(stream, answer));
    match run_with_timeouts(connection, |connection| connection.graceful_shutdown(), &activity).await {
        ConnectionEnd::Completed(Ok(())) => {}
        ConnectionEnd::Completed(Err(error)) => log::debug!("a connection ended early: {error}"),
        ConnectionEnd::Cut => {
            log::debug!("a connection was closed: a timeout expired, or other connections needed its slot or memory")
        }
    }
}

/// Runs the tasks of a connection on its thread.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, work: F) {
        tokio::task::spawn_local(work);
    }
}

#[cfg(test)]
mod tests;
