//! The tokens of actors, asked of the host that runs them. A token is verified by its own signature, so the answer needs none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmcloud_claims::{jwt, read_token};
use wasmcloud_core::entity::{KeyKind, WasmCloudEntity, is_key};
use wasmcloud_core::error::Result;
use wasmcloud_core::identity::ProviderKeyRef;
use wasmcloud_lattice::{Subject, is_inbox};

use super::Node;
use crate::identity::ActorIdentity;
use crate::supervisor::Command;

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The delay before a subscription that failed is requested again.
const RETRY: Duration = Duration::from_secs(1);

/// How often links without known claims are looked at, on a server without JetStream.
const PAUSE: Duration = Duration::from_millis(500);

/// Asks a host for the token of an actor. Returns `None` if it does not know it, or does not answer.
pub(super) async fn ask(node: &Node, host: &str, actor: &str) -> Option<String> {
    if !wasmcloud_lattice::is_host_key(host) || !is_key(actor, KeyKind::Actor) {
        return None;
    }
    let request = Bytes::copy_from_slice(actor.as_bytes());
    let answer = node.connection.request(subject(node, host), request, PATIENCE).await.ok()?;
    let token = String::from_utf8(answer.payload.to_vec()).ok()?;
    (!token.is_empty()).then_some(token)
}

/// Answers other hosts until this one leaves.
pub(super) async fn serve(node: Arc<Node>) {
    let own = subject(&node, &node.host_id);
    while node.connection.joined().await {
        let mut requests = match node.connection.subscribe(Subject::new(own.clone())).await {
            Ok(requests) => requests,
            Err(error) => {
                log::debug!("other hosts cannot ask for tokens yet: {error}");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        while let Some(Ok(request)) = requests.next().await {
            let Some(inbox) = request.reply.filter(|inbox| is_inbox(inbox)) else { continue };
            let token = std::str::from_utf8(&request.payload)
                .ok()
                .and_then(|actor| node.dispatch.snapshot().actors.get(actor).map(|actor| actor.identity.token.clone()));
            let answer = Bytes::copy_from_slice(token.as_deref().unwrap_or_default().as_bytes());
            // A host without an answer refuses the call.
            let _ = node.connection.publish(inbox.to_string(), answer).await;
        }
    }
}

/// Learns the claims of actors on other hosts that are linked to providers here, as long as no registry tells them.
pub(super) async fn follow_without_registry(node: Arc<Node>) {
    while node.connection.joined().await {
        tokio::time::sleep(PAUSE).await;
        if !node.has_no_registry() {
            continue;
        }
        for actor in unknown_actors(&node) {
            let hosts = node.membership.hosts_of(&WasmCloudEntity::Actor(actor.clone())).hosts;
            for host in hosts {
                let Some(token) = ask(&node, &host, &actor).await else { continue };
                let learned = match identity_by(&token) {
                    Ok(identity) if *identity.key == *actor => node.request(Command::SetRemoteActor(identity)).await,
                    Ok(_) => continue,
                    Err(error) => Err(error),
                };
                match learned {
                    Ok(()) => break,
                    Err(error) => {
                        log::warn!(actor = &*actor; "the claims of actor {actor} from host {host} are refused: {error}")
                    }
                }
            }
        }
    }
}

/// Returns the actors that are linked to providers here and neither run here nor are known by their claims.
fn unknown_actors(node: &Node) -> BTreeSet<String> {
    let snapshot = node.dispatch.snapshot();
    let links = snapshot.links.values().map(|link| &link.definition);
    let unknown = links.filter(|link| {
        let provider = ProviderKeyRef { id: &link.provider_id, link_name: &link.link_name };
        let actor = link.actor_id.as_str();
        snapshot.providers.contains_key(&provider)
            && !snapshot.actors.contains_key(actor)
            && !snapshot.remote_actors.contains_key(actor)
    });
    unknown.map(|link| link.actor_id.clone()).collect()
}

fn subject(node: &Node, host: &str) -> String {
    node.namespace.peer(&format!("host.{host}.claims"))
}

/// Returns the identity of an actor by its token.
///
/// # Errors
/// `InvalidToken` if the token does not verify.
pub(super) fn identity_by(token: &str) -> Result<Arc<ActorIdentity>> {
    let claims = read_token::<jwt::Actor>(token)?;
    Ok(Arc::new(ActorIdentity::new(Arc::new(claims), token.into())))
}
