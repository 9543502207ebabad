//! The thread of telemetry and the port that it serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_telemetry::state::{EventRecord, HostState};
use wasmcloud_telemetry::{Feed, MetricsFormat, Port, Report, Source, TelemetryOptions, Work};

use super::HostMetrics;
use super::liveness::Liveness;
use super::recorder::{Recorder, TICK};
use crate::event::Events;

/// The time between two messages of events, and the same while there are many.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);

/// How many events in one message are many.
const MANY: usize = 50;

/// The thread of telemetry. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct TelemetryService {
    address: SocketAddr,
    end: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

impl TelemetryService {
    /// Opens the port and begins to serve it.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options; `Io` if the address or a thread cannot be had.
    pub(crate) async fn start(
        options: TelemetryOptions,
        recorder: Arc<Recorder>,
        events: Events,
        metrics: HostMetrics,
    ) -> Result<TelemetryService> {
        let (end, ending) = watch::channel(false);
        let (has_ended, ended) = watch::channel(false);
        let (opened, opening) = oneshot::channel();
        let run = move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(async move {
                    let port = match Port::open(&options) {
                        Ok(port) => port,
                        // The host waits for the answer.
                        Err(error) => return drop(opened.send(Err(error))),
                    };
                    let _ = opened.send(Ok(port.address()));
                    serve(port, options, recorder, events, metrics, ending).await;
                }),
                Err(error) => drop(opened.send(Err(cannot_start(error)))),
            }
            has_ended.send_replace(true);
        };
        std::thread::Builder::new().name("telemetry".to_owned()).spawn(run).map_err(cannot_start)?;
        let gone = |error| Error::new(ErrorKind::Internal, "the thread of telemetry ended at once").caused_by(error);
        let address = opening.await.map_err(gone)??;
        Ok(TelemetryService { address, end, ended })
    }

    /// Returns the address of the port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells viewers of the last events, closes the port, and waits for the end of the thread.
    pub(crate) async fn end(&self) {
        self.end.send_replace(true);
        // The sender is dropped when the thread has ended.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Drop for TelemetryService {
    fn drop(&mut self) {
        self.end.send_replace(true);
    }
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the thread of telemetry cannot be started").caused_by(error)
}

async fn serve(
    port: Port,
    options: TelemetryOptions,
    recorder: Arc<Recorder>,
    events: Events,
    metrics: HostMetrics,
    ending: watch::Receiver<bool>,
) {
    let feed = Feed::new();
    let liveness = Liveness::new(&recorder.facts().shards);
    let source = Arc::new(HostSource { recorder: recorder.clone(), metrics, liveness });
    let (close, closing) = watch::channel(false);
    let told = follow_events(events, recorder.clone(), feed.clone(), ending);
    tokio::spawn(async move {
        told.await;
        close.send_replace(true);
    });
    tokio::spawn(tick(recorder, feed.clone()));
    // The tasks end with the runtime.
    port.serve(&options, source, feed, closing).await;
}

/// Tells viewers of events: one at once, and many at a time while there are many. Ends once the last is told after `ending`.
async fn follow_events(mut events: Events, recorder: Arc<Recorder>, feed: Feed, mut ending: watch::Receiver<bool>) {
    let mut earliest = Instant::now();
    let mut due = None;
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { break };
                feed.tell(recorder.note(&event));
                due = due.or(Some(earliest.max(Instant::now())));
            }
            // An error means that the host is gone.
            _ = ending.wait_for(|is_ending| *is_ending) => break,
            () = sleep_until(due.unwrap_or(earliest)), if due.is_some() => {
                let told = feed.flush();
                earliest = Instant::now() + if told > MANY { LATER } else { SOON };
                due = None;
            }
        }
    }
    while let Some(Some(event)) = events.next().now_or_never() {
        feed.tell(recorder.note(&event));
    }
    feed.flush();
}

async fn tick(recorder: Arc<Recorder>, feed: Feed) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        recorder.record();
        if !feed.is_watched() {
            continue;
        }
        match recorder.renew() {
            Ok(state) => feed.publish(state),
            Err(error) => log::debug!("viewers are told no figures: {error}"),
        }
    }
}

/// The host, as the port sees it.
struct HostSource {
    recorder: Arc<Recorder>,
    metrics: HostMetrics,
    liveness: Liveness,
}

impl Source for HostSource {
    fn metrics(&self, format: MetricsFormat) -> Result<String> {
        match format {
            MetricsFormat::Prometheus => self.metrics.encode(),
            MetricsFormat::OpenMetrics => self.metrics.encode_open_metrics(),
        }
    }

    fn liveness(&self) -> Work<'_> {
        Box::pin(self.liveness.report())
    }

    fn readiness(&self) -> Report {
        self.recorder.readiness()
    }

    fn state(&self) -> Result<Arc<HostState>> {
        self.recorder.state()
    }

    fn events(&self) -> Vec<EventRecord> {
        self.recorder.events()
    }
}
