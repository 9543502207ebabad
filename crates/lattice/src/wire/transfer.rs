//! Where a payload is that is too large for a message.

use super::WireError;
use super::reader::Reader;
use super::writer::Writer;

const FIELDS: &[&str] = &["id", "size", "hash"];

/// A payload that the receiver of a message fetches from its sender. Whatever authenticates the message authenticates the
/// payload, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// A random identifier.
    pub id: [u8; 16],
    /// The size of the payload. Unit: bytes.
    pub size: u64,
    /// The BLAKE3 hash of the payload.
    pub hash: [u8; 32],
}

impl Transfer {
    /// Writes the field `transfer`.
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.text("transfer");
        writer.array(FIELDS.len());
        writer.binary(&self.id);
        writer.number(self.size);
        writer.binary(&self.hash);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Transfer>, WireError> {
        if reader.nil()? {
            return Ok(None);
        }
        let mut id = None;
        let mut size = None;
        let mut hash = None;
        reader.fields("transfer", FIELDS, |reader, index| {
            match FIELDS[index] {
                "id" => id = Some(reader.exactly("id")?),
                "size" => size = Some(reader.unsigned("size")?),
                _ => hash = Some(reader.exactly("hash")?),
            }
            Ok(())
        })?;
        Ok(Some(Transfer {
            id: id.ok_or(WireError::Missing("id"))?,
            size: size.ok_or(WireError::Missing("size"))?,
            hash: hash.ok_or(WireError::Missing("hash"))?,
        }))
    }
}
