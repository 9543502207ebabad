//! A guest's linear memory as the host reads and writes it: within its bounds.

use std::ops::Range;

use wasmer::{AsStoreRef, Memory, MemoryView};

use super::{LONGEST_NAME, LONGEST_TEXT};
use crate::exchange::Exchange;
use crate::fault::Fault;

/// A guest's linear memory.
pub(super) struct GuestMemory<'a> {
    view: MemoryView<'a>,
    /// The most that is read at once, in bytes.
    limit: usize,
}

impl<'a> GuestMemory<'a> {
    pub(super) fn of(exchange: &Exchange, store: &'a impl AsStoreRef) -> Result<GuestMemory<'a>, Fault> {
        let memory: &Memory =
            exchange.memory.get().ok_or_else(|| Fault::Protocol("a waPC call before the memory exists".into()))?;
        Ok(GuestMemory { view: memory.view(store), limit: exchange.message_bytes })
    }

    /// Refuses a range of which not all lies in the memory.
    pub(super) fn check(&self, pointer: u32, length: u32) -> Result<(), Fault> {
        let size = self.view.data_size();
        if self.has_room(pointer, length as usize) {
            return Ok(());
        }
        Err(Fault::Protocol(format!("it passed {length} bytes at {pointer:#x}, but its memory has {size} bytes")))
    }

    fn has_room(&self, pointer: u32, length: usize) -> bool {
        u64::from(pointer) + length as u64 <= self.view.data_size()
    }

    /// Refuses to read what is not in the memory, or is too large.
    pub(super) fn check_reading(&self, what: &'static str, pointer: u32, length: u32) -> Result<(), Fault> {
        self.check(pointer, length)?;
        within(what, length, self.limit)
    }

    /// Refuses to write where there is no memory.
    pub(super) fn check_writing(&self, pointer: u32, bytes: &[u8]) -> Result<(), Fault> {
        if self.has_room(pointer, bytes.len()) { Ok(()) } else { Err(self.no_room(pointer, bytes)) }
    }

    fn no_room(&self, pointer: u32, bytes: &[u8]) -> Fault {
        let (length, size) = (bytes.len(), self.view.data_size());
        Fault::Protocol(format!("it asked for {length} bytes at {pointer:#x}, but its memory has {size} bytes"))
    }

    /// Reads a range that has been checked.
    pub(super) fn read(&self, pointer: u32, length: u32) -> Result<Vec<u8>, Fault> {
        // `copy_range_to_vec` would clear a buffer of 40 KiB for each call.
        let mut read = vec![0; length as usize];
        self.view.read(u64::from(pointer), &mut read).map_err(|error| Fault::Protocol(error.to_string()))?;
        Ok(read)
    }

    /// Reads a portion of a range that has been checked, and appends it to what has been read of the range before.
    pub(super) fn read_portion(&self, pointer: u32, read: &mut Vec<u8>, portion: Range<usize>) -> Result<(), Fault> {
        read.resize(portion.end, 0);
        let from = u64::from(pointer) + portion.start as u64;
        self.view.read(from, &mut read[portion]).map_err(|error| Fault::Protocol(error.to_string()))
    }

    /// Reads the beginning of a text that is only shown to people, as it is.
    pub(super) fn read_text_for_people(&self, pointer: u32, length: u32) -> Result<Vec<u8>, Fault> {
        self.check(pointer, length)?;
        self.read(pointer, length.min(LONGEST_TEXT))
    }

    /// Reads a name in a host call.
    pub(super) fn read_name(&self, what: &'static str, pointer: u32, length: u32) -> Result<String, Fault> {
        self.check(pointer, length)?;
        within(what, length, LONGEST_NAME as usize)?;
        String::from_utf8(self.read(pointer, length)?)
            .map_err(|_| Fault::Protocol(format!("the {what} of its host call is not UTF-8")))
    }

    pub(super) fn write(&self, pointer: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.view.write(u64::from(pointer), bytes).map_err(|_| self.no_room(pointer, bytes))
    }

    /// Writes a portion of what belongs to a place.
    pub(super) fn write_portion(&self, pointer: u32, bytes: &[u8], portion: Range<usize>) -> Result<(), Fault> {
        let to = u64::from(pointer) + portion.start as u64;
        self.view.write(to, &bytes[portion]).map_err(|_| self.no_room(pointer, bytes))
    }
}

fn within(what: &'static str, length: u32, limit: usize) -> Result<(), Fault> {
    let bytes = length as usize;
    if bytes > limit { Err(Fault::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
