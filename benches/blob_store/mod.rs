//! Measures blobs: 100 MiB uploaded and downloaded in chunks, against copies of a file with the same chunk size.
//!
//! The actor is the guest `blob_client`. It forwards its requests to the store, and the chunks that it receives to a
//! provider that counts them. Uploads are compared with a durable copy, and downloads, which store nothing durably,
//! with a plain copy.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::Notify;
use wasmcloud_host::builtin::BlobStore;
use wasmcloud_host::jwt;
use wasmcloud_host::signing::KeyPair;
use wasmcloud_host::{AsyncCapabilityProvider, Binding, BoxedError, Host, HostBuilder};
use wasmcloud_host::{NativeCapability, ProviderCallContext};

use crate::signing;
use crate::support::{Row, Target, is_real_run, median};

const CONTRACT: &str = "wasmcloud:blobstore";
const SINK: &str = "test:sink";
const CHUNK: usize = 256 * 1024;

/// Returns the rows of this part.
pub(crate) async fn rows() -> Vec<Row> {
    let (rounds, chunks) = if is_real_run() { (7, 400) } else { (1, 4) };
    let folder = tempfile::tempdir().expect("there is room for files");
    let linked = LinkedActor::start(&folder.path().join("blobs")).await;
    let original = folder.path().join("original");
    std::fs::write(&original, vec![7; chunks * CHUNK]).expect("it can be written");
    // One-time allocations are made before the memory is measured.
    linked.upload(4).await;
    linked.download(4).await;
    let idle = resident();
    let mut above = 0.0_f64;
    let mut up = Vec::new();
    let mut down = Vec::new();
    for round in 0..rounds {
        let copy = folder.path().join(format!("copy {round}"));
        let durable = time_copy(&original, &copy, true).as_secs_f64();
        let (time, most) = linked.upload(chunks).await;
        up.push(durable / time.as_secs_f64());
        above = above.max(most - idle);
        let plain = time_copy(&original, &copy, false).as_secs_f64();
        let (time, most) = linked.download(chunks).await;
        down.push(plain / time.as_secs_f64());
        above = above.max(most - idle);
        std::fs::remove_file(copy).expect("it is there");
    }
    linked.host.stop().await;
    let size = (chunks * CHUNK) >> 20;
    let row = |what: &str, figure, unit, target| Row {
        what: format!("{size} MiB in chunks of {} KiB: {what}", CHUNK >> 10),
        per_call: None,
        figure,
        unit,
        target: Some(target),
    };
    vec![
        row("up, of a durable copy's throughput", median(up), "x", Target::AtLeast(0.7)),
        row("down, of a copy's throughput", median(down), "x", Target::AtLeast(0.7)),
        row("memory above idle", above / f64::from(1 << 20), "MiB", Target::AtMost(16.0)),
    ]
}

/// An actor that is linked to a directory.
struct LinkedActor {
    host: Host,
    actor: String,
    sink: Sink,
}

impl LinkedActor {
    async fn start(root: &Path) -> LinkedActor {
        let host = HostBuilder::new().with_shards(1).with_health_interval(None).build();
        host.start().await.expect("the host starts");
        let actor = signing::sign("blob_client").capability(CONTRACT).capability(SINK).actor();
        let key = actor.public_key();
        host.start_actor(actor).await.expect("the actor starts");
        let sink = Sink::default();
        let sinks = NativeCapability::from_async(sink.clone(), None, sink_claims()).expect("it is one");
        let store = BlobStore::new(None).capability().expect("it is one");
        let root = root.to_str().expect("it is a text").to_owned();
        let values = HashMap::from([("ROOT".to_owned(), root)]);
        for (capability, contract, values) in [(sinks, SINK, HashMap::new()), (store, CONTRACT, values)] {
            let id = capability.id();
            host.start_native_capability(capability).await.expect("the provider starts");
            host.set_link(&key, contract, None, id, values).await.expect("it can be used");
        }
        let linked = LinkedActor { host, actor: key, sink };
        linked.call("CreateContainer", &Id { id: "c" }).await;
        linked
    }

