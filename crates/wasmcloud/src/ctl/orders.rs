//! Orders: changes that hosts carry out. Each outcome is the real one, which is waited for.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use wasmcloud_control::Settled;
use wasmcloud_core::error::{Error, Result};
use wasmcloud_core::text::escaped;

use super::progress::Progress;
use super::{Session, values};
use crate::description;
use crate::outcome::{self, CommandResult};

/// How long the outcome is waited for.
#[derive(Debug, clap::Args)]
pub(super) struct Waiting {
    /// How long to wait for the outcome. The host carries the order out even if that takes longer.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = values::duration)]
    wait: Duration,
}

/// An order to a host.
pub(super) struct Order<'a> {
    /// The host, or `None` for an order that any host carries out.
    pub(super) host: Option<String>,
    /// What the order concerns: the public key or the reference of an actor or a provider.
    pub(super) target: String,
    /// What is being done: `stopping actor M...`.
    pub(super) doing: String,
    /// What was done: `stopped actor M... on host N...`.
    pub(super) done: String,
    /// Gives the order.
    pub(super) give: LocalBoxFuture<'a, Result<Settled>>,
}

/// How an order ended. This is the JSON of all commands that change something.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    host_id: Option<String>,
    target: String,
    /// `done` or `failed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

impl Session {
    /// Gives orders, one after the other, and returns what came of them. An order that fails does not keep others from being
    /// given.
    ///
    /// # Errors
    /// The first failure. What was done is printed before.
    pub(super) async fn carry_out(&self, orders: Vec<Order<'_>>, waiting: &Waiting) -> CommandResult {
        let mut reports = Vec::new();
        let mut lines = String::new();
        let mut failure = None;
        for Order { host, target, doing, done, give } in orders {
            let outcome = self.follow(host.as_deref(), doing, give, waiting.wait).await;
            if outcome.is_ok() {
                lines.push_str(&format!("{}\n", escaped(&done)));
            }
            reports.push(Report {
                host_id: host,
                target,
                outcome: if outcome.is_ok() { "done" } else { "failed" },
                failure: outcome.as_ref().err().map(Error::to_string),
                kind: outcome.as_ref().err().map(|error| error.kind().name()),
            });
            failure = failure.or(outcome.err());
        }
        let text = if self.is_json() { description::json(&reports)? } else { lines.into() };
        match failure {
            None => Ok(text),
            Some(failure) => {
                outcome::print(&text);
                Err(failure.into())
            }
        }
    }

    /// Gives an order, and waits for its end.
    async fn follow(
        &self,
        host: Option<&str>,
        doing: String,
        give: LocalBoxFuture<'_, Result<Settled>>,
        limit: Duration,
    ) -> Result<()> {
        let progress = Progress::begin(doing);
        // An order that ends at once is not missed: the events are listened to before it is given.
        let mut watch = self.client().watch(host).await?;
        let settled = give.await?;
        watch.settle(settled, limit, |event| progress.tell(event)).await
    }
}
