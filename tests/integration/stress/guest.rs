//! Random guests. Each has a few operations, named by a letter, of a few steps each: to compute, to call others, to
//! grow, to recurse, to trap, to fail, or never to end. In `Ping` each answers at once.

use std::fmt::Write;

use super::chance::Chance;
use super::freezer::FREEZER;
use super::world::PLUGIN;

/// The operations of each guest.
pub(super) const OPERATIONS: [&str; 4] = ["A", "B", "C", "D"];

/// Where the texts of the guest's calls begin in its memory.
const TEXTS: usize = 4096;

/// The module of a guest that calls some of these: contracts with an operation, and actors by their aliases.
pub(super) fn module(chance: &mut Chance, called: &[(&str, &str)]) -> Vec<u8> {
    let mut texts = String::new();
    let mut at = TEXTS;
    let mut text = |text: &str| {
        writeln!(texts, "(data (i32.const {at}) \"{text}\")").unwrap();
        at += text.len();
        format!("(i32.const {}) (i32.const {})", at - text.len(), text.len())
    };
    let mut operations = String::new();
    for name in OPERATIONS {
        let mut steps = String::new();
        for _ in 0..=chance.below(4) {
            steps.push_str(&step(chance, called, &mut text));
        }
        let letter = name.as_bytes()[0];
        writeln!(operations, "(if (i32.eq (i32.load8_u (i32.const 64)) (i32.const {letter})) (then {steps}))").unwrap();
    }
    let start = match chance.below(4) {
        0 => step_of_start(chance, &mut text),
        _ => String::new(),
    };
    let module = format!(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            {texts}
            (func $recurse (param $left i32) (result i32)
                (if (result i32) (local.get $left)
                    (then (i32.add (call $recurse (i32.sub (local.get $left) (i32.const 1))) (i32.const 1)))
                    (else (i32.const 0))))
            (func $compute (param $left i32)
                (loop $more
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $more (local.get $left))))
            {start}
            (func (export "__guest_call") (param $operation i32) (param $message i32) (result i32)
                (call $request (i32.const 64) (i32.const 128))
                (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 0x50)) (then {operations}))
                (call $response (i32.const 64) (local.get $operation))
                (i32.const 1)))"#
    );
    wat::parse_str(module).unwrap()
}

/// One step of an operation.
fn step(chance: &mut Chance, called: &[(&str, &str)], text: &mut impl FnMut(&str) -> String) -> String {
    match chance.below(24) {
        0 => "(unreachable)".to_owned(),
        1 => "(loop $for_ever (br $for_ever))".to_owned(),
        2 => "(return (i32.const 0))".to_owned(),
        3 => "(drop (memory.grow (i32.const 2)))".to_owned(),
        4 => format!("(drop (call $recurse (i32.const {})))", [100, 1_000_000][chance.below(2)]),
        5..=8 => format!("(call $compute (i32.const {}))", 1 + chance.below(3_000_000)),
        9..=12 => format!("(if (i32.eqz {}) (then unreachable))", call(chance, called, text)),
        _ => format!("(drop {})", call(chance, called, text)),
    }
}

/// What a guest does in its start: nothing that fails, or takes too long, where no provider is frozen.
fn step_of_start(chance: &mut Chance, text: &mut impl FnMut(&str) -> String) -> String {
    let step = if chance.once_in(2) {
        format!("(call $compute (i32.const {}))", 1 + chance.below(100_000))
    } else {
        format!("(drop {})", call(chance, &[(FREEZER, "Work"), (PLUGIN, "Add")], text))
    };
    format!(r#"(func (export "wapc_init") {step})"#)
}

fn call(chance: &mut Chance, called: &[(&str, &str)], text: &mut impl FnMut(&str) -> String) -> String {
    let (namespace, operation) = *chance.pick(called);
    let (namespace, operation) = (text(namespace), text(operation));
    format!("(call $call (i32.const 0) (i32.const 0) {namespace} {operation} (i32.const 0) (i32.const 0))")
}
