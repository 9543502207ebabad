//! Every operation that takes more than a moment, and those of which many fit into one.

use wasmcloud_host::ErrorKind;

use super::{Figures, guest, measure, with_one_shard};

/// What the operations work on.
const PARTS: &str = r#"
    (type $number (func (param i64) (result i64)))
    (table $large 100000 100000 funcref)
    (table $other 100000 100000 externref)
    (table $growing 0 100000 funcref)
    (elem $passive func $empty $empty $empty)
    (elem $functions declare func $empty)
    (data $bytes "some bytes")
    (global $g (mut i64) (i64.const 7))
    (func $empty)
    (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))"#;

/// Moves the local to the next page of the memory, and around.
const NEXT: &str = "(local.set $i (i32.and (i32.add (local.get $i) (i32.const 4096)) (i32.const 0x0fffffff)))";

#[actix_rt::test]
async fn whatever_a_guest_executes() {
    let branches = "$a ".repeat(1000);
    let touches: String =
        (0..4000).map(|page| format!("(i32.store (i32.const {}) (i32.const 1))", page * 4096)).collect();
    let cases = [
        ("touches each page with a store", format!("(i32.store (local.get $i) (i32.const 1)) {NEXT}")),
        ("touches each page with a load", format!("(drop (i32.load (local.get $i))) {NEXT}")),
        ("touches each page with v128.store", format!("(v128.store (local.get $i) (local.get $v)) {NEXT}")),
        ("touches each page with a lane", format!("(v128.store8_lane 0 (local.get $i) (local.get $v)) {NEXT}")),
        (
            "touches each page with memory.fill",
            format!("(memory.fill (local.get $i) (i32.const 1) (i32.const 1)) {NEXT}"),
        ),
        (
            "touches each page with memory.copy",
            format!("(memory.copy (local.get $i) (i32.const 0) (i32.const 1)) {NEXT}"),
        ),
        (
            "touches each page with memory.init",
            format!("(memory.init $bytes (local.get $i) (i32.const 0) (i32.const 1)) {NEXT}"),
        ),
        ("touches each page with a fetch", format!("(call $guest_request (local.get $i) (local.get $i)) {NEXT}")),
        ("touches pages in a row without a loop", touches),
        ("memory.fill of all", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x10000000))".into()),
        ("memory.fill of a portion", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x100000))".into()),
        ("memory.copy of nearly all", "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0x0fffffff))".into()),
        ("memory.copy of a portion", "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0x100000))".into()),
        ("memory.copy of nothing", "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0))".into()),
        ("memory.grow by nothing", "(drop (memory.grow (i32.const 0)))".into()),
        ("memory.grow beyond", "(drop (memory.grow (i32.const 1)))".into()),
        ("memory.size", "(drop (memory.size))".into()),
        ("table.fill", "(table.fill $large (i32.const 0) (ref.func $empty) (i32.const 100000))".into()),
        ("table.fill of externref", "(table.fill $other (i32.const 0) (ref.null extern) (i32.const 100000))".into()),
        ("table.copy", "(table.copy $large $large (i32.const 1) (i32.const 0) (i32.const 99999))".into()),
        ("table.init", "(table.init $large $passive (i32.const 9) (i32.const 0) (i32.const 3))".into()),
        ("table.grow by one", "(drop (table.grow $growing (ref.null func) (i32.const 1)))".into()),
        ("table.grow beyond", "(drop (table.grow $large (ref.null func) (i32.const 100000)))".into()),
        ("table.get and table.set", "(table.set $large (i32.const 1) (table.get $large (i32.const 0)))".into()),
        ("table.size", "(drop (table.size $large))".into()),
        ("ref.func", "(drop (ref.is_null (ref.func $empty)))".into()),
        ("data.drop and elem.drop", "(data.drop $bytes) (elem.drop $passive)".into()),
        (
            "call_indirect",
            "(table.set $large (i32.const 0) (ref.func $empty))
            (call_indirect $large (type $none) (i32.const 0))"
                .into(),
        ),
        ("br_table", format!("(block $a (br_table {branches} (i32.const 999)))")),
        ("i64.div_s", "(local.set $x (i64.div_s (i64.const -1) (global.get $g)))".into()),
        ("i64.rem_u", "(local.set $x (i64.rem_u (i64.const -1) (global.get $g)))".into()),
        ("f64.sqrt", "(local.set $x (i64.reinterpret_f64 (f64.sqrt (f64.const 2e300))))".into()),
        ("f64.nearest", "(local.set $x (i64.reinterpret_f64 (f64.nearest (f64.const 2.5))))".into()),
        ("i64.trunc_sat_f64_u", "(local.set $x (i64.trunc_sat_f64_u (f64.const 1e300)))".into()),
        ("f64x2.div", "(local.set $v (f64x2.div (local.get $v) (local.get $v)))".into()),
        ("f64x2.sqrt", "(local.set $v (f64x2.sqrt (local.get $v)))".into()),
        (
            "i8x16.shuffle",
            "(local.set $v (i8x16.shuffle 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0
            (local.get $v) (local.get $v)))"
                .into(),
        ),
        ("i8x16.popcnt", "(local.set $v (i8x16.popcnt (local.get $v)))".into()),
        ("i64x2.mul", "(local.set $v (i64x2.mul (local.get $v) (local.get $v)))".into()),
        ("calls in depth", "(call $deep (i32.const 1000))".into()),
        ("nothing", "(nop)".into()),
    ];
    with_one_shard(async |host| {
        let mut figures = Figures::new("operations");
        // Singlepass knows no vectors.
        let without_vectors = std::env::var("WASMCLOUD_TEST_COMPILER").is_ok_and(|compiler| compiler == "singlepass");
        for (what, again) in cases.iter().filter(|(_, again)| !without_vectors || !again.contains("$v)")) {
            measure(&host, &mut figures, what, &guest(PARTS, "", again), b"", ErrorKind::DeadlineExceeded).await;
        }
        figures.judge();
    })
    .await;
}
