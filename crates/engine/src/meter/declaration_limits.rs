//! Limits what a module may declare, because an instance is created in one step on a shard.
//!
//! The limits are far beyond what compilers generate, and keep that step below a few milliseconds. Data is not limited:
//! the host writes large data in chunks (`data_segments`).

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{DataKind, ElementItems, ElementKind, Parser, Payload};

use super::MeterConfig;

const MAX_TYPES: u64 = 20_000;
const MAX_IMPORTS: u64 = 1_000;
const MAX_FUNCTIONS: u64 = 100_000;
const MAX_GLOBALS: u64 = 10_000;
const MAX_EXPORTS: u64 = 5_000;
const MAX_PASSIVE_DATA: u64 = 10_000;
/// The largest number of elements in element segments. Each active segment also counts all elements of its table,
/// because the engine visits them. A module may have at least as many elements as four tables of the largest size.
const MAX_ELEMENTS: u64 = 100_000;

/// Checks that a valid module does not declare too much.
///
/// # Errors
/// `InvalidModule` with the exceeded limit.
pub(super) fn check(module: &[u8], config: MeterConfig) -> Result<()> {
    let mut tables = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(unreadable)? {
            Payload::TableSection(section) => {
                tables.extend(section.into_iter().flatten().map(|table| table.ty.initial))
            }
            Payload::TypeSection(section) => at_most("types", section.count().into(), MAX_TYPES)?,
            Payload::ImportSection(section) => {
                at_most("imports", section.into_imports().count() as u64, MAX_IMPORTS)?;
            }
            Payload::FunctionSection(section) => at_most("functions", section.count().into(), MAX_FUNCTIONS)?,
            Payload::GlobalSection(section) => at_most("globals", section.count().into(), MAX_GLOBALS)?,
            Payload::ExportSection(section) => at_most("exports", section.count().into(), MAX_EXPORTS)?,
            Payload::DataSection(section) => {
                let passive = section.into_iter().flatten().filter(|data| matches!(data.kind, DataKind::Passive));
                at_most("passive data segments", passive.count() as u64, MAX_PASSIVE_DATA)?;
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
                    MAX_ELEMENTS.max(4 * config.table_elements),
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
    use crate::meter::{FrameModel, QUANTUM, rewrite};

    #[test]
    fn excessive_declarations_are_refused_with_their_number() {
        let config = MeterConfig {
            quantum: QUANTUM,
            memory_pages: 1,
            table_elements: 20_000,
            frame_model: FrameModel::Arguments,
        };
        let functions = "$f ".repeat(10_001);
        for (what, most, part) in [
            ("types", MAX_TYPES, "(type (func))"),
            ("imports", MAX_IMPORTS, r#"(import "wapc" "__guest_request" (func (param i32 i32)))"#),
            ("globals", MAX_GLOBALS, "(global i32 (i32.const 0))"),
            ("passive data segments", MAX_PASSIVE_DATA, r#"(data "")"#),
        ] {
            let module = |count: u64| wat::parse_str(format!("(module {})", part.repeat(count as usize))).unwrap();
            rewrite(&module(most), config).unwrap();
            let refusal = rewrite(&module(most + 1), config).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::InvalidModule, "{what}");
            assert_eq!(refusal.to_string(), format!("the module declares {} {what}, {most} are allowed", most + 1));
        }
        let segments = |part: &str| {
            let text = format!("(module (table 20000 funcref) (func $f) {})", part.repeat(10));
            rewrite(&wat::parse_str(text).unwrap(), config)
        };
        for (kind, elements) in [("(i32.const 0) func", 300_010), ("func", 100_010)] {
            let refusal = segments(&format!("(elem {kind} {functions})")).unwrap_err();
            let expected = format!("the module declares {elements} elements of tables, 100000 are allowed");
            assert_eq!(refusal.to_string(), expected);
        }
        segments(&format!("(elem declare func {functions})")).unwrap();
        let exports: String = (0..=MAX_EXPORTS).map(|number| format!(r#"(export "{number}" (func $f))"#)).collect();
        let module = wat::parse_str(format!("(module (func $f) {exports})")).unwrap();
        assert!(rewrite(&module, config).unwrap_err().to_string().contains("5001 exports, 5000 are allowed"));
    }
}
