//! `wasmcloud ctl call`: calls an actor.

use std::path::PathBuf;
use std::time::Instant;

use nkeys::{KeyPair, KeyPairType};
use serde_json::Value;
use wasmcloud_core::error::{Error, ErrorKind};
use zeroize::Zeroizing;

use super::caller::{ActorCall, Caller};
use super::lookup::{Kind, Running};
use super::{Session, msgpack};
use crate::outcome::{CommandError, CommandResult};
use crate::secret::Secret;
use crate::{description, input, output};

/// Calls an actor, and prints its answer as JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Actors read and write msgpack, which is converted from JSON and to it. Binary is written {\"$text\": \"...\"} if it is a text,
and {\"$base64\": \"...\"} if not. An answer that is no msgpack is printed in this way too. docs/ctl.md has the other forms.

Examples:
  wasmcloud ctl call counter HandleRequest \\
      --data '{\"method\":\"GET\",\"path\":\"/a\",\"queryString\":\"\",\"header\":{},\"body\":{\"$text\":\"\"}}'
  wasmcloud ctl call MBCFOPM6 Resize --raw picture.png --answer small.png --timeout 30s")]
pub(super) struct Call {
    /// The actor, by its public key, the beginning of it, or its call alias.
    #[arg(value_name = "ACTOR")]
    actor: String,

    /// The operation.
    #[arg(value_name = "OPERATION")]
    operation: String,

    /// The payload in JSON, which is sent as msgpack. Default: an empty payload.
    #[arg(long, value_name = "JSON", group = "payload")]
    data: Option<String>,

    /// A file with the payload in JSON, which is sent as msgpack.
    #[arg(long, value_name = "FILE", group = "payload")]
    data_file: Option<PathBuf>,

    /// A file that is the payload, and is sent as it is.
    #[arg(long, value_name = "FILE", group = "payload")]
    raw: Option<PathBuf>,

    /// The file that the answer is written to as it is, or `-` for standard output. Default: it is printed as JSON.
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,

    /// The host that is to execute the call, by its public key or the beginning of it. Default: any that runs the actor.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// The file that contains the seed of the cluster (SC...), for hosts that accept calls from trusted hosts only. Default:
    /// the seed in the environment variable WASMCLOUD_CLUSTER_SEED, or else no cluster vouches for the call.
    #[arg(long, value_name = "FILE")]
    cluster_seed_file: Option<PathBuf>,
}

pub(super) async fn run(command: Call, session: &Session) -> CommandResult {
    let payload = payload(&command)?;
    let cluster = cluster(&command)?;
    let actor = session.key_of(Kind::Actor, &command.actor).await?;
    let caller = Caller::connect(&session.calls()?, session.namespace()?, cluster, session.timeout()).await?;
    let host = match &command.host {
        Some(host) => Some(session.host(host).await?),
        None if caller.fits(&payload) => None,
        // A payload that exceeds a message is fetched by a host, which has to be known.
        None => {
            session.running(Kind::Actor, &actor, &session.all_hosts().await?).await?.pop().map(|running| running.host)
        }
    };
    let deadline = Instant::now() + session.timeout();
    let call = ActorCall { actor: &actor, operation: &command.operation, payload, host: host.as_deref(), deadline };
    let answer = match caller.call(call).await {
        Err(error) if error.kind() == ErrorKind::ActorNotFound => return Err(explained(error, &actor, session).await),
        answer => answer?,
    };
    match &command.answer {
        Some(file) => {
            let written = output::write(file, &answer)?;
            Ok(written.report(format!("wrote {} bytes to {}\n", answer.len(), output::shown(file))).into())
        }
        None => description::json(&msgpack::to_json(&answer).unwrap_or_else(|| msgpack::binary(&answer))),
    }
}

/// Returns the error of a call that found no actor. An actor that has failed or is being restarted is named with its hosts and
/// the reason.
async fn explained(error: Error, actor: &str, session: &Session) -> CommandError {
    let found = match session.all_hosts().await {
        Ok(hosts) => session.running(Kind::Actor, actor, &hosts).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let down = found.iter().filter(|found| matches!(found.entry.state.as_str(), "failed" | "restarting"));
    let states: Vec<String> = down
        .map(|Running { host, entry }| {
            let reason = entry.reason.as_deref().unwrap_or("no reason is known");
            format!("it is {} on host {host} ({reason})", entry.state)
        })
        .collect();
    match states.as_slice() {
        [] => error.into(),
        states => {
            let message = format!("{error}: {}; start it again, or update it", states.join(", "));
            CommandError::of_kind(error.kind(), message)
        }
    }
}

/// Returns the payload as it is sent.
fn payload(command: &Call) -> CommandResult<Vec<u8>> {
    if let Some(file) = &command.raw {
        return input::read(file, "the payload");
    }
    let text = match (&command.data, &command.data_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => input::read(file, "the payload")?,
        (None, None) => return Ok(Vec::new()),
    };
    let value: Value = serde_json::from_slice(&text).map_err(|error| {
        CommandError::Usage(format!("the payload is not JSON ({error}); to send a file as it is, use --raw"))
    })?;
    msgpack::of_json(&value).map_err(|reason| CommandError::Usage(format!("the payload cannot be sent: {reason}")))
}

/// Returns the key of the cluster that vouches for the call.
fn cluster(command: &Call) -> CommandResult<Option<KeyPair>> {
    let Some(secret) = Secret::optional(command.cluster_seed_file.as_deref(), "WASMCLOUD_CLUSTER_SEED")? else {
        return Ok(None);
    };
    let seed: Zeroizing<String> = secret.seed();
    match KeyPair::from_seed(&seed) {
        Ok(key) if key.key_pair_type() == KeyPairType::Cluster => Ok(Some(key)),
        _ => Err(CommandError::Usage(
            "the seed of the cluster is that of another kind of key: it begins with SC".to_owned(),
        )),
    }
}
