//! Whether the threads of the host answer. One that is held by a guest or provider for good is found here, and the host has to be
//! started anew.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use wasmcloud_telemetry::{Check, Report};

use crate::shard::Shards;

/// How long a thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks all shards.
pub(super) async fn of(shards: &Shards) -> Report {
    let answers = shards.all().iter().map(|shard| timeout(PATIENCE, shard.run(async || Ok(()))));
    let answers = join_all(answers).await;
    let silent: Vec<String> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| !matches!(answer, Ok(Ok(()))))
        .map(|(number, _)| number.to_string())
        .collect();
    Report(vec![if silent.is_empty() {
        Check::ok("shards")
    } else {
        let message = format!(
            "shard {} has not answered within {PATIENCE:?}: a guest or provider holds it. Start the host anew if that lasts",
            silent.join(", ")
        );
        Check::failed("shards", message)
    }])
}
