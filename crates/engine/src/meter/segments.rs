//! Active data segments that the host writes itself, in portions: the engine would write all of them in one step.
//!
//! A module with a few small ones keeps them. Otherwise they are taken out of the module. What refers to one of them refers to
//! an empty segment instead, as it would once the module is instantiated, when the active segments have been dropped.

use std::ops::Range;

use wasm_encoder::DataSection;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{Data, DataKind, Operator, Parser, Payload};

/// How many active segments a module may have for the engine to write them, and how many bytes in them.
const FEW: usize = 64;
const SMALL: usize = 1 << 20;

/// Active data segments that the host writes, in their order.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where the bytes of one segment belong.
#[derive(Debug)]
struct Place {
    to: u32,
    bytes: Range<usize>,
}

/// Where data segments have moved to when the active ones are taken out.
#[derive(Debug)]
pub(super) struct Moved(Vec<u32>);

impl Segments {
    /// The segments of a valid module that the host writes, if it does.
    ///
    /// # Errors
    /// `InvalidModule` for what cannot be read.
    pub(crate) fn of(module: &[u8]) -> Result<Option<Segments>> {
        let mut segments = Segments::default();
        for payload in Parser::new(0).parse_all(module) {
            let Payload::DataSection(section) = payload.map_err(unreadable)? else { continue };
            for data in section {
                let data = data.map_err(unreadable)?;
                let DataKind::Active { offset_expr, .. } = data.kind else { continue };
                // Where it depends on what is imported, the module is refused for that.
                let Some(to) = constant(&mut offset_expr.get_operators_reader()) else { return Ok(None) };
                let begin = segments.bytes.len();
                segments.bytes.extend(data.data);
                segments.places.push(Place { to, bytes: begin..segments.bytes.len() });
            }
        }
        let Segments { bytes, places } = &segments;
        Ok((places.len() > FEW || bytes.len() > SMALL).then_some(segments))
    }

    /// The segments, each with the address that it belongs to.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.places.iter().map(|place| (place.to, &self.bytes[place.bytes.clone()]))
    }
}

impl Moved {
    /// Where the segments of a module move to, if the host writes the active ones.
    ///
    /// # Errors
    /// `InvalidModule` for what cannot be read.
    pub(super) fn of(module: &[u8]) -> Result<Option<Moved>> {
        if Segments::of(module)?.is_none() {
            return Ok(None);
        }
        let mut moved = Vec::new();
        // The first one is the empty one.
        let mut next = 1;
        for payload in Parser::new(0).parse_all(module) {
            let Payload::DataSection(section) = payload.map_err(unreadable)? else { continue };
            for data in section {
                let is_active = matches!(data.map_err(unreadable)?.kind, DataKind::Active { .. });
                moved.push(if is_active { 0 } else { next });
                next += u32::from(!is_active);
            }
        }
        Ok(Some(Moved(moved)))
    }

    pub(super) fn index(&self, segment: u32) -> u32 {
        self.0.get(segment as usize).copied().unwrap_or(0)
    }

    /// How many segments are left, with the empty one.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().copied().max().unwrap_or(0) + 1
    }

    /// Writes the segments that are left.
    ///
    /// # Errors
    /// Where one cannot be read.
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

/// What a constant expression of a valid module comes to, where that depends on nothing else.
fn constant(expression: &mut wasmparser::OperatorsReader<'_>) -> Option<u32> {
    let mut stack: Vec<u32> = Vec::new();
    loop {
        let value = match expression.read().ok()? {
            Operator::End => return stack.pop(),
            Operator::I32Const { value } => value.cast_unsigned(),
            other => {
                let (right, left) = (stack.pop()?, stack.pop()?);
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

    fn of(text: &str) -> Option<Segments> {
        Segments::of(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn a_few_small_segments_stay_where_they_are() {
        let few = r#"(data (i32.const 7) "x")"#.repeat(FEW);
        assert!(of(&format!("(module (memory 1) {few})")).is_none());
        assert!(of(&format!(r#"(module (memory 1) {few} (data "passive"))"#)).is_none());
        assert!(of(&format!(r#"(module (memory 1) {few} (data (i32.const 0) ""))"#)).is_some());
        let bytes = |count| format!(r#"(module (memory 99) (data (i32.const 0) "{}"))"#, "x".repeat(count));
        assert!(of(&bytes(SMALL)).is_none());
        assert!(of(&bytes(SMALL + 1)).is_some());
    }

    #[test]
    fn segments_are_written_where_they_belong_in_their_order() {
        let many = r#"(data (i32.const 9) "y")"#.repeat(FEW);
        let last =
            r#"(data (i32.sub (i32.mul (i32.const 5) (i32.const 4)) (i32.add (i32.const 1) (i32.const 2))) "z")"#;
        let segments = of(&format!(r#"(module (memory 1) {many} (data "passive") {last})"#)).unwrap();
        let places: Vec<_> = segments.iter().collect();
        assert_eq!(places.len(), FEW + 1);
        assert_eq!((places[0], places[FEW]), ((9, &b"y"[..]), (17, &b"z"[..])));
    }

    #[test]
    fn what_is_left_keeps_its_order() {
        let many = r#"(data (i32.const 9) "y")"#.repeat(FEW);
        let text = format!(r#"(module (memory 1) (data "p") {many} (data "q") (data (i32.const 1) "a"))"#);
        let moved = Moved::of(&wat::parse_str(text).unwrap()).unwrap().unwrap();
        let last = FEW as u32 + 1;
        assert_eq!([0, 1, last - 1, last, last + 1].map(|index| moved.index(index)), [1, 0, 0, 2, 0]);
        assert_eq!(moved.count(), 3);
    }
}
