//! An actor that uploads and downloads: the guest `blob_client`, which passes on each call to the store, and each chunk that
//! it is sent to the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use wasmcloud_host::{
    ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, Host, NativeCapability, ProviderCallContext,
};

use super::CONTRACT;
use crate::signing::sign;
use crate::support::{host_answer, provider_claims, soon};

const SINK: &str = "test:sink";

/// A chunk on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileChunk {
    pub(super) sequence_no: u64,
    pub(super) container: Container,
    pub(super) id: String,
    pub(super) total_bytes: u64,
    pub(super) chunk_size: u64,
    pub(super) context: Option<String>,
    #[serde(with = "serde_bytes")]
    pub(super) chunk_bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Container {
    pub(super) id: String,
}

#[derive(Serialize, Deserialize)]
struct WithChunk {
    chunk: FileChunk,
}

/// The message of `StartUpload` and `UploadChunk`.
pub(super) fn chunk(container: &str, id: &str, sequence: u64, total: u64, size: u64, bytes: &[u8]) -> Vec<u8> {
    let chunk = FileChunk {
        sequence_no: sequence,
        container: Container { id: container.to_owned() },
        id: id.to_owned(),
        total_bytes: total,
        chunk_size: size,
        context: None,
        chunk_bytes: bytes.to_vec(),
    };
    rmp_serde::to_vec_named(&WithChunk { chunk }).unwrap()
}

/// One field of an answer.
pub(super) fn field(answer: &[u8], name: &str) -> Value {
    rmp_serde::from_slice::<Value>(answer).unwrap()[name].clone()
}

/// What an answer of `{success, error}` says.
pub(super) fn outcome(answer: &[u8]) -> Result<(), String> {
    match (field(answer, "success"), field(answer, "error")) {
        (Value::Bool(true), Value::Null) => Ok(()),
        (Value::Bool(false), Value::String(error)) => Err(error),
        other => panic!("no outcome: {other:?}"),
    }
}

/// Takes the chunks that the guest is sent.
#[derive(Clone, Default)]
struct Sink {
    chunks: Arc<Mutex<Vec<FileChunk>>>,
    arrived: Arc<Notify>,
    /// When there is one, each chunk waits for a permit.
    gate: Arc<Mutex<Option<Arc<Semaphore>>>>,
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Sink {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let WithChunk { chunk } = rmp_serde::from_slice(&call.message)?;
        if chunk.context.as_deref() == Some("refuse") {
            return Err("deliberate refusal".into());
        }
        self.chunks.lock().unwrap().push(chunk);
        self.arrived.notify_one();
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await?.forget();
        }
        Ok(rmp_serde::to_vec(&())?)
    }

    async fn stop(&self) {}
}

/// An actor that is linked to a store.
pub(super) struct Client {
    pub(super) host: Host,
    pub(super) key: String,
    sink: Sink,
}

impl Client {
    /// Starts the actor and links it to the store, and to where its chunks go.
    pub(super) async fn start(host: &Host, provider: &str, values: HashMap<String, String>) -> Client {
        let client = Client::unlinked(host).await;
        client.link(provider, values).await.unwrap();
        client
    }

