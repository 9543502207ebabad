//! The exchange of session keys with other hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::Inner;
use super::listening::{self, Until};
use crate::connection::{Subject, is_inbox};

/// How long a host may take to answer a message of a handshake.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether a handshake that another call began has ended.
const LOOK: Duration = Duration::from_millis(10);

impl Inner {
    /// Begins a handshake in the background, unless one is under way.
    pub(super) fn begin_handshake(self: &Arc<Self>, host: &Arc<str>) -> Option<JoinHandle<()>> {
        let hello = self.edge.sessions().begin(host)?;
        let rpc = self.clone();
        let host = host.clone();
        let background = self.background.clone();
        Some(background.spawn(async move { rpc.carry_out(&host, hello).await }))
    }

    /// Carries out a handshake, or waits for the end of the one that is under way, until a deadline. Without a session the
    /// call carries a token.
    pub(super) async fn handshake(self: &Arc<Self>, host: &Arc<str>, deadline: Instant) {
        let limit = deadline.min(Instant::now() + PATIENCE).into();
        let begun = self.begin_handshake(host);
        let ended = async {
            match begun {
                // A handshake that panics has failed.
                Some(task) => drop(task.await),
                None => {
                    while !self.edge.sessions().has(host) {
                        tokio::time::sleep(LOOK).await;
                    }
                }
            }
        };
        let _ = tokio::time::timeout_at(limit, ended).await;
    }

    async fn carry_out(&self, host: &str, hello: Vec<u8>) {
        let subject = self.host_subject(host, "handshake");
        let sessions = self.edge.sessions();
        let mut message = Some(hello);
        while let Some(sent) = message.take() {
            let answer = match self.connection.request(subject.clone(), Bytes::from(sent), PATIENCE).await {
                Ok(answer) => answer,
                Err(error) => {
                    log::debug!("no session with host {host}: {error}");
                    return sessions.give_up(host);
                }
            };
            match sessions.receive(&answer.payload) {
                Ok(reaction) => message = reaction.reply,
                Err(error) => {
                    log::warn!("no session with host {host}: {error}");
                    return sessions.give_up(host);
                }
            }
        }
    }
}

/// Answers the handshakes of other hosts, until this host leaves.
pub(super) async fn serve(rpc: Arc<Inner>) {
    let subject = Subject::new(rpc.host_subject(rpc.edge.host(), "handshake"));
    let answer = |rpc: &Arc<Inner>, message: async_nats::Message| {
        let Some(inbox) = message.reply.filter(|inbox| is_inbox(inbox)) else { return };
        let reaction = rpc.edge.sessions().receive(&message.payload);
        let reply = reaction.inspect_err(|error| log::debug!("a handshake of another host failed: {error}"));
        let Ok(Some(reply)) = reply.map(|reaction| reaction.reply) else { return };
        let connection = rpc.connection.clone();
        tokio::spawn(async move {
            // A host without the answer begins again.
            let _ = connection.publish(inbox.to_string(), reply.into()).await;
        });
    };
    listening::listen(&rpc, subject, Until::Leaving, || {}, answer).await;
}
