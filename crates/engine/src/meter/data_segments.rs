//! Active data segments that the host writes in chunks, because the engine would write all of them in one step.
//!
//! A module with a few small active segments keeps them. Otherwise they are moved out of the module. References to them
//! then refer to an empty segment, which behaves like the dropped active segments of an instantiated module.

use std::ops::Range;

use wasm_encoder::DataSection;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{Data, DataKind, Operator, Parser, Payload};

/// The largest number of active segments that the engine writes, and their largest total size in bytes.
const MAX_ENGINE_SEGMENTS: usize = 64;
const MAX_ENGINE_BYTES: usize = 1 << 20;

/// The active data segments that the host writes, in order.
#[derive(Debug, Default)]
pub(crate) struct DataSegments {
    bytes: Vec<u8>,
    segments: Vec<SegmentBytes>,
}

/// The address and the bytes of one segment.
#[derive(Debug)]
struct SegmentBytes {
    address: u32,
    bytes: Range<usize>,
}

/// The indices of data segments after the active ones have been moved out.
#[derive(Debug)]
pub(super) struct SegmentIndexMap(Vec<u32>);

impl DataSegments {
    /// Returns the segments of a valid module that the host writes, or `None` if the engine writes them.
    ///
    /// # Errors
    /// `InvalidModule` if the module cannot be read.
    pub(crate) fn of(module: &[u8]) -> Result<Option<DataSegments>> {
        let mut segments = DataSegments::default();
        for payload in Parser::new(0).parse_all(module) {
            let Payload::DataSection(section) = payload.map_err(unreadable)? else { continue };
            for data in section {
                let data = data.map_err(unreadable)?;
                let DataKind::Active { offset_expr, .. } = data.kind else { continue };
                // An offset that is not constant depends on an import, for which the module is refused later.
                let Some(address) = constant(&mut offset_expr.get_operators_reader()) else { return Ok(None) };
                let begin = segments.bytes.len();
                segments.bytes.extend(data.data);
                segments.segments.push(SegmentBytes { address, bytes: begin..segments.bytes.len() });
            }
        }
        let is_small = segments.segments.len() <= MAX_ENGINE_SEGMENTS && segments.bytes.len() <= MAX_ENGINE_BYTES;
        Ok((!is_small).then_some(segments))
    }

    /// Returns the segments, each with its address.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.segments.iter().map(|segment| (segment.address, &self.bytes[segment.bytes.clone()]))
    }
}

impl SegmentIndexMap {
    /// Returns the new indices of a module's segments if the host writes the active ones.
    ///
    /// # Errors
    /// `InvalidModule` if the module cannot be read.
    pub(super) fn of(module: &[u8]) -> Result<Option<SegmentIndexMap>> {
        if DataSegments::of(module)?.is_none() {
            return Ok(None);
        }
        let mut moved = Vec::new();
        // Index 0 is the empty segment.
        let mut next = 1;
        for payload in Parser::new(0).parse_all(module) {
            let Payload::DataSection(section) = payload.map_err(unreadable)? else { continue };
            for data in section {
                let is_active = matches!(data.map_err(unreadable)?.kind, DataKind::Active { .. });
                moved.push(if is_active { 0 } else { next });
                next += u32::from(!is_active);
            }
        }
        Ok(Some(SegmentIndexMap(moved)))
    }

    /// Returns the new index of a segment.
    pub(super) fn index(&self, segment: u32) -> u32 {
        self.0.get(segment as usize).copied().unwrap_or(0)
    }

    /// Returns how many segments remain, including the empty one.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().copied().max().unwrap_or(0) + 1
    }

    /// Writes the remaining segments.
    ///
    /// # Errors
    /// Returns the error of a segment that cannot be read.
    pub(super) fn write<'a>(
        &self,
        section: &mut DataSection,
        segments: impl Iterator<Item = wasmparser::Result<Data<'a>>>,
    ) -> wasmparser::Result<()> {
        section.passive([]);
        for data in segments {
            let data = data?;
            if matches!(data.kind, DataKind::Passive) {
                section.passive(data.data.iter().copied());
            }
        }
        Ok(())
    }
}

/// Returns the value of a constant expression of a valid module, or `None` if it depends on an import.
fn constant(expression: &mut wasmparser::OperatorsReader<'_>) -> Option<u32> {
    let mut stack: Vec<u32> = Vec::new();
    loop {
        let value = match expression.read().ok()? {
            Operator::End => return stack.pop(),
            Operator::I32Const { value } => value.cast_unsigned(),
            other => {
                let right = stack.pop()?;
                let left = stack.pop()?;
                match other {
                    Operator::I32Add => left.wrapping_add(right),
                    Operator::I32Sub => left.wrapping_sub(right),
                    Operator::I32Mul => left.wrapping_mul(right),
                    _ => return None,
                }
            }
        };
        stack.push(value);
    }
}

fn unreadable(error: wasmparser::Error) -> Error {
    Error::new(ErrorKind::InvalidModule, "the module cannot be read").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<DataSegments> {
        DataSegments::of(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn a_few_small_segments_stay_in_the_module() {
        let few = r#"(data (i32.const 7) "x")"#.repeat(MAX_ENGINE_SEGMENTS);
        assert!(of(&format!("(module (memory 1) {few})")).is_none());
        assert!(of(&format!(r#"(module (memory 1) {few} (data "passive"))"#)).is_none());
        assert!(of(&format!(r#"(module (memory 1) {few} (data (i32.const 0) ""))"#)).is_some());
        let bytes = |count| format!(r#"(module (memory 99) (data (i32.const 0) "{}"))"#, "x".repeat(count));
        assert!(of(&bytes(MAX_ENGINE_BYTES)).is_none());
        assert!(of(&bytes(MAX_ENGINE_BYTES + 1)).is_some());
    }

    #[test]
    fn segments_keep_their_addresses_and_order() {
        let many = r#"(data (i32.const 9) "y")"#.repeat(MAX_ENGINE_SEGMENTS);
        let last =
            r#"(data (i32.sub (i32.mul (i32.const 5) (i32.const 4)) (i32.add (i32.const 1) (i32.const 2))) "z")"#;
        let segments = of(&format!(r#"(module (memory 1) {many} (data "passive") {last})"#)).unwrap();
        let segments: Vec<_> = segments.iter().collect();
        assert_eq!(segments.len(), MAX_ENGINE_SEGMENTS + 1);
        assert_eq!((segments[0], segments[MAX_ENGINE_SEGMENTS]), ((9, &b"y"[..]), (17, &b"z"[..])));
    }

    #[test]
    fn remaining_segments_keep_their_order() {
        let many = r#"(data (i32.const 9) "y")"#.repeat(MAX_ENGINE_SEGMENTS);
        let text = format!(r#"(module (memory 1) (data "p") {many} (data "q") (data (i32.const 1) "a"))"#);
        let moved = SegmentIndexMap::of(&wat::parse_str(text).unwrap()).unwrap().unwrap();
        let last = MAX_ENGINE_SEGMENTS as u32 + 1;
        assert_eq!([0, 1, last - 1, last, last + 1].map(|index| moved.index(index)), [1, 0, 0, 2, 0]);
        assert_eq!(moved.count(), 3);
    }
}