    pub(super) async fn unlinked(host: &Host) -> Client {
        let sink = Sink::default();
        let capability = NativeCapability::from_async(sink.clone(), None, provider_claims(SINK)).unwrap();
        let sink_id = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let actor = sign("blob_client").capability(CONTRACT).capability(SINK).actor();
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(4)).await.unwrap();
        host.set_link(&key, SINK, None, sink_id, HashMap::new()).await.unwrap();
        Client { host: host.clone(), key, sink }
    }

    pub(super) async fn link(&self, provider: &str, values: HashMap<String, String>) -> wasmcloud_host::Result<()> {
        soon(self.host.set_link(&self.key, CONTRACT, None, provider.to_owned(), values)).await
    }

    /// # Errors
    /// What the guest is told.
    pub(super) async fn call(&self, operation: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        let reply = soon(self.host.call_actor(&self.key, operation, message)).await;
        host_answer(&reply.map_err(|error| error.to_string())?)
    }

    /// Calls an operation with a message in the contract's form.
    pub(super) async fn ask(&self, operation: &str, message: Value) -> Result<Value, String> {
        let answer = self.call(operation, &rmp_serde::to_vec_named(&message).unwrap()).await?;
        Ok(rmp_serde::from_slice(&answer).unwrap())
    }

    /// Calls an operation that is answered with an outcome.
    pub(super) async fn act(&self, operation: &str, message: &[u8]) -> Result<(), String> {
        outcome(&self.call(operation, message).await?)
    }

    pub(super) async fn create(&self, container: &str) {
        assert_eq!(self.ask("CreateContainer", json!({"id": container})).await.unwrap(), json!({"id": container}));
    }

    pub(super) async fn remove_container(&self, container: &str) -> Result<(), String> {
        self.act("RemoveContainer", &rmp_serde::to_vec_named(&json!({"id": container})).unwrap()).await
    }

    pub(super) async fn remove(&self, container: &str, id: &str) -> Result<(), String> {
        let message = json!({"id": id, "container_id": container});
        self.act("RemoveObject", &rmp_serde::to_vec_named(&message).unwrap()).await
    }

    /// Uploads a blob: the start without bytes, then each chunk.
    pub(super) async fn upload(&self, container: &str, id: &str, bytes: &[u8], size: usize) -> Result<(), String> {
        let total = bytes.len() as u64;
        self.act("StartUpload", &chunk(container, id, 0, total, size as u64, b"")).await?;
        for (number, part) in bytes.chunks(size).enumerate() {
            self.act("UploadChunk", &chunk(container, id, number as u64, total, size as u64, part)).await?;
        }
        Ok(())
    }

    pub(super) async fn start_download(
        &self,
        container: &str,
        id: &str,
        size: u64,
        context: Option<&str>,
    ) -> Result<(), String> {
        let message = json!({"blob_id": id, "container_id": container, "chunk_size": size, "context": context});
        self.act("StartDownload", &rmp_serde::to_vec_named(&message).unwrap()).await
    }

    /// Downloads a blob, looks at each chunk, and puts them together.
    pub(super) async fn download(&self, container: &str, id: &str, size: u64) -> Result<Vec<u8>, String> {
        self.sink.chunks.lock().unwrap().clear();
        self.start_download(container, id, size, Some("some context")).await?;
        let mut bytes = Vec::new();
        for number in 0.. {
            let chunk = self.chunk(number).await;
            let expected = FileChunk {
                sequence_no: number as u64,
                container: Container { id: container.to_owned() },
                id: id.to_owned(),
                chunk_size: size,
                context: Some("some context".to_owned()),
                ..chunk.clone()
            };
            assert_eq!(chunk, expected);
            bytes.extend_from_slice(&chunk.chunk_bytes);
            let left = chunk.total_bytes - bytes.len() as u64;
            if left == 0 {
                break;
            }
            assert_eq!(chunk.chunk_bytes.len() as u64, size, "only the last chunk is shorter");
        }
        Ok(bytes)
    }

    /// A chunk that the actor has been sent.
    pub(super) async fn chunk(&self, number: usize) -> FileChunk {
        soon(async {
            loop {
                if let Some(chunk) = self.sink.chunks.lock().unwrap().get(number) {
                    return chunk.clone();
                }
                self.sink.arrived.notified().await;
            }
        })
        .await
    }

    /// The next chunk that the actor is sent, which is not kept.
    pub(super) async fn next_chunk(&self) -> FileChunk {
        let chunk = self.chunk(0).await;
        self.sink.chunks.lock().unwrap().remove(0);
        chunk
    }

    pub(super) fn forget_chunks(&self) {
        self.sink.chunks.lock().unwrap().clear();
    }

    pub(super) fn chunks(&self) -> usize {
        self.sink.chunks.lock().unwrap().len()
    }

    /// Has the actor answer a chunk only when there is a permit for it.
    pub(super) fn hold_chunks(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.sink.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    /// The ids and sizes of a container's blobs.
    pub(super) async fn list(&self, container: &str) -> Result<Vec<(String, u64)>, String> {
        let answer = self.ask("ListObjects", json!({"container_id": container})).await?;
        let blobs = answer["blobs"].as_array().unwrap().iter();
        Ok(blobs
            .map(|blob| {
                assert_eq!(blob["container"], json!({"id": container}));
                (blob["id"].as_str().unwrap().to_owned(), blob["byteSize"].as_u64().unwrap())
            })
            .collect())
    }
}

/// Bytes that differ from place to place.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position ^ position >> 8 ^ position >> 15) as u8).collect()
}
