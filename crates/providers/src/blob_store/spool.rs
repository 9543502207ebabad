//! The file that holds the bytes of an unfinished upload, so that its size does not matter for memory.
//!
//! A chunk is acknowledged before it is written, so that the next one can arrive meanwhile. Reading waits for pending writes.
//! A failed write is reported with the next chunk, or when the upload finishes.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use super::blocking::{BlockingTask, run_blocking, start_blocking};
use super::error::BlobStoreError;

/// Maximum number of chunks that arrive before an earlier one.
const MAX_OUT_OF_ORDER: usize = 1024;

/// Maximum number of bytes with pending writes when a chunk is acknowledged.
const MAX_PENDING_BYTES: usize = 512 * 1024;

/// A file that is filled with chunks in any order.
#[derive(Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    total: u64,
    chunk_size: u64,
    /// Number of chunks from the first on that have arrived without a gap.
    contiguous_chunks: u64,
    /// The numbers of chunks that have arrived behind a gap.
    out_of_order: BTreeSet<u64>,
    pending_writes: VecDeque<PendingWrite>,
}

/// A chunk that is being written.
#[derive(Debug)]
struct PendingWrite {
    /// Unit: bytes.
    length: usize,
    task: BlockingTask<()>,
}

impl Spool {
    /// Creates an empty spool for `total` bytes. `chunk_size` must be positive unless `total` is 0.
    pub(super) fn new(file: Arc<File>, total: u64, chunk_size: u64) -> Spool {
        Spool {
            file,
            total,
            chunk_size,
            contiguous_chunks: 0,
            out_of_order: BTreeSet::new(),
            pending_writes: VecDeque::new(),
        }
    }

    /// Returns the size of the upload. Unit: bytes.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns the number of bytes from the first on that have arrived without a gap.
    pub(super) fn contiguous(&self) -> u64 {
        self.contiguous_chunks.saturating_mul(self.chunk_size).min(self.total)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.contiguous() == self.total
    }

    /// Adds a chunk. Accepts a repeated chunk if its bytes are the same.
    ///
    /// # Errors
    /// `InvalidChunk` if the chunk does not belong to the upload, `Unavailable` if a chunk could not be written.
    pub(super) async fn write_chunk(&mut self, sequence: u64, total: u64, bytes: Bytes) -> Result<(), BlobStoreError> {
        let offset = self.offset_of(sequence, total, bytes.len() as u64)?;
        if sequence < self.contiguous_chunks || self.out_of_order.contains(&sequence) {
            return self.compare_repeated(sequence, offset, bytes).await;
        }
        if sequence != self.contiguous_chunks && self.out_of_order.len() >= MAX_OUT_OF_ORDER {
            let reason = format!(
                "{MAX_OUT_OF_ORDER} later chunks have arrived already: send chunk {} first",
                self.contiguous_chunks
            );
            return Err(BlobStoreError::InvalidChunk(reason));
        }
        let (file, length) = (self.file.clone(), bytes.len());
        let write = move || {
            let written = file.write_all_at(&bytes, offset);
            written.map_err(|error| BlobStoreError::unavailable("the chunk could not be written", error))
        };
        self.pending_writes.push_back(PendingWrite { length, task: start_blocking(write) });
        self.wait_for_pending(MAX_PENDING_BYTES).await?;
        self.out_of_order.insert(sequence);
        while self.out_of_order.remove(&self.contiguous_chunks) {
            self.contiguous_chunks += 1;
        }
        Ok(())
    }

    /// Waits until all chunks are written to the file.
    ///
    /// # Errors
    /// `Unavailable` if a chunk could not be written.
    pub(super) async fn finish_writes(&mut self) -> Result<(), BlobStoreError> {
        self.wait_for_pending(0).await
    }

    async fn wait_for_pending(&mut self, max_bytes: usize) -> Result<(), BlobStoreError> {
        while self.pending_writes.iter().map(|pending| pending.length).sum::<usize>() > max_bytes {
            let Some(pending) = self.pending_writes.front_mut() else { break };
            let written = (&mut pending.task).await;
            self.pending_writes.pop_front();
            written?;
        }
        Ok(())
    }

    /// Checks that a chunk belongs to the upload, and returns its offset.
    fn offset_of(&self, sequence: u64, total: u64, length: u64) -> Result<u64, BlobStoreError> {
        if total != self.total {
            let reason = format!("its totalBytes is {total}, but the upload has {} bytes", self.total);
            return Err(BlobStoreError::InvalidChunk(reason));
        }
        let offset = sequence.checked_mul(self.chunk_size).filter(|&offset| offset < self.total);
        let Some(offset) = offset else {
            let chunks = if self.total == 0 { 0 } else { self.total.div_ceil(self.chunk_size) };
            return Err(BlobStoreError::InvalidChunk(format!(
                "its number is {sequence}, but there are {chunks} chunks, numbered from 0"
            )));
        };
        let expected = self.chunk_size.min(self.total - offset);
        if length != expected {
            return Err(BlobStoreError::InvalidChunk(format!(
                "it has {length} bytes, but chunk {sequence} has {expected}"
            )));
        }
        Ok(offset)
    }

