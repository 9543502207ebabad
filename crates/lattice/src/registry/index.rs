//! The index by which hosts that run a provider find its links.
//!
//! An index entry only says where to look: the link decides. Each change of an index entry replaces the revision that was read,
//! so that the last writer has seen the link as it is after all changes.

use bytes::Bytes;
use wasmcloud_core::error::Result;

use super::Registry;
use super::bucket::WriteFailure;
use super::entry::{LinkRecord, Removal, Settlement, Value, sign};
use super::key::{Key, LinkKey};
use super::link::linked;
use super::write::{Decision, attempts};

impl Registry {
    /// Announces the change of a link to the hosts of a provider. Returns the revision of the announcement.
    pub(super) async fn announce(&self, provider: &str, link: &LinkKey) -> Result<u64> {
        let key = Key::Index { provider: provider.to_owned(), link: link.clone() };
        for attempt in attempts() {
            let current = self.current(&key).await?;
            if let Some(revision) = self.attempt(&key, &current, &Value::Intent, 0).await? {
                return Ok(revision);
            }
            self.back_off(attempt).await;
        }
        Err(super::write::exhausted(&key))
    }

    /// Settles an announcement: the link leads to the provider with this revision, or does not lead to it. A failure is
    /// harmless: readers of an announcement read the link again for a while, and the entry keeps pointing at the link.
    pub(super) async fn settle(&self, provider: &str, link: &LinkKey, intent: u64, revision: Option<u64>) {
        let key = Key::Index { provider: provider.to_owned(), link: link.clone() };
        let value = settlement(intent, revision, 0);
        let namespace = self.0.bucket.namespace.as_str();
        let Ok(bytes) = sign(&self.0.writer, namespace, &key, intent, &value) else { return };
        match self.0.bucket.write(&key, &Bytes::from(bytes), Some(intent)).await {
            Ok(_) => {}
            // Another host has announced or settled meanwhile. The last one to settle must have seen the link as it is.
            Err(WriteFailure::Conflict) => {
                if let Err(error) = self.settle_again(&key, provider, link, intent).await {
                    log::debug!("The index entry {key} of the registry stays unsettled: {error}");
                }
            }
            Err(failure) => log::debug!("The index entry {key} of the registry stays unsettled: {failure:?}"),
        }
    }

    async fn settle_again(&self, key: &Key, provider: &str, link: &LinkKey, intent: u64) -> Result<()> {
        for attempt in attempts() {
            let index = self.current(key).await?;
            let current = self.current(&Key::Link(link.clone())).await?;
            let is_linked = linked(&current).is_some_and(|link| link.provider == *provider);
            let value = settlement(intent, is_linked.then(|| current.revision()), 0);
            if self.attempt(key, &index, &value, 0).await?.is_some() {
                return Ok(());
            }
            self.back_off(attempt).await;
        }
        Ok(())
    }

    /// Tells the hosts of the providers of links that the claims of the actor have a new revision.
    pub(super) async fn touch_claims(&self, links: &[LinkRecord], claims: u64) -> Result<()> {
        for link in links {
            let key = Key::Index { provider: link.provider.clone(), link: link.key()? };
            self.replace(&key, |current| {
                Ok(match current.value() {
                    Some(Value::Settled(settled)) if settled.claims < claims => {
                        Decision::Write(Value::Settled(Settlement { claims, ..*settled }))
                    }
                    // Its writer settles it, and readers read the claims with the link.
                    Some(Value::Intent) => Decision::Write(Value::Intent),
                    _ => Decision::Keep,
                })
            })
            .await?;
        }
        Ok(())
    }
}

fn settlement(intent: u64, link: Option<u64>, claims: u64) -> Value {
    match link {
        Some(link) => Value::Settled(Settlement { intent, link, claims }),
        None => Value::Removed(Removal { intent, issuer: None }),
    }
}
