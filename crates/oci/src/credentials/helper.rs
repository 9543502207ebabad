//! Credential helpers: programs that keep credentials for Docker.

use std::io;
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::{Credentials, Helpers};

/// The largest answer of a helper that is read.
const MAX_ANSWER: u64 = 64 << 10;

/// The name of the user by which helpers say that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The answer of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Zeroizing<String>,
}

/// Asks `docker-credential-<name>` for a registry. `None`: it has no credentials for it.
///
/// A helper that runs longer than the limit is killed.
pub(super) async fn ask(helpers: &Helpers, name: &str, registry: &str) -> Result<Option<Credentials>> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !is_plain {
        return Err(failed(ErrorKind::InvalidArgument, name, "its name is not that of a program: mend config.json"));
    }
    match tokio::time::timeout(helpers.limit, run(helpers, name, registry)).await {
        Ok(Ok(output)) => read(name, &output),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(failed(ErrorKind::Io, name, "it is not installed: install it, or take it out of config.json"))
        }
        Ok(Err(error)) => Err(failed(ErrorKind::Io, name, "it could not be run").caused_by(error)),
        Err(_) => {
            let text = format!("it did not answer within {} s: run it by hand to see why", helpers.limit.as_secs_f32());
            Err(failed(ErrorKind::DeadlineExceeded, name, &text))
        }
    }
}

/// What a helper wrote, and whether it succeeded.
struct Output {
    is_success: bool,
    text: Zeroizing<Vec<u8>>,
}

/// Runs a helper. It is killed when the future is dropped.
async fn run(helpers: &Helpers, name: &str, registry: &str) -> io::Result<Output> {
    let program = format!("docker-credential-{name}");
    let program = helpers.folder.as_ref().map_or_else(|| program.clone().into(), |folder| folder.join(&program));
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut text = Zeroizing::new(Vec::new());
    exchange(&mut child, registry, &mut text).await?;
    let status = child.wait().await?;
    Ok(Output { is_success: status.success(), text })
}

/// Writes the request and reads the answer.
async fn exchange(child: &mut Child, registry: &str, text: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut input) = child.stdin.take() {
        match input.write_all(registry.as_bytes()).await {
            // A helper need not read its input.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    if let Some(output) = child.stdout.take() {
        output.take(MAX_ANSWER).read_to_end(text).await?;
    }
    Ok(())
}

/// Reads what a helper wrote. Helpers say that they know nothing by a failure with this text.
fn read(name: &str, output: &Output) -> Result<Option<Credentials>> {
    if !output.is_success {
        // The rest of what it wrote could hold a secret, so no error quotes it.
        return match String::from_utf8_lossy(&output.text).contains("credentials not found") {
            true => Ok(None),
            false => Err(failed(ErrorKind::Io, name, "it failed: run it by hand to see why")),
        };
    }
    let answer: Answer = serde_json::from_slice(&output.text)
        .map_err(|_| failed(ErrorKind::Io, name, "its answer is not what helpers answer: update it"))?;
    Ok(match answer.username.as_str() {
        _ if answer.secret.is_empty() => None,
        TOKEN_USER => Some(Credentials::IdentityToken(answer.secret)),
        _ => Some(Credentials::Basic { user: answer.username, password: answer.secret }),
    })
}

fn failed(kind: ErrorKind, name: &str, why: &str) -> Error {
    Error::new(kind, format!("cannot get credentials from docker-credential-{name}: {why}"))
}