    async fn compare_repeated(&mut self, sequence: u64, offset: u64, bytes: Bytes) -> Result<(), BlobStoreError> {
        let before = self.read(offset, bytes.len()).await?;
        if before == bytes {
            return Ok(());
        }
        Err(BlobStoreError::InvalidChunk(format!("chunk {sequence} has arrived already, with other bytes")))
    }

    /// Reads bytes that have arrived.
    pub(super) async fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, BlobStoreError> {
        self.finish_writes().await?;
        read(self.file.clone(), offset, length).await
    }
}

/// Reads bytes of a file.
pub(super) async fn read(file: Arc<File>, offset: u64, length: usize) -> Result<Bytes, BlobStoreError> {
    run_blocking(move || {
        let mut bytes = vec![0; length];
        let read = file.read_exact_at(&mut bytes, offset);
        read.map_err(|error| BlobStoreError::unavailable("the file could not be read", error))?;
        Ok(Bytes::from(bytes))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    fn spool(total: u64, chunk_size: u64) -> Spool {
        Spool::new(Arc::new(tempfile::tempfile().unwrap()), total, chunk_size)
    }

    async fn write_chunk(spool: &mut Spool, sequence: u64, bytes: &[u8]) -> Result<(), BlobStoreError> {
        spool.write_chunk(sequence, spool.total(), Bytes::copy_from_slice(bytes)).await
    }

    #[actix_rt::test]
    async fn chunks_arrive_in_any_order() {
        let mut runner = TestRunner::deterministic();
        for _ in 0..50 {
            let strategy = (prop::collection::vec(any::<u8>(), 1..200), 1..40_usize);
            let (bytes, size) = strategy.new_tree(&mut runner).unwrap().current();
            let mut order: Vec<usize> = (0..bytes.len().div_ceil(size)).collect();
            order.sort_by_key(|number| (number * 7919) % 13);
            let mut spool = spool(bytes.len() as u64, size as u64);
            for number in order {
                assert!(!spool.is_complete());
                let chunk = &bytes[number * size..bytes.len().min((number + 1) * size)];
                write_chunk(&mut spool, number as u64, chunk).await.unwrap();
                write_chunk(&mut spool, number as u64, chunk).await.unwrap();
            }
            assert!(spool.is_complete());
            assert_eq!(spool.read(0, bytes.len()).await.unwrap(), bytes);
        }
    }

    #[actix_rt::test]
    async fn chunks_of_another_upload_are_refused() {
        let mut spool = spool(10, 4);
        write_chunk(&mut spool, 1, b"4567").await.unwrap();
        for (sequence, bytes, reason) in [
            (0, &b"012"[..], "3 bytes"),
            (0, b"01234", "5 bytes"),
            (0, b"", "0 bytes"),
            (1, b"xxxx", "other bytes"),
            (2, b"8901", "chunk 2 has 2"),
            (3, b"", "there are 3 chunks"),
            (u64::MAX, b"0123", "there are 3 chunks"),
        ] {
            let refusal = write_chunk(&mut spool, sequence, bytes).await.unwrap_err().to_string();
            assert!(refusal.contains(reason), "{refusal}");
        }
        assert!(matches!(
            spool.write_chunk(0, 11, Bytes::from_static(b"0123")).await,
            Err(BlobStoreError::InvalidChunk(_))
        ));
        assert_eq!(spool.contiguous(), 0);
        write_chunk(&mut spool, 0, b"0123").await.unwrap();
        assert_eq!(spool.contiguous(), 8);
        write_chunk(&mut spool, 2, b"89").await.unwrap();
        assert!(spool.is_complete());
    }

    #[actix_rt::test]
    async fn the_number_of_chunks_behind_a_gap_is_limited() {
        let mut spool = spool(u64::MAX, 1);
        for number in 0..MAX_OUT_OF_ORDER as u64 {
            write_chunk(&mut spool, 2 * number + 1, b"x").await.unwrap();
        }
        assert!(write_chunk(&mut spool, 5000, b"x").await.unwrap_err().to_string().contains("chunk 0"));
        write_chunk(&mut spool, 0, b"x").await.unwrap();
        write_chunk(&mut spool, 5000, b"x").await.unwrap();
    }

    #[test]
    fn an_empty_upload_is_complete() {
        assert!(spool(0, 0).is_complete());
    }
}
