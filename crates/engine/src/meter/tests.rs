//! Tests of what rewriting changes and what it must not change.

use super::*;

const CONFIG: MeterConfig =
    MeterConfig { quantum: QUANTUM, memory_pages: 64, table_elements: 1000, frame_model: FrameModel::Arguments };

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn small_functions_are_not_charged_and_loops_are_charged_per_iteration() {
    let module = wat(r#"(module
        (func $small (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $calls (result i32) (call $small (i32.const 1)))
        (func $loops (loop (drop (call $calls)) (br 0))))"#);
    let plan = plan::Plan::of(&module).unwrap();
    assert!(plan.functions.iter().all(|charges| charges.entry.is_none()));
    assert!(plan.functions[0].loops.is_empty() && plan.functions[1].loops.is_empty());
    // An iteration of the loop includes the cost of its callees.
    assert!(plan.functions[2].loops[0] > Some(8), "{plan:?}");
    assert_eq!([0, 1, 2].map(|function| plan.takes_fuel(function)), [false, false, true]);
}

#[test]
fn every_cycle_of_calls_is_charged() {
    let module = wat(r#"(module
        (type $t (func))
        (table 1 funcref)
        (elem (i32.const 0) $through_the_table)
        (func $itself (call $itself))
        (func $one (call $other))
        (func $other (call $one))
        (func $through_the_table (call_indirect (type $t) (i32.const 0)))
        (func $none)
        (func $tail (return_call $tail)))"#);
    let plan = plan::Plan::of(&module).unwrap();
    let charged: Vec<bool> = plan.functions.iter().map(|charges| charges.entry.is_some()).collect();
    assert_eq!(charged, [true, true, true, true, false, true]);
}

#[test]
fn a_tree_of_small_functions_is_charged() {
    let mut text = String::from("(module (func $f0)");
    for level in 1..60 {
        text += &format!("(func $f{level} (call $f{0}) (call $f{0}))", level - 1);
    }
    let plan = plan::Plan::of(&wat(&(text + ")"))).unwrap();
    // No call of an uncharged function executes more than a bounded number of instructions.
    assert!(plan.functions.iter().filter(|charges| charges.entry.is_some()).count() >= 9, "{plan:?}");
}

#[test]
fn memories_and_tables_get_maxima() {
    let bytes = rewrite(&wat("(module (memory 1) (table 1 funcref))"), CONFIG).unwrap();
    let text = maxima(&bytes);
    assert_eq!(text, (Some(64), Some(1000)));
    let bytes = rewrite(&wat("(module (memory 1 2) (table 1 3 funcref))"), CONFIG).unwrap();
    assert_eq!(maxima(&bytes), (Some(2), Some(3)));
    for module in ["(module (memory 65))", "(module (table 1001 funcref))"] {
        assert_eq!(rewrite(&wat(module), CONFIG).unwrap_err().kind(), ErrorKind::InvalidModule, "{module}");
    }
}

/// Returns the maxima of the first memory and table.
fn maxima(module: &[u8]) -> (Option<u64>, Option<u64>) {
    let mut memory = None;
    let mut table = None;
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            wasmparser::Payload::MemorySection(section) => {
                memory = section.into_iter().next().unwrap().unwrap().maximum
            }
            wasmparser::Payload::TableSection(section) => {
                table = section.into_iter().next().unwrap().unwrap().ty.maximum
            }
            _ => {}
        }
    }
    (memory, table)
}

#[test]
fn names_of_the_meter_are_refused() {
    for module in [
        r#"(module (import "wasmcloud:meter" "yield" (func (result i32))))"#,
        r#"(module (func (export "wasmcloud:meter/start")))"#,
    ] {
        assert_eq!(rewrite(&wat(module), CONFIG).unwrap_err().kind(), ErrorKind::InvalidModule, "{module}");
    }
}

#[test]
fn frames_that_could_skip_the_guard_page_are_refused() {
    let locals = |count| format!("(module (func (local {})))", "i64 ".repeat(count));
    let passed = |count: usize| format!("(module (type (func (param {}) (result i32))))", "i32 ".repeat(count - 1));
    let blocks =
        |count| format!("(module (func {}{}))", "(drop (block (result i32) ".repeat(count), LEAVE.repeat(count));
    let loops = |count| format!("(module (func {}{}))", "(drop (loop (result i32) ".repeat(count), LEAVE.repeat(count));
    const LEAVE: &str = "(i32.const 0)))";
    let beside = |count| format!("(module (func {}))", "(drop (block (result i32) (i32.const 0)))".repeat(count));
    let with = |frame_model, module: &str| rewrite(&wat(module), MeterConfig { frame_model, ..CONFIG }).map(drop);
    for module in [locals(498), passed(100), blocks(100), loops(33), beside(1000)] {
        with(FrameModel::Locals, &module).unwrap();
    }
    for module in [locals(499), passed(101), blocks(101), loops(34)] {
        assert_eq!(with(FrameModel::Locals, &module).unwrap_err().kind(), ErrorKind::InvalidModule, "{module}");
        with(FrameModel::Arguments, &module).unwrap();
    }
}

