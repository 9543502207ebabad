//! Writes msgpack. Writing to memory does not fail.

use rmp::encode::{self, ByteBuf};

/// The form in which a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadForm {
    /// An array of integers: the only form that hosts of 2021 read. Bytes from 128 on take two bytes each.
    Array,
    /// Binary, for current hosts.
    Binary,
}

/// A message that is being written.
pub(super) struct Writer(ByteBuf);

/// Discards the result of writing, whose error type cannot be constructed.
macro_rules! written {
    ($result:expr) => {
        match $result {
            Ok(_) => {}
            Err(_) => debug_assert!(false, "writing to memory failed"),
        }
    };
}

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Writer {
        Writer(ByteBuf::with_capacity(bytes))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_vec()
    }

    pub(super) fn map(&mut self, fields: usize) {
        written!(encode::write_map_len(&mut self.0, clamp(fields)));
    }

    pub(super) fn array(&mut self, values: usize) {
        written!(encode::write_array_len(&mut self.0, clamp(values)));
    }

    pub(super) fn text(&mut self, text: &str) {
        written!(encode::write_str(&mut self.0, text));
    }

    pub(super) fn nil(&mut self) {
        written!(encode::write_nil(&mut self.0));
    }

    pub(super) fn number(&mut self, number: u64) {
        written!(encode::write_uint(&mut self.0, number));
    }

    pub(super) fn binary(&mut self, bytes: &[u8]) {
        written!(encode::write_bin(&mut self.0, bytes));
    }

    /// Writes a field whose value is a text.
    pub(super) fn text_field(&mut self, name: &str, text: &str) {
        self.text(name);
        self.text(text);
    }

    pub(super) fn payload(&mut self, payload: &[u8], form: PayloadForm) {
        if form == PayloadForm::Binary {
            return self.binary(payload);
        }
        self.array(payload.len());
        let bytes = self.0.as_mut_vec();
        bytes.reserve(payload.len() * 2);
        for byte in payload {
            if *byte >= 0x80 {
                bytes.push(0xcc);
            }
            bytes.push(*byte);
        }
    }
}

/// Returns a length as msgpack writes it. Payloads are bounded far below 4 GiB.
fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
