//! Bounds-checked access of the host to a guest's linear memory.

use std::ops::Range;

use wasmer::{AsStoreRef, Memory, MemoryView};

use super::{LONGEST_NAME, LONGEST_TEXT};
use crate::fault::Fault;
use crate::guest_state::GuestState;

/// A guest's linear memory.
pub(super) struct GuestMemory<'a> {
    view: MemoryView<'a>,
    /// The largest payload. Unit: bytes.
    limit: usize,
}

impl<'a> GuestMemory<'a> {
    pub(super) fn of(state: &GuestState, store: &'a impl AsStoreRef) -> Result<GuestMemory<'a>, Fault> {
        let memory: &Memory =
            state.memory.get().ok_or_else(|| Fault::Protocol("a waPC call before the memory exists".into()))?;
        Ok(GuestMemory { view: memory.view(store), limit: state.max_payload_bytes })
    }

    /// Checks that a range lies in the memory.
    pub(super) fn check(&self, pointer: u32, length: u32) -> Result<(), Fault> {
        let size = self.view.data_size();
        if self.contains(pointer, length as usize) {
            return Ok(());
        }
        Err(Fault::Protocol(format!("it passed {length} bytes at {pointer:#x}, but its memory has {size} bytes")))
    }

    fn contains(&self, pointer: u32, length: usize) -> bool {
        u64::from(pointer) + length as u64 <= self.view.data_size()
    }

    /// Checks that a payload lies in the memory and is not too large.
    pub(super) fn check_payload(&self, what: &'static str, pointer: u32, length: u32) -> Result<(), Fault> {
        self.check(pointer, length)?;
        within(what, length, self.limit)
    }

    /// Checks that bytes can be written to an address.
    pub(super) fn check_write(&self, pointer: u32, bytes: &[u8]) -> Result<(), Fault> {
        if self.contains(pointer, bytes.len()) { Ok(()) } else { Err(self.out_of_bounds(pointer, bytes)) }
    }

    fn out_of_bounds(&self, pointer: u32, bytes: &[u8]) -> Fault {
        let length = bytes.len();
        let size = self.view.data_size();
        Fault::Protocol(format!("it asked for {length} bytes at {pointer:#x}, but its memory has {size} bytes"))
    }

    /// Reads a range that has been checked.
    pub(super) fn read(&self, pointer: u32, length: u32) -> Result<Vec<u8>, Fault> {
        // `copy_range_to_vec` would clear a buffer of 40 KiB for each call.
        let mut read = vec![0; length as usize];
        self.view.read(u64::from(pointer), &mut read).map_err(|error| Fault::Protocol(error.to_string()))?;
        Ok(read)
    }

    /// Reads a chunk of a range that has been checked, and appends it to the chunks before it.
    pub(super) fn read_chunk(&self, pointer: u32, read: &mut Vec<u8>, chunk: Range<usize>) -> Result<(), Fault> {
        read.resize(chunk.end, 0);
        let from = u64::from(pointer) + chunk.start as u64;
        self.view.read(from, &mut read[chunk]).map_err(|error| Fault::Protocol(error.to_string()))
    }

    /// Reads the beginning of a text, which may be any bytes.
    pub(super) fn read_text(&self, pointer: u32, length: u32) -> Result<Vec<u8>, Fault> {
        self.check(pointer, length)?;
        self.read(pointer, length.min(LONGEST_TEXT))
    }

    /// Reads a name of a host call.
    pub(super) fn read_name(&self, what: &'static str, pointer: u32, length: u32) -> Result<String, Fault> {
        self.check(pointer, length)?;
        within(what, length, LONGEST_NAME as usize)?;
        String::from_utf8(self.read(pointer, length)?)
            .map_err(|_| Fault::Protocol(format!("the {what} of its host call is not UTF-8")))
    }

    pub(super) fn write(&self, pointer: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.view.write(u64::from(pointer), bytes).map_err(|_| self.out_of_bounds(pointer, bytes))
    }

    /// Writes a chunk of the bytes that belong to an address.
    pub(super) fn write_chunk(&self, pointer: u32, bytes: &[u8], chunk: Range<usize>) -> Result<(), Fault> {
        let to = u64::from(pointer) + chunk.start as u64;
        self.view.write(to, &bytes[chunk]).map_err(|_| self.out_of_bounds(pointer, bytes))
    }
}

fn within(what: &'static str, length: u32, limit: usize) -> Result<(), Fault> {
    let bytes = length as usize;
    if bytes > limit { Err(Fault::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
