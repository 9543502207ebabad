//! How the stream of the registry is created, adopted, completed and recognised.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{self, Republish};
use serde_json::json;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{Answer, Bucket, refusal, unavailable};

impl Bucket {
    /// Creates or adopts the stream. Returns `false` if the server or the account has no JetStream.
    pub(in crate::registry) async fn ensure(&self) -> Result<bool> {
        self.expect_connected()?;
        let existing = match self.request::<stream::Info>(&format!("STREAM.INFO.{}", self.stream), &json!({})).await? {
            Answer::Value(info) => *info,
            Answer::NoJetStream => return Ok(false),
            Answer::Failed(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => self.create().await?,
            Answer::Failed(error) => return Err(refusal("its stream cannot be read", &error)),
        };
        self.adopt(existing).await?;
        Ok(true)
    }

    async fn create(&self) -> Result<stream::Info> {
        let subject = format!("STREAM.CREATE.{}", self.stream);
        let config = serde_json::to_value(self.config()).map_err(internal)?;
        match self.request::<stream::Info>(&subject, &config).await? {
            Answer::Value(info) => Ok(*info),
            Answer::NoJetStream => Err(unavailable("JetStream does not answer")),
            Answer::Failed(error) => {
                // Another host may have created it at the same time.
                match self.request::<stream::Info>(&format!("STREAM.INFO.{}", self.stream), &json!({})).await? {
                    Answer::Value(info) => Ok(*info),
                    _ => Err(refusal("its stream cannot be created", &error)),
                }
            }
        }
    }

    fn config(&self) -> stream::Config {
        stream::Config {
            name: self.stream.clone(),
            description: Some("The registry of a lattice: links, claims, aliases and image references".to_owned()),
            subjects: vec![self.subject(">")],
            max_bytes: -1,
            max_messages: -1,
            max_messages_per_subject: 1,
            max_consumers: -1,
            max_message_size: 1 << 20,
            discard: stream::DiscardPolicy::New,
            storage: stream::StorageType::File,
            num_replicas: self.replicas,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            republish: Some(self.republish()),
            ..stream::Config::default()
        }
    }

    fn republish(&self) -> Republish {
        Republish { source: self.subject(">"), destination: self.republished(">"), headers_only: false }
    }

    /// Checks the stream, adds what it lacks, and notices whether it is the same as before.
    async fn adopt(&self, info: stream::Info) -> Result<()> {
        let mut config = info.config;
        let keeps_everything = config.max_age.is_zero() && config.max_messages <= 0 && config.max_bytes <= 0
            || config.discard == stream::DiscardPolicy::New && config.max_age.is_zero();
        if !config.subjects.contains(&self.subject(">")) || !keeps_everything || config.sealed {
            let message = format!(
                "the stream {} cannot be the registry: it must hold the subject {} and discard nothing old; delete it or \
                 use another namespace",
                self.stream,
                self.subject(">")
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if config.republish.as_ref() != Some(&self.republish()) || !config.allow_direct {
            config.republish = Some(self.republish());
            config.allow_direct = true;
            config = self.update(config).await;
        }
        self.republishes.store(config.republish.as_ref() == Some(&self.republish()), Ordering::Relaxed);
        // Followers of a replicated stream may answer a direct read with an older entry. Servers before 2.10 do not answer at all
        // if the stream is gone.
        let is_exact = config.num_replicas == 1 && self.client.is_server_compatible(2, 10, 0);
        self.direct.store(config.allow_direct && is_exact, Ordering::Relaxed);
        let batches = is_exact && config.allow_direct && config.max_messages_per_subject == 1;
        self.batches.store(batches && self.client.is_server_compatible(2, 11, 0), Ordering::Relaxed);
        self.recognise(info.created.unix_timestamp_nanos(), info.state.last_sequence);
        Ok(())
    }

    /// Updates the stream. Returns its configuration afterwards: a server that cannot do it leaves it as it was.
    async fn update(&self, config: stream::Config) -> stream::Config {
        let subject = format!("STREAM.UPDATE.{}", self.stream);
        let wanted = serde_json::to_value(&config).unwrap_or_default();
        match self.request::<stream::Info>(&subject, &wanted).await {
            Ok(Answer::Value(info)) => info.config,
            _ => {
                log::warn!(
                    "The stream {} does not republish its changes and cannot be changed: changes are found by audits only",
                    self.stream
                );
                stream::Config { republish: None, allow_direct: false, ..config }
            }
        }
    }

    fn recognise(&self, created: i128, last: u64) {
        let mut known = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.replace(created);
        let is_other = before.is_some_and(|before| before != created);
        let went_back = before.is_some() && last < self.highest.load(Ordering::Relaxed);
        if is_other || went_back {
            self.highest.store(last, Ordering::Relaxed);
            self.generation.send_modify(|generation| *generation += 1);
        } else {
            self.note(last);
        }
    }
}

fn internal(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "the configuration of the registry's stream cannot be written").caused_by(error)
}
