//! The exchange of session keys with other hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Inner;
use crate::connection::{Subject, is_inbox};
use crate::session::Sessions;

/// How long a host may take to answer a message of a handshake.
const PATIENCE: Duration = Duration::from_secs(2);

impl Inner {
    /// Begins a handshake in the background, unless one is under way.
    pub(super) fn begin_handshake(self: &Arc<Self>, host: &Arc<str>) {
        let Some(hello) = self.edge.sessions().begin(host) else { return };
        let rpc = self.clone();
        let host = host.clone();
        tokio::spawn(async move { rpc.carry_out(&host, hello).await });
    }

    /// Carries out a handshake, or waits for its end until a deadline.
    pub(super) async fn handshake(self: &Arc<Self>, host: &Arc<str>, deadline: Instant) {
        let Some(hello) = self.edge.sessions().begin(host) else { return };
        let limit = tokio::time::Instant::from_std(deadline);
        // Without a session the call carries a token.
        let _ = tokio::time::timeout_at(limit, self.carry_out(host, hello)).await;
    }

    async fn carry_out(&self, host: &str, hello: Vec<u8>) {
        let subject = self.host_subject(host, "handshake");
        let attempt = Attempt { sessions: self.edge.sessions(), host, is_complete: false };
        self.exchange_keys(&subject, hello, attempt).await;
    }

    async fn exchange_keys(&self, subject: &str, hello: Vec<u8>, mut attempt: Attempt<'_>) {
        let host = attempt.host;
        let mut message = Some(hello);
        while let Some(sent) = message.take() {
            let answer = match self.connection.request(subject, Bytes::from(sent), PATIENCE).await {
                Ok(answer) => answer,
                Err(error) => return log::debug!("no session with host {host}: {error}"),
            };
            match self.edge.sessions().receive(&answer.payload) {
                Ok(reaction) => {
                    attempt.is_complete = reaction.established.is_some();
                    message = reaction.reply;
                }
                Err(error) => return log::warn!("no session with host {host}: {error}"),
            }
        }
    }
}

/// A handshake under way. Dropped before it is complete, it is given up, and the next one waits for a while.
struct Attempt<'a> {
    sessions: &'a Sessions,
    host: &'a str,
    is_complete: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.sessions.give_up(self.host);
        }
    }
}

/// Answers the handshakes of other hosts, until this host leaves.
pub(super) async fn serve(rpc: Arc<Inner>) {
    let subject = Subject::new(rpc.host_subject(rpc.edge.host(), "handshake"));
    let Some(subscriptions) = super::serving::subscribe(&rpc, vec![subject]).await else { return };
    for subscription in subscriptions {
        super::serving::each(rpc.clone(), subscription, |rpc, message| {
            let Some(inbox) = message.reply.clone().filter(|inbox| is_inbox(inbox)) else { return };
            let answer = match rpc.edge.sessions().receive(&message.payload) {
                Ok(reaction) => reaction.reply,
                Err(error) => return log::debug!("a handshake of another host failed: {error}"),
            };
            let connection = rpc.connection.clone();
            tokio::spawn(async move {
                if let Some(answer) = answer {
                    // A host without the answer begins again.
                    let _ = connection.publish(inbox.to_string(), answer.into()).await;
                }
            });
        })
        .await;
    }
}
