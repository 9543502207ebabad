//! The messages of a viewer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::{Response, StatusCode};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use wasmcloud_core::error::Result;

use super::Source;
use super::answers::{Body, answer, text};
use crate::feed::{Feed, Viewer};

const EVENT_STREAM: &str = "text/event-stream";

/// How long a viewer that has fallen behind is told nothing, before it gets a new snapshot: on a line that is slow, or in a storm
/// of events, it would otherwise get one after the other.
const PAUSE: Duration = Duration::from_secs(3);

/// Marks the answer that is a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct IsStream;

/// Returns the stream of a new viewer.
///
/// # Errors
/// As [`Feed::join`].
pub(super) fn answer_with(feed: &Feed, source: &Arc<dyn Source>) -> Result<Response<Body>> {
    let viewer = join(feed, &**source)?;
    let messages = messages(feed.clone(), source.clone(), viewer, PAUSE);
    let mut answer = answer(StatusCode::OK, EVENT_STREAM, StreamBody::new(messages).boxed_unsync());
    answer.extensions_mut().insert(IsStream);
    Ok(answer)
}

/// Returns the head of a stream.
pub(super) fn head() -> Response<Body> {
    text(StatusCode::OK, EVENT_STREAM, "")
}

fn join(feed: &Feed, source: &dyn Source) -> Result<Viewer> {
    feed.join(|| source.state(), || source.events())
}

/// Where a stream is.
enum Position {
    /// The snapshot is to be sent.
    Joined(Viewer),
    /// What follows it is to be sent.
    Following(Viewer),
}

/// Returns the messages of a viewer. One that falls behind joins again, after a pause.
fn messages(
    feed: Feed,
    source: Arc<dyn Source>,
    viewer: Viewer,
    pause: Duration,
) -> impl Stream<Item = std::result::Result<Frame<Bytes>, Infallible>> {
    let next = move |position| {
        let (feed, source) = (feed.clone(), source.clone());
        async move {
            let mut viewer = match position {
                Position::Joined(viewer) => {
                    let snapshot = viewer.snapshot.clone();
                    return Some((Ok(Frame::data(snapshot)), Position::Following(viewer)));
                }
                Position::Following(viewer) => viewer,
            };
            match viewer.messages.recv().await {
                Ok(message) => Some((Ok(Frame::data(message)), Position::Following(viewer))),
                Err(RecvError::Lagged(_)) => {
                    // An error means that the pause is over.
                    if timeout(pause, passed_over(&mut viewer.messages)).await.is_ok() {
                        return None;
                    }
                    // Its place is free for itself.
                    drop(viewer);
                    let viewer = join(&feed, &*source).ok()?;
                    Some((Ok(Frame::data(viewer.snapshot.clone())), Position::Following(viewer)))
                }
                Err(RecvError::Closed) => None,
            }
        }
    };
    stream::unfold(Position::Joined(viewer), next)
}

/// Passes messages over until there are no more.
async fn passed_over(messages: &mut Receiver<Bytes>) {
    while !matches!(messages.recv().await, Err(RecvError::Closed)) {}
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::stream::BoxStream;
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::port::{MetricsFormat, Work};
    use crate::report::Report;
    use crate::state::{EventRecord, HostState};

    /// A host without anything.
    struct Nothing;

    impl Source for Nothing {
        fn metrics(&self, _: MetricsFormat) -> Result<String> {
            Ok(String::new())
        }

        fn liveness(&self) -> Work<'_> {
            Box::pin(async { Report::default() })
        }

        fn readiness(&self) -> Report {
            Report::default()
        }

        fn state(&self) -> Result<Arc<HostState>> {
            Ok(Arc::new(HostState::default()))
        }

        fn events(&self) -> Vec<EventRecord> {
            Vec::new()
        }
    }

    /// Runs a test with the messages of a viewer. Each is the beginning of its text.
    fn run(pause: Duration, test: impl AsyncFnOnce(Feed, BoxStream<'static, String>)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (feed, source) = (Feed::new(), Arc::new(Nothing));
            let viewer = join(&feed, &*source).unwrap();
            let messages = messages(feed.clone(), source, viewer, pause).map(|message| {
                let data = message.unwrap().into_data().unwrap();
                String::from_utf8_lossy(&data).lines().find_map(|line| line.strip_prefix("event: ")).unwrap().to_owned()
            });
            test(feed, messages.boxed()).await;
        });
    }

    fn publish(feed: &Feed, times: u64) {
        for at in 0..times {
            feed.publish(Arc::new(HostState { at, ..HostState::default() }));
        }
    }

    #[test]
    fn a_viewer_that_falls_behind_again_and_again_gets_no_snapshot_each_time() {
        run(Duration::from_secs(60), async |feed, messages| {
            let mut messages = pin!(messages);
            assert_eq!(messages.next().await.unwrap(), "snapshot");
            publish(&feed, 1);
            assert_eq!(messages.next().await.unwrap(), "delta");
            for _ in 0..5 {
                publish(&feed, 100);
                assert_eq!(messages.next().now_or_never(), None, "it is told nothing for a while");
            }
            assert!(feed.is_watched(), "it keeps its place");
            feed.close();
            assert_eq!(messages.next().await, None, "its stream ends with the feed all the same");
        });
    }

    #[test]
    fn a_viewer_that_has_fallen_behind_gets_a_snapshot_after_the_pause() {
        run(Duration::from_millis(1), async |feed, messages| {
            let mut messages = pin!(messages);
            assert_eq!(messages.next().await.unwrap(), "snapshot");
            publish(&feed, 100);
            assert_eq!(messages.next().await.unwrap(), "snapshot");
            publish(&feed, 1);
            assert_eq!(messages.next().await.unwrap(), "delta");
        });
    }
}
