//! Reads msgpack without copying, with a bound on everything.

use rmp::Marker;
use rmp::decode::{Bytes, RmpRead};

use super::WireError;

/// The greatest depth of values in a field that is ignored.
const MAX_DEPTH: usize = 32;

/// The fields of a struct, in the order in which an array of them is written.
type Fields = &'static [&'static str];

/// A position in a message.
pub(super) struct Reader<'a>(Bytes<'a>);

/// The form in which a struct is written.
pub(super) enum Form {
    Map(usize),
    Array(usize),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(Bytes::new(bytes))
    }

    /// Reads a whole message.
    pub(super) fn whole<T>(
        bytes: &'a [u8],
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        let mut reader = Reader::new(bytes);
        let value = read(&mut reader)?;
        if reader.left() == 0 { Ok(value) } else { Err(WireError::TrailingBytes) }
    }

    pub(super) fn left(&self) -> usize {
        self.0.remaining_slice().len()
    }

    pub(super) fn peek(&self) -> Result<Marker, WireError> {
        self.0.remaining_slice().first().map(|byte| Marker::from_u8(*byte)).ok_or(WireError::Truncated)
    }

    fn marker(&mut self) -> Result<Marker, WireError> {
        self.byte().map(Marker::from_u8)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        self.0.read_u8().map_err(|_| WireError::Truncated)
    }

    /// Returns the next bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.remaining_slice().split_at_checked(count).ok_or(WireError::Truncated)?;
        self.0 = Bytes::new(rest);
        Ok(taken)
    }

    /// Reads a big-endian number of some bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, WireError> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Reads a length. No value is shorter than a byte, so the bytes that are left bound it.
    fn length(&mut self, bytes: usize) -> Result<usize, WireError> {
        let length = usize::try_from(self.number(bytes)?).map_err(|_| WireError::Truncated)?;
        if length <= self.left() { Ok(length) } else { Err(WireError::Truncated) }
    }

    /// Reads nil, if it comes next.
    pub(super) fn nil(&mut self) -> Result<bool, WireError> {
        let is_nil = self.peek()? == Marker::Null;
        if is_nil {
            self.byte()?;
        }
        Ok(is_nil)
    }

    /// Reads an unsigned number.
    pub(super) fn unsigned(&mut self, field: &'static str) -> Result<u64, WireError> {
        match self.marker()? {
            Marker::FixPos(number) => Ok(u64::from(number)),
            Marker::U8 => self.number(1),
            Marker::U16 => self.number(2),
            Marker::U32 => self.number(4),
            Marker::U64 => self.number(8),
            // Writers of other languages write positive numbers in signed form.
            Marker::I8 => self.number(1).and_then(|number| not_negative(number, 8, field)),
            Marker::I16 => self.number(2).and_then(|number| not_negative(number, 16, field)),
            Marker::I32 => self.number(4).and_then(|number| not_negative(number, 32, field)),
            Marker::I64 => self.number(8).and_then(|number| not_negative(number, 64, field)),
            _ => Err(WireError::Unexpected(field)),
        }
    }

    /// Reads a text.
    pub(super) fn text(&mut self, field: &'static str, longest: usize) -> Result<&'a str, WireError> {
        let text = self.bytes_of_text(field, longest)?;
        std::str::from_utf8(text).map_err(|_| WireError::Unexpected(field))
    }

    /// Reads a text that need not be UTF-8.
    fn bytes_of_text(&mut self, field: &'static str, longest: usize) -> Result<&'a [u8], WireError> {
        let length = match self.marker()? {
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 => self.length(1)?,
            Marker::Str16 => self.length(2)?,
            Marker::Str32 => self.length(4)?,
            _ => return Err(WireError::Unexpected(field)),
        };
        if length > longest {
            return Err(WireError::TooLong(field));
        }
        self.take(length)
    }

    /// Reads bytes in binary form.
    pub(super) fn binary(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        let length = match self.marker()? {
            Marker::Bin8 => self.length(1)?,
            Marker::Bin16 => self.length(2)?,
            Marker::Bin32 => self.length(4)?,
            _ => return Err(WireError::Unexpected(field)),
        };
        self.take(length)
    }

    /// Reads bytes of a fixed length in binary form.
    pub(super) fn exactly<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        self.binary(field)?.try_into().map_err(|_| WireError::Unexpected(field))
    }

    /// Reads a payload in binary form or as an array of integers.
    pub(super) fn payload(&mut self, field: &'static str, longest: usize) -> Result<Vec<u8>, WireError> {
        let too_large = WireError::TooLarge { limit: longest };
        if !matches!(self.peek()?, Marker::FixArray(_) | Marker::Array16 | Marker::Array32) {
            let payload = self.binary(field)?;
            return if payload.len() <= longest { Ok(payload.to_vec()) } else { Err(too_large) };
        }
        let count = self.array(field, usize::MAX)?;
        if count > longest {
            return Err(too_large);
        }
        // No more than the bytes that are left: `array` has checked it.
        let mut payload = vec![0; count];
        self.integers(&mut payload, field)?;
        Ok(payload)
    }

    /// Reads integers below 256. The common encodings are read without a call for each.
    fn integers(&mut self, payload: &mut [u8], field: &'static str) -> Result<(), WireError> {
        const U8: u8 = 0xcc;
        let mut rest = self.0.remaining_slice();
        for byte in payload {
            match rest {
                [small @ 0..=0x7f, after @ ..] => {
                    *byte = *small;
                    rest = after;
                }
                [U8, large, after @ ..] => {
                    *byte = *large;
                    rest = after;
                }
                _ => {
                    let mut reader = Reader::new(rest);
                    let number = reader.unsigned(field)?;
                    *byte = u8::try_from(number).map_err(|_| WireError::Unexpected(field))?;
                    rest = reader.0.remaining_slice();
                }
            }
        }
        self.0 = Bytes::new(rest);
        Ok(())
    }

    /// Reads the length of an array.
    pub(super) fn array(&mut self, field: &'static str, longest: usize) -> Result<usize, WireError> {
        let length = match self.marker()? {
            Marker::FixArray(length) => self.fits(length.into())?,
            Marker::Array16 => self.length(2)?,
            Marker::Array32 => self.length(4)?,
            _ => return Err(WireError::Unexpected(field)),
        };
        if length <= longest { Ok(length) } else { Err(WireError::TooLong(field)) }
    }

    /// Reads the length of a map.
    pub(super) fn map(&mut self, field: &'static str, longest: usize) -> Result<usize, WireError> {
        let length = match self.marker()? {
            Marker::FixMap(length) => self.fits(length.into())?,
            Marker::Map16 => self.length(2)?,
            Marker::Map32 => self.length(4)?,
            _ => return Err(WireError::Unexpected(field)),
        };
        if length <= longest { Ok(length) } else { Err(WireError::TooLong(field)) }
    }

    fn fits(&self, length: usize) -> Result<usize, WireError> {
        if length <= self.left() { Ok(length) } else { Err(WireError::Truncated) }
    }

    /// Reads the begin of a struct.
    pub(super) fn form(&mut self, name: &'static str) -> Result<Form, WireError> {
        const MOST_FIELDS: usize = 64;
        match self.peek()? {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => self.array(name, MOST_FIELDS).map(Form::Array),
            _ => self.map(name, MOST_FIELDS).map(Form::Map),
        }
    }

    /// Reads a struct. `read` reads the value of a field, which is named by its index.
    pub(super) fn fields(
        &mut self,
        name: &'static str,
        fields: Fields,
        mut read: impl FnMut(&mut Reader<'a>, usize) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let form = self.form(name)?;
        let (Form::Map(count) | Form::Array(count)) = form;
        let mut seen = 0_u64;
        let mut next = 0;
        for position in 0..count {
            let index = match form {
                Form::Array(_) => Some(position).filter(|position| *position < fields.len()),
                Form::Map(_) => self.key(fields, next)?,
            };
            let Some(index) = index else {
                self.skip()?;
                continue;
            };
            if seen & 1 << index != 0 {
                return Err(WireError::Repeated(fields[index]));
            }
            seen |= 1 << index;
            next = index + 1;
            read(self, index)?;
        }
        Ok(())
    }

    /// Reads the key of a map and returns the index of the field with that name. The field at `next` is likely to be it.
    fn key(&mut self, fields: Fields, next: usize) -> Result<Option<usize>, WireError> {
        if !matches!(self.peek()?, Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32) {
            self.skip()?;
            return Ok(None);
        }
        const NAME: &str = "the name of a field";
        let key = self.bytes_of_text(NAME, super::MAX_NAME)?;
        if fields.get(next).is_some_and(|field| field.as_bytes() == key) {
            return Ok(Some(next));
        }
        let index = fields.iter().position(|field| field.as_bytes() == key);
        if index.is_none() && std::str::from_utf8(key).is_err() {
            return Err(WireError::Unexpected(NAME));
        }
        Ok(index)
    }

    /// Skips a value.
    pub(super) fn skip(&mut self) -> Result<(), WireError> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), WireError> {
        let depth = depth.checked_sub(1).ok_or(WireError::TooDeep)?;
        let (bytes, values) = match self.marker()? {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0),
            Marker::U8 | Marker::I8 => (1, 0),
            Marker::U16 | Marker::I16 | Marker::FixExt1 => (2, 0),
            Marker::FixExt2 => (3, 0),
            Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
            Marker::FixExt4 => (5, 0),
            Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
            Marker::FixExt8 => (9, 0),
            Marker::FixExt16 => (17, 0),
            Marker::FixStr(length) => (length.into(), 0),
            Marker::Str8 | Marker::Bin8 => (self.length(1)?, 0),
            Marker::Str16 | Marker::Bin16 => (self.length(2)?, 0),
            Marker::Str32 | Marker::Bin32 => (self.length(4)?, 0),
            Marker::Ext8 => (self.length(1)? + 1, 0),
            Marker::Ext16 => (self.length(2)? + 1, 0),
            Marker::Ext32 => (self.length(4)? + 1, 0),
            Marker::FixArray(length) => (0, length.into()),
            Marker::Array16 => (0, self.length(2)?),
            Marker::Array32 => (0, self.length(4)?),
            Marker::FixMap(length) => (0, usize::from(length) * 2),
            Marker::Map16 => (0, self.length(2)? * 2),
            Marker::Map32 => (0, self.length(4)? * 2),
            Marker::Reserved => return Err(WireError::Unexpected("an ignored field")),
        };
        self.take(bytes)?;
        (0..values).try_for_each(|_| self.skip_within(depth))
    }
}

fn not_negative(number: u64, bits: u32, field: &'static str) -> Result<u64, WireError> {
    if number >> (bits - 1) == 0 { Ok(number) } else { Err(WireError::Unexpected(field)) }
}