#[test]
fn no_charge_overflows_32_bits() {
    let grow = wasmparser::Operator::TableGrow { table: 0 };
    let copy = wasmparser::Operator::MemoryCopy { dst_mem: 0, src_mem: 0 };
    for operator in [grow, copy] {
        let longest = u32::MAX >> operators::bulk_cost_shift(&operator).unwrap();
        // The fuel may already be one segment below zero when a range is charged.
        assert!(i32::try_from(longest + plan::MAX_SEGMENT_COST).is_ok(), "{operator:?}");
    }
}

#[test]
fn branches_out_of_deep_nesting_are_found_fast() {
    const DEEP: usize = 10_000;
    let open = "(block ".repeat(DEEP);
    let close = ")".repeat(DEEP);
    let branches = format!("(br {DEEP})").repeat(DEEP);
    let module = wat(&format!("(module (func {open} {branches} {close}))"));
    rewrite(&module, CONFIG).unwrap();
}

#[test]
fn a_broken_name_section_is_ignored() {
    let mut module = wat("(module (func))");
    module.extend(b"\0\x0b\x04name\x01\x04\xff\xff\xff\xff");
    rewrite(&module, CONFIG).unwrap();
}

/// Returns how often a rewritten module of one function yields regardless of its fuel.
fn forced_yields(text: &str) -> usize {
    let rewritten = rewrite(&wat(text), CONFIG).unwrap();
    let mut forced_yields = 0;
    for payload in wasmparser::Parser::new(0).parse_all(&rewritten) {
        let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
        let mut last = None;
        for operator in body.get_operators_reader().unwrap() {
            let operator = operator.unwrap();
            let calls = matches!(operator, wasmparser::Operator::Call { function_index: 5 });
            forced_yields += usize::from(calls && matches!(last, Some(wasmparser::Operator::I32Sub)));
            last = Some(operator);
        }
    }
    forced_yields
}

#[test]
fn code_without_loops_yields_on_its_way() {
    let units = |count: i32| "nop (drop (i32.const 1))".repeat(count as usize);
    let part = QUANTUM / 10;
    assert_eq!(forced_yields(&format!("(module (func {}))", units(part * 4))), 0);
    assert_eq!(forced_yields(&format!("(module (func {}))", units(part * 11))), 2);
    // Only one of two branches is taken.
    let ways = format!("(if (local.get 0) (then {0}) (else {0}))", units(part * 3));
    assert_eq!(forced_yields(&format!("(module (func (param i32) {ways}))")), 0);
    // A yield on a path that a branch skips does not count.
    let around = format!("(block (br_if 0 (local.get 0)) {})", units(part * 3));
    assert_eq!(forced_yields(&format!("(module (func (param i32) {0} {around} {0}))", units(part * 3))), 2);
}

#[test]
fn the_growth_of_a_module_of_short_loops_is_limited() {
    let short = |count: usize| {
        let function = format!("(func (param i32) {})", "loop nop nop nop nop local.get 0 br_if 0 end ".repeat(20));
        wat(&format!("(module {})", function.repeat(count / 20)))
    };
    let few = rewrite(&short(20), CONFIG).unwrap().len() / 20;
    let many = rewrite(&short(300_000), CONFIG).unwrap().len() / 300_000;
    assert!(many * 2 < few, "{few} bytes for each of a few loops, {many} for each of many");
}

#[test]
fn ordinary_guests_only_have_inline_charges() {
    let guests = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/guests")).unwrap();
    let guests =
        guests.map(|guest| guest.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    let mut compared = 0;
    for guest in guests {
        let module = std::fs::read(&guest).unwrap();
        let Ok(rewritten) = rewrite(&module, CONFIG) else { continue };
        let in_place = rewrite_in_form(&module, CONFIG, Some(Form::Unrolled)).unwrap();
        assert!(rewritten == in_place.module, "{} pays in other forms", guest.display());
        compared += 1;
    }
    assert!(compared > 10, "{compared} guests");
}

#[test]
fn modules_that_consist_of_loops_charge_with_calls() {
    for shape in ["loop local.get 0 br_if 0 end ", "loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end "] {
        let module = |count| wat(&format!("(module (func (param i32) {}))", shape.repeat(count)));
        let few = rewrite_in_form(&module(10), CONFIG, Some(Form::Unrolled)).unwrap().module;
        assert!(rewrite(&module(10), CONFIG).unwrap() == few);
        let many = rewrite(&module(5000), CONFIG).unwrap();
        let original = module(5000);
        assert!(many.len() < original.len() * 2, "{} -> {} bytes", original.len(), many.len());
    }
}
