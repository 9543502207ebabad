//! Tests that estimates grow like the time of compilation.

use super::*;
use crate::meter::plan::Plan;

/// Returns the cost of the first function of an unmetered module.
fn cost(text: &str) -> Cost {
    Plan::of(&wat::parse_str(text).unwrap()).unwrap().functions[0].cost
}

fn function(body: &str) -> Cost {
    cost(&format!("(module (func (param i32) {body}))"))
}

/// Returns the cost of nested loops, each of which counts down.
fn nested(loops: usize) -> Cost {
    let turns = "local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end ";
    function(&format!("{}{}", "loop ".repeat(loops), turns.repeat(loops)))
}

#[test]
fn straight_line_code_is_only_work_in_proportion_to_its_length() {
    let straight = |count: usize| function(&"(local.set 0 (i32.mul (local.get 0) (i32.const 3)))".repeat(count));
    assert_eq!(straight(1000).superlinear, 0);
    let more = straight(2000).work - straight(1000).work;
    assert_eq!(straight(3000).work - straight(2000).work, more);
    assert!(!straight(1_000_000).is_excessive());
}

#[test]
fn nested_loops_are_superlinear() {
    let ratio = nested(400).superlinear as f64 / nested(200).superlinear as f64;
    assert!(ratio > 4.0, "twice as deep costs {ratio} times as much");
    assert!(!nested(100).is_excessive() && nested(5000).is_excessive());
}

#[test]
fn loops_without_back_edges_are_not_superlinear() {
    let cost = function(&format!("{}{}", "loop ".repeat(5000), "(local.set 0 (local.get 0)) end ".repeat(5000)));
    assert!(!cost.is_excessive(), "{cost:?}");
}

#[test]
fn locals_in_many_loops_are_superlinear() {
    let many = |count: usize| {
        let each: String =
            (1..=count).map(|local| format!("(br_if 0 (local.tee {local} (local.get 0))) end ")).collect();
        let code = format!("{}{each}", "loop ".repeat(count));
        cost(&format!("(module (func (param i32) (local {}) {code}))", "i32 ".repeat(count)))
    };
    assert!(!many(50).is_excessive() && many(1000).is_excessive());
    // Loops in sequence have a parameter for their own local only.
    let beside: String =
        (1..=1000).map(|local| format!("loop (br_if 0 (local.tee {local} (local.get 0))) end ")).collect();
    assert!(!cost(&format!("(module (func (param i32) (local {}) {beside}))", "i32 ".repeat(1000))).is_excessive());
}

#[test]
fn values_that_live_across_many_blocks_are_superlinear() {
    let across = |values: usize, blocks: usize| {
        let before = "(i32.load (local.get 0)) ".repeat(values);
        let after = "drop ".repeat(values);
        let between = "(if (local.get 0) (then (local.set 0 (i32.const 1))))".repeat(blocks);
        cost(&format!("(module (func (param i32) {before}{between}{after}) (memory 1))"))
    };
    assert!(!across(100, 1000).is_excessive() && across(20_000, 20_000).is_excessive());
}

#[test]
fn unreachable_code_costs_nothing() {
    let code = "(loop (br_if 0 (i32.const 1)))".repeat(1000);
    let end = function("return");
    assert_eq!(function(&format!("return {code}")), end);
    let in_block = function(&format!("(block return {code})"));
    assert!(in_block.total() < end.total() + 10, "{in_block:?}");
}

#[test]
fn passing_many_values_is_work() {
    let passing = |values: usize| {
        let ty = "i32 ".repeat(values);
        let given = "(i32.const 1) ".repeat(values);
        let dropped = "drop ".repeat(values);
        let body = format!("{given} {} {dropped}", "(call 1) ".repeat(100));
        cost(&format!("(module (func {body}) (func (param {ty}) (result {ty}) unreachable))"))
    };
    assert!(passing(100).work > passing(10).work * 5);
}

#[test]
fn types_that_pass_many_values_are_superlinear() {
    let of_types = |values: u32, count: usize| {
        let mut cost = ModuleCost::default();
        (0..count).for_each(|_| cost.add_type(Arity { parameters: values, results: values }));
        cost.all
    };
    assert!(!of_types(5, 10_000).is_excessive() && !of_types(1000, 5).is_excessive());
    assert!(of_types(1000, 1000).is_excessive());
}

#[test]
fn many_blocks_are_superlinear() {
    let blocks = |count: usize| function(&"(block (br_if 0 (local.get 0)))".repeat(count));
    assert!(!blocks(5000).is_excessive() && blocks(100_000).is_excessive());
}
