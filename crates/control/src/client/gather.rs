//! Gathers the answers of several hosts to one question.

use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::Subject;

use super::ControlClient;

/// How long a client waits for another answer once some have come. A host that is slow by as much is left out, unless the
/// others know of it.
const QUIET: Duration = Duration::from_millis(150);

/// When a client has all answers.
pub(super) enum Enough {
    /// The answers tell how many there are.
    Complete,
    /// Further answers may come.
    Unknown,
}

impl ControlClient {
    /// Publishes questions and hands over each answer, until `hear` has enough, no more come, or the time is over.
    pub(super) async fn gather(
        &self,
        questions: Vec<(String, Bytes)>,
        limit: Duration,
        mut hear: impl FnMut(&[u8]) -> Enough,
    ) -> Result<()> {
        let client = self.connection.client()?;
        let inbox = client.new_inbox();
        let mut answers = self.connection.subscribe(Subject::new(inbox.clone())).await?;
        let mut unanswered = questions.len();
        for (subject, content) in questions {
            let published = client.publish_with_reply(subject, inbox.clone(), content).await;
            published.map_err(|error| {
                Error::new(ErrorKind::LatticeUnavailable, "a question cannot be sent").caused_by(error)
            })?;
        }
        let end = Instant::now() + limit;
        let mut until = end;
        while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
            let answer = answer?;
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                unanswered -= 1;
                if unanswered == 0 {
                    break;
                }
                continue;
            }
            until = match hear(&answer.payload) {
                Enough::Complete => break,
                Enough::Unknown => end.min(Instant::now() + QUIET),
            };
        }
        Ok(())
    }
}