    async fn call(&self, operation: &str, payload: &impl Serialize) {
        let payload = rmp_serde::to_vec_named(payload).expect("it can be written");
        let answer = self.host.call_actor(&self.actor, operation, &payload).await.expect("the actor answers");
        // The store's answer is {id} or begins with {success: true}.
        assert!(answer[0] == 1 && !answer.starts_with(b"\x01\x82\xa7success\xc2"), "{operation} fails");
    }

    /// Uploads chunks. Returns the time, and the largest resident memory.
    async fn upload(&self, chunks: usize) -> (Duration, f64) {
        let (bytes, mut most) = (vec![7; CHUNK], 0.0_f64);
        let chunk = |number, bytes| WithChunk {
            chunk: FileChunk {
                sequence_no: number,
                container: Id { id: "c" },
                id: "b",
                total_bytes: (chunks * CHUNK) as u64,
                chunk_size: CHUNK as u64,
                chunk_bytes: bytes,
            },
        };
        let begin = Instant::now();
        self.call("StartUpload", &chunk(0, &[])).await;
        for number in 0..chunks {
            self.call("UploadChunk", &chunk(number as u64, &bytes)).await;
            most = most.max(resident());
        }
        (begin.elapsed(), most)
    }

    /// Downloads chunks. Returns the time, and the largest resident memory.
    async fn download(&self, chunks: usize) -> (Duration, f64) {
        self.sink.chunks.store(0, Ordering::Relaxed);
        let begin = Instant::now();
        let download = StartDownload { blob_id: "b", container_id: "c", chunk_size: CHUNK as u64 };
        self.call("StartDownload", &download).await;
        let mut most = 0.0_f64;
        while self.sink.chunks.load(Ordering::Relaxed) < chunks as u64 {
            self.sink.arrived.notified().await;
            most = most.max(resident());
        }
        (begin.elapsed(), most)
    }
}

/// A provider that counts the chunks that it receives.
#[derive(Clone, Default)]
struct Sink {
    chunks: Arc<AtomicU64>,
    arrived: Arc<Notify>,
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
        assert!(call.message.len() >= CHUNK);
        self.chunks.fetch_add(1, Ordering::Relaxed);
        self.arrived.notify_one();
        Ok(Vec::new())
    }

    async fn stop(&self) {}
}

fn sink_claims() -> jwt::Claims<jwt::CapabilityProvider> {
    let metadata = jwt::CapabilityProvider { capid: SINK.to_owned(), ..jwt::CapabilityProvider::default() };
    metadata.claims(KeyPair::new_account().public_key(), KeyPair::new_service().public_key())
}

#[derive(Serialize)]
struct Id {
    id: &'static str,
}

#[derive(Serialize)]
struct WithChunk<'a> {
    chunk: FileChunk<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileChunk<'a> {
    sequence_no: u64,
    container: Id,
    id: &'static str,
    total_bytes: u64,
    chunk_size: u64,
    #[serde(with = "serde_bytes")]
    chunk_bytes: &'a [u8],
}

#[derive(Serialize)]
struct StartDownload {
    blob_id: &'static str,
    container_id: &'static str,
    chunk_size: u64,
}

/// Copies a file chunk by chunk.
fn time_copy(from: &Path, to: &Path, is_durable: bool) -> Duration {
    let begin = Instant::now();
    let mut from = File::open(from).expect("it is there");
    let mut copy = File::create(to).expect("it can be made");
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).expect("it can be read");
        if length == 0 {
            break;
        }
        copy.write_all(&chunk[..length]).expect("it can be written");
    }
    if is_durable {
        copy.sync_all().expect("it becomes durable");
    }
    begin.elapsed()
}

/// Returns the resident memory of the process, or 0 if the system does not report it. Unit: bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or(0.0, |line| line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0)
}
