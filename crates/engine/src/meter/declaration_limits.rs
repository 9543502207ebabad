//! Limits what a module may declare, because an instance is created in one step on a shard.
//!
//! The limits are far beyond what compilers generate. With the default `Limits::table_elements`, they keep that step below
//! a few milliseconds; a larger one lengthens it. Data is not limited: the host writes large data in chunks
//! (`data_segments`).

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{DataKind, Element, ElementItems, ElementKind, Parser, Payload};

use super::MeterConfig;
use super::rewrite::MAX_TABLES;

const MAX_TYPES: u64 = 20_000;
const MAX_IMPORTS: u64 = 1_000;
const MAX_FUNCTIONS: u64 = 100_000;
const MAX_GLOBALS: u64 = 10_000;
const MAX_EXPORTS: u64 = 5_000;
const MAX_PASSIVE_DATA: u64 = 10_000;

/// The limit on visited elements, unless four tables of the largest size have more: then their number is the limit. An
/// active segment counts its own elements and all elements of its table, because the engine visits them. Declared
/// segments count nothing: the engine skips them.
const MIN_ELEMENT_LIMIT: u64 = 100_000;

/// Checks that a valid module does not declare too much.
///
/// # Errors
/// `InvalidModule` with the exceeded limit.
pub(super) fn check(module: &[u8], config: MeterConfig) -> Result<()> {
    // The tables of the module itself. A module that imports a table is refused later, by `interface_check`.
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
                let elements = section.into_iter().flatten().map(|element| visited_elements(&element, &tables));
                check_visits(elements.fold(0, u64::saturating_add), config)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns how many elements the engine visits for a segment when it creates an instance. `tables` has the lengths of the
/// tables.
fn visited_elements(element: &Element<'_>, tables: &[u64]) -> u64 {
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
}

fn check_visits(visits: u64, config: MeterConfig) -> Result<()> {
    let most = MIN_ELEMENT_LIMIT.max(config.table_elements.saturating_mul(MAX_TABLES as u64));
    if visits <= most {
        return Ok(());
    }
    let message = format!(
        "the start of the module visits {visits} elements of tables, {most} are allowed: use fewer active element segments \
         or smaller tables"
    );
    Err(Error::new(ErrorKind::InvalidModule, message))
}

fn at_most(what: &str, declared: u64, most: u64) -> Result<()> {
    if declared <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidModule, format!("the module declares {declared} {what}; the limit is {most}")))
}

fn unreadable(error: wasmparser::Error) -> Error {
    Error::new(ErrorKind::InvalidModule, "the module cannot be read").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{FrameModel, QUANTUM, rewrite};

    fn config(table_elements: u64) -> MeterConfig {
        MeterConfig { quantum: QUANTUM, memory_pages: 1, table_elements, frame_model: FrameModel::Arguments }
    }

    fn check_text(text: &str, config: MeterConfig) -> Result<()> {
        check(&wat::parse_str(text).unwrap(), config)
    }

    #[test]
    fn excessive_declarations_are_refused_with_their_number() {
        for (what, most, part) in [
            ("types", MAX_TYPES, "(type (func))"),
            ("imports", MAX_IMPORTS, r#"(import "wapc" "__guest_request" (func (param i32 i32)))"#),
            ("functions", MAX_FUNCTIONS, "(func)"),
            ("globals", MAX_GLOBALS, "(global i32 (i32.const 0))"),
            ("passive data segments", MAX_PASSIVE_DATA, r#"(data "")"#),
        ] {
            let module = |count: u64| wat::parse_str(format!("(module {})", part.repeat(count as usize))).unwrap();
            rewrite(&module(most), config(20_000)).unwrap();
            let refusal = rewrite(&module(most + 1), config(20_000)).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::InvalidModule, "{what}");
            assert_eq!(refusal.to_string(), format!("the module declares {} {what}; the limit is {most}", most + 1));
        }
        let exports: String = (0..=MAX_EXPORTS).map(|number| format!(r#"(export "{number}" (func $f))"#)).collect();
        let refusal = check_text(&format!("(module (func $f) {exports})"), config(20_000)).unwrap_err();
        assert!(refusal.to_string().contains("declares 5001 exports; the limit is 5000"));
    }

    #[test]
    fn the_elements_that_the_engine_visits_are_limited() {
        let functions = "$f ".repeat(10_001);
        let segments = |segment: &str, table_elements| {
            let segments = format!("(elem {segment} {functions})").repeat(10);
            check_text(&format!("(module (table 20000 funcref) (func $f) {segments})"), config(table_elements))
        };
        for (segment, visits) in [("(i32.const 0) func", 300_010), ("func", 100_010)] {
            let refusal = segments(segment, 20_000).unwrap_err().to_string();
            let expected = format!("the start of the module visits {visits} elements of tables, 100000 are allowed");
            assert!(refusal.starts_with(&expected), "{refusal}");
            segments(segment, 80_000).unwrap();
            segments(segment, u64::MAX).unwrap();
        }
        segments("declare func", 20_000).unwrap();
    }
}
