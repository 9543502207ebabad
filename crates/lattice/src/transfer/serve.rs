//! Answers the requests for chunks.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;
use wasmcloud_core::error::Result;

use super::frame::Request;
use super::offers::{Id, NoChunk, Offers};
use super::{Counters, max_payload};
use crate::connection::{Connection, Subject, is_inbox};

/// The delay after a failure to subscribe.
const RETRY: Duration = Duration::from_millis(200);

/// How many answers may wait until the connection takes them. Further requests are dropped, and their senders repeat them.
const MOST_WAITING: usize = 64;

/// Answers requests until it is dropped.
pub(super) struct Server {
    pub(super) connection: Connection,
    pub(super) subject: String,
    pub(super) offers: Arc<Offers>,
    pub(super) counters: Arc<Counters>,
}

impl Server {
    /// Serves until the connection is closed.
    pub(super) async fn run(self) {
        while self.connection.joined().await {
            if let Err(error) = self.serve().await {
                log::warn!("large payloads are not served, which is tried again: {error}");
            }
            sleep(RETRY).await;
        }
    }

    async fn serve(&self) -> Result<()> {
        let mut requests = self.connection.subscribe(Subject::new(self.subject.as_str())).await?;
        let mut waiting = FuturesUnordered::new();
        loop {
            tokio::select! {
                request = requests.next() => {
                    let Some(request) = request else { return Ok(()) };
                    let request = request?;
                    if waiting.len() >= MOST_WAITING {
                        self.counters.add(|counts| counts.throttled += 1);
                        continue;
                    }
                    if let Some(answer) = self.answer(request) {
                        waiting.push(self.send(answer));
                    }
                }
                Some(()) = waiting.next() => {}
            }
        }
    }

    /// Returns the answer to a request, if it can be answered.
    fn answer(&self, request: Message) -> Option<Reply> {
        let subject = request.reply.filter(|reply| is_inbox(reply))?.to_string();
        let id = id_of(&request.subject);
        let parts = id.zip(Request::decode(&request.payload));
        let longest = max_payload(&self.connection);
        let chunk = parts.map_or(Err(NoChunk::Malformed), |(id, request)| self.offers.chunk(&id, request, longest));
        self.counters.add(|counts| match &chunk {
            Ok(chunk) => {
                counts.chunks += 1;
                counts.chunk_bytes += chunk.len() as u64;
            }
            Err(NoChunk::Unknown) => counts.unknown += 1,
            Err(NoChunk::Malformed) => counts.malformed += 1,
            Err(NoChunk::Exhausted) => counts.exhausted += 1,
        });
        Some(Reply { subject, payload: chunk.unwrap_or_default() })
    }

    async fn send(&self, reply: Reply) {
        if let Err(error) = self.connection.publish(reply.subject, reply.payload).await {
            log::debug!("a chunk is not sent: {error}");
        }
    }
}

struct Reply {
    subject: String,
    payload: Bytes,
}

/// Returns the identifier that a subject names: its last token but one.
fn id_of(subject: &str) -> Option<Id> {
    let id = subject.rsplit('.').nth(1)?;
    HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok()
}
