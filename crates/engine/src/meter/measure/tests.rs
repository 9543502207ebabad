//! What is measured grows as compiling does.

use super::*;
use crate::meter::plan::Plan;

/// What the first function of a module costs as it is.
fn cost(text: &str) -> Cost {
    Plan::of(&wat::parse_str(text).unwrap()).unwrap().functions[0].cost
}

fn function(body: &str) -> Cost {
    cost(&format!("(module (func (param i32) {body}))"))
}

/// Loops within one another, each of which counts down.
fn nested(loops: usize) -> Cost {
    let turns = "local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end ";
    function(&format!("{}{}", "loop ".repeat(loops), turns.repeat(loops)))
}

#[test]
fn straight_code_is_work_alone_and_in_proportion_to_its_length() {
    let straight = |count: usize| function(&"(local.set 0 (i32.mul (local.get 0) (i32.const 3)))".repeat(count));
    assert_eq!(straight(1000).steep, 0);
    let more = straight(2000).work - straight(1000).work;
    assert_eq!(straight(3000).work - straight(2000).work, more);
    assert!(!straight(1_000_000).is_too_steep());
}

#[test]
fn nesting_of_loops_is_steep() {
    let ratio = nested(400).steep as f64 / nested(200).steep as f64;
    assert!(ratio > 4.0, "twice as deep costs {ratio} times as much");
    assert!(!nested(100).is_too_steep() && nested(5000).is_too_steep());
}

#[test]
fn loops_that_nothing_goes_back_to_are_not_steep() {
    let cost = function(&format!("{}{}", "loop ".repeat(5000), "(local.set 0 (local.get 0)) end ".repeat(5000)));
    assert!(!cost.is_too_steep(), "{cost:?}");
}

#[test]
fn locals_in_many_loops_are_steep() {
    let many = |count: usize| {
        let each: String =
            (1..=count).map(|local| format!("(br_if 0 (local.tee {local} (local.get 0))) end ")).collect();
        let code = format!("{}{each}", "loop ".repeat(count));
        cost(&format!("(module (func (param i32) (local {}) {code}))", "i32 ".repeat(count)))
    };
    assert!(!many(50).is_too_steep() && many(1000).is_too_steep());
    // One after the other, each loop has a parameter for its own alone.
    let beside: String =
        (1..=1000).map(|local| format!("loop (br_if 0 (local.tee {local} (local.get 0))) end ")).collect();
    assert!(!cost(&format!("(module (func (param i32) (local {}) {beside}))", "i32 ".repeat(1000))).is_too_steep());
}

#[test]
fn values_that_live_across_many_blocks_are_steep() {
    let across = |values: usize, blocks: usize| {
        let (before, after) = ("(i32.load (local.get 0)) ".repeat(values), "drop ".repeat(values));
        let between = "(if (local.get 0) (then (local.set 0 (i32.const 1))))".repeat(blocks);
        cost(&format!("(module (func (param i32) {before}{between}{after}) (memory 1))"))
    };
    assert!(!across(100, 1000).is_too_steep() && across(20_000, 20_000).is_too_steep());
}

#[test]
fn what_is_never_reached_costs_nothing() {
    let code = "(loop (br_if 0 (i32.const 1)))".repeat(1000);
    let end = function("return");
    assert_eq!(function(&format!("return {code}")), end);
    let in_block = function(&format!("(block return {code})"));
    assert!(in_block.total() < end.total() + 10, "{in_block:?}");
}

#[test]
fn passing_many_values_is_work() {
    let passing = |values: usize| {
        let (ty, given) = ("i32 ".repeat(values), "(i32.const 1) ".repeat(values));
        let dropped = "drop ".repeat(values);
        let body = format!("{given} {} {dropped}", "(call 1) ".repeat(100));
        cost(&format!("(module (func {body}) (func (param {ty}) (result {ty}) unreachable))"))
    };
    assert!(passing(100).work > passing(10).work * 5);
}

#[test]
fn types_that_pass_many_values_are_steep() {
    let of_types = |values: u32, count: usize| {
        let mut cost = ModuleCost::default();
        (0..count).for_each(|_| cost.add_type(Arity { takes: values, leaves: values }));
        cost.all
    };
    assert!(!of_types(5, 10_000).is_too_steep() && !of_types(1000, 5).is_too_steep());
    assert!(of_types(1000, 1000).is_too_steep());
}

#[test]
fn many_blocks_are_steep() {
    let blocks = |count: usize| function(&"(block (br_if 0 (local.get 0)))".repeat(count));
    assert!(!blocks(5000).is_too_steep() && blocks(100_000).is_too_steep());
}
