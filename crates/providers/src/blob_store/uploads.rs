//! The uploads of a link that are not whole yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

use super::backend::{Store, Target};
use super::blocking::blocking;
use super::error::Refusal;
use super::payloads::{Chunk, Name};
use super::spool::Spool;

/// How much of a blob is compared at once with a chunk that came again.
const LARGEST_COMPARED: usize = 64 * 1024 * 1024;

/// Uploads, by the blob that they are to become.
pub(super) struct Uploads {
    most: usize,
    /// How long an upload may go without a chunk.
    patience: Duration,
    under_way: Mutex<HashMap<Name, UnderWay>>,
}

struct UnderWay {
    upload: Arc<AsyncMutex<Upload>>,
    touched: Instant,
}

struct Upload {
    /// Nothing once the upload is over.
    spool: Option<Spool>,
    target: Box<dyn Target>,
    chunk_size: u64,
}

impl Uploads {
    pub(super) fn new(most: usize, patience: Duration) -> Uploads {
        Uploads { most, patience, under_way: Mutex::default() }
    }

    /// Begins an upload, in place of one of the same blob. Bytes that the chunk has are the first of it.
    pub(super) async fn start(&self, store: &dyn Store, chunk: Chunk) -> Result<(), Refusal> {
        if chunk.total > 0 && chunk.chunk_size == 0 {
            return Err(Refusal::WrongChunk("its chunkSize is 0".to_owned()));
        }
        self.give_up(self.take(&chunk.name)).await;
        self.sweep().await;
        self.check_room()?;
        let (spool, target) = store.begin(&chunk.name, chunk.total, chunk.chunk_size).await?;
        let upload = Upload { spool: Some(spool), target, chunk_size: chunk.chunk_size };
        let upload = Arc::new(AsyncMutex::new(upload));
        let before = {
            let mut under_way = self.lock();
            // Others may have been begun in the meantime: what is over the limit is given up again.
            let is_full = under_way.len() >= self.most && !under_way.contains_key(&chunk.name);
            let entry = UnderWay { upload: upload.clone(), touched: Instant::now() };
            if is_full { Some(entry) } else { under_way.insert(chunk.name.clone(), entry) }
        };
        let is_refused = before.as_ref().is_some_and(|before| Arc::ptr_eq(&before.upload, &upload));
        self.give_up(before.map(|before| before.upload)).await;
        if is_refused {
            return self.check_room().and(Err(Refusal::NoUpload(chunk.name.id)));
        }
        if chunk.total == 0 || !chunk.bytes.is_empty() { self.go_on(upload, chunk).await } else { Ok(()) }
    }

    fn check_room(&self) -> Result<(), Refusal> {
        let count = self.lock().len();
        if count < self.most {
            return Ok(());
        }
        let (count, limit) = (count as u64 + 1, self.most as u64);
        Err(Refusal::TooMuch { what: "unfinished uploads", count, limit, link_value: "UPLOADS" })
    }

    /// Takes a chunk. When it was the last one that was missing, the blob is there.
    pub(super) async fn add(&self, store: &dyn Store, chunk: Chunk) -> Result<(), Refusal> {
        let upload = {
            let mut under_way = self.lock();
            under_way.get_mut(&chunk.name).map(|entry| {
                entry.touched = Instant::now();
                entry.upload.clone()
            })
        };
        match upload {
            Some(upload) => self.go_on(upload, chunk).await,
            None => is_there_already(store, &chunk).await,
        }
    }

    async fn go_on(&self, upload: Arc<AsyncMutex<Upload>>, chunk: Chunk) -> Result<(), Refusal> {
        let name = chunk.name.clone();
        let done = upload.lock().await.add(chunk).await;
        let is_over = match &done {
            Ok(is_over) => *is_over,
            // It could not be written: what is there of it makes no blob, and holds room.
            Err(refusal) => !matches!(refusal, Refusal::WrongChunk(_)),
        };
        if is_over {
            self.forget(&name, &upload);
            self.give_up(Some(upload)).await;
        }
        done.map(drop)
    }

    /// Gives up what has been waiting too long.
    pub(super) async fn sweep(&self) {
        let abandoned: Vec<_> = {
            let mut under_way = self.lock();
            under_way.extract_if(|_, entry| entry.touched.elapsed() >= self.patience).collect()
        };
        for (name, entry) in abandoned {
            log::debug!("an upload of {:?} went {:?} without a chunk and was given up", name.id, self.patience);
            self.give_up(Some(entry.upload)).await;
        }
    }

    /// Gives up everything, once what is being done has ended.
    pub(super) async fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        for entry in all.into_values() {
            self.give_up(Some(entry.upload)).await;
        }
    }

    async fn give_up(&self, upload: Option<Arc<AsyncMutex<Upload>>>) {
        if let Some(upload) = upload {
            upload.lock().await.give_up().await;
        }
    }

    fn take(&self, name: &Name) -> Option<Arc<AsyncMutex<Upload>>> {
        self.lock().remove(name).map(|entry| entry.upload)
    }

    /// Removes an upload, unless another one has its place already.
    fn forget(&self, name: &Name, upload: &Arc<AsyncMutex<Upload>>) {
        let mut under_way = self.lock();
        if under_way.get(name).is_some_and(|entry| Arc::ptr_eq(&entry.upload, upload)) {
            under_way.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, UnderWay>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Takes a chunk; tells whether the blob is there now.
    async fn add(&mut self, chunk: Chunk) -> Result<bool, Refusal> {
        let spool = self.spool.as_mut().ok_or_else(|| Refusal::NoUpload(chunk.name.id.clone()))?;
        if chunk.chunk_size != self.chunk_size {
            let reason = format!("its chunkSize is {}, and the upload's is {}", chunk.chunk_size, self.chunk_size);
            return Err(Refusal::WrongChunk(reason));
        }
        if chunk.total > 0 || !chunk.bytes.is_empty() {
            spool.put(chunk.sequence, chunk.total, chunk.bytes).await?;
        }
        if spool.is_complete() {
            self.target.finish(spool).await?;
            return Ok(true);
        }
        self.target.advance(spool).await?;
        Ok(false)
    }

    /// Lets go of everything. A target that is finished has nothing left to abandon.
    async fn give_up(&mut self) {
        let Some(mut spool) = self.spool.take() else { return };
        // What could not be written is given up like the rest.
        while spool.settle().await.is_err() {}
        self.target.abandon().await;
        // Closing a large file takes its time.
        let _ = blocking(move || {
            drop(spool);
            Ok(())
        })
        .await;
    }
}

/// A chunk of an upload that is over is taken again if the blob has it: the answer to the last chunk may have been lost.
async fn is_there_already(store: &dyn Store, chunk: &Chunk) -> Result<(), Refusal> {
    let no_upload = || Refusal::NoUpload(chunk.name.id.clone());
    let blob = store.open(&chunk.name).await.map_err(|refusal| match refusal {
        Refusal::NoBlob(_) | Refusal::NoContainer(_) => no_upload(),
        other => other,
    })?;
    let offset = chunk.sequence.checked_mul(chunk.chunk_size).ok_or_else(no_upload)?;
    let end = offset.checked_add(chunk.bytes.len() as u64).ok_or_else(no_upload)?;
    if blob.size() != chunk.total || end > blob.size() || chunk.bytes.len() > LARGEST_COMPARED {
        return Err(no_upload());
    }
    if blob.read(offset..end).await? == chunk.bytes { Ok(()) } else { Err(no_upload()) }
}
