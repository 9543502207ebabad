//! How much a module may declare: what an instance is made of is made in one step, on a shard.
//!
//! The bounds are far beyond what compilers make, and keep that step below a few milliseconds. Data is not among it: the host
//! writes large data in portions (`segments`).

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{DataKind, ElementItems, ElementKind, Parser, Payload};

use super::Bounds;

const TYPES: u64 = 20_000;
const IMPORTS: u64 = 1_000;
const FUNCTIONS: u64 = 100_000;
const GLOBALS: u64 = 10_000;
const EXPORTS: u64 = 5_000;
const PASSIVE_DATA: u64 = 10_000;
/// Elements of tables that are put there, or kept for that, or as many as four tables of the largest size have. Of a table that
/// something is put into, all elements count each time: the engine looks at all of them.
const ELEMENTS: u64 = 100_000;

/// Refuses a module that declares too much. The module is valid.
///
/// # Errors
/// `InvalidModule`, naming what there is too much of.
pub(super) fn check(module: &[u8], bounds: Bounds) -> Result<()> {
    let mut tables = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(unreadable)? {
            Payload::TableSection(section) => {
                tables.extend(section.into_iter().flatten().map(|table| table.ty.initial))
            }
            Payload::TypeSection(section) => at_most("types", section.count().into(), TYPES)?,
            Payload::ImportSection(section) => {
                at_most("imports", section.into_imports().count() as u64, IMPORTS)?;
            }
            Payload::FunctionSection(section) => at_most("functions", section.count().into(), FUNCTIONS)?,
            Payload::GlobalSection(section) => at_most("globals", section.count().into(), GLOBALS)?,
            Payload::ExportSection(section) => at_most("exports", section.count().into(), EXPORTS)?,
            Payload::DataSection(section) => {
                let passive = section.into_iter().flatten().filter(|data| matches!(data.kind, DataKind::Passive));
                at_most("passive data segments", passive.count() as u64, PASSIVE_DATA)?;
            }
            Payload::ElementSection(section) => {
                let elements = section.into_iter().flatten().map(|element| {
                    let items = match &element.items {
                        ElementItems::Functions(functions) => u64::from(functions.count()),
                        ElementItems::Expressions(_, expressions) => u64::from(expressions.count()),
                    };
                    match element.kind {
                        ElementKind::Declared => 0,
                        ElementKind::Passive => items,
                        ElementKind::Active { table_index, .. } => {
                            let table = tables.get(table_index.unwrap_or(0) as usize);
                            items.saturating_add(table.copied().unwrap_or(0))
                        }
                    }
                });
                at_most(
                    "elements of tables",
                    elements.fold(0, u64::saturating_add),
                    ELEMENTS.max(4 * bounds.table_elements),
                )?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn at_most(what: &str, declared: u64, most: u64) -> Result<()> {
    if declared <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidModule, format!("the module declares {declared} {what}, {most} are allowed")))
}

fn unreadable(error: wasmparser::Error) -> Error {
    Error::new(ErrorKind::InvalidModule, "the module cannot be read").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{Frames, QUANTUM, rewrite};

    #[test]
    fn what_declares_too_much_is_refused_with_the_figures() {
        let bounds = Bounds { quantum: QUANTUM, memory_pages: 1, table_elements: 20_000, frames: Frames::Arguments };
        let functions = "$f ".repeat(10_001);
        for (what, most, part) in [
            ("types", TYPES, "(type (func))"),
            ("imports", IMPORTS, r#"(import "wapc" "__guest_request" (func (param i32 i32)))"#),
            ("globals", GLOBALS, "(global i32 (i32.const 0))"),
            ("passive data segments", PASSIVE_DATA, r#"(data "")"#),
        ] {
            let module = |count: u64| wat::parse_str(format!("(module {})", part.repeat(count as usize))).unwrap();
            rewrite(&module(most), bounds).unwrap();
            let refusal = rewrite(&module(most + 1), bounds).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::InvalidModule, "{what}");
            assert_eq!(refusal.to_string(), format!("the module declares {} {what}, {most} are allowed", most + 1));
        }
        let segments = |part: &str| {
            let text = format!("(module (table 20000 funcref) (func $f) {})", part.repeat(10));
            rewrite(&wat::parse_str(text).unwrap(), bounds)
        };
        for (kind, elements) in [("(i32.const 0) func", 300_010), ("func", 100_010)] {
            let refusal = segments(&format!("(elem {kind} {functions})")).unwrap_err();
            let expected = format!("the module declares {elements} elements of tables, 100000 are allowed");
            assert_eq!(refusal.to_string(), expected);
        }
        segments(&format!("(elem declare func {functions})")).unwrap();
        let exports: String = (0..=EXPORTS).map(|number| format!(r#"(export "{number}" (func $f))"#)).collect();
        let module = wat::parse_str(format!("(module (func $f) {exports})")).unwrap();
        assert!(rewrite(&module, bounds).unwrap_err().to_string().contains("5001 exports, 5000 are allowed"));
    }
}
