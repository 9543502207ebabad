//! Compiling a module with the meter in it takes at most three times as long as compiling it as it is, whatever its shape; or
//! the module is refused.

use std::num::NonZero;
use std::time::Duration;

use wasmcloud_host::{Compiler, ErrorKind, Limits, metered};
use wasmer::sys::EngineBuilder;

use super::shapes::{SHAPES, Shape};
use crate::support::in_own_process;

/// What every module takes more, whatever its size: the meter's own functions, and an allowance.
const FLOOR: Duration = Duration::from_millis(250);

const MOST: u32 = 3;

fn engine(compiler: Compiler) -> wasmer::Engine {
    let threads = NonZero::<usize>::MIN;
    match compiler {
        Compiler::Cranelift => {
            let mut cranelift = wasmer::sys::Cranelift::new();
            cranelift.num_threads(threads);
            EngineBuilder::new(cranelift).engine().into()
        }
        Compiler::Singlepass => {
            let mut singlepass = wasmer::sys::Singlepass::new();
            singlepass.num_threads(threads);
            EngineBuilder::new(singlepass).engine().into()
        }
        other => panic!("{other:?}"),
    }
}

/// How much time the processors have spent on this process, its former threads included.
fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>();
    Duration::from_millis(10 * ticks)
}

/// How much memory the process holds, or has held at most, in MiB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

struct Compiled {
    took: Duration,
    peak: u64,
}

fn compile(compiler: Compiler, module: &[u8]) -> Compiled {
    let engine = engine(compiler);
    let before = memory("VmRSS");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let begin = spent();
    let compiled = wasmer::Module::new(&engine, module);
    let took = spent() - begin;
    let peak = memory("VmHWM").saturating_sub(before);
    if let Err(error) = compiled {
        panic!("{error}");
    }
    Compiled { took, peak }
}

/// Compares one shape, and complains if its ratio is too large. A second look decides.
fn compare(compiler: Compiler, shape: &Shape, size: usize) -> Option<String> {
    let module = (shape.module)(size);
    let rewritten = match metered(&module, &Limits::new(), compiler) {
        Ok(rewritten) => rewritten,
        Err(refusal) => {
            assert_eq!(refusal.kind(), ErrorKind::InvalidModule);
            println!("{compiler:?} | {} | {size} | refused: {refusal}", shape.name);
            return None;
        }
    };
    let mut complaint = None;
    for _ in 0..2 {
        let original = compile(compiler, &module);
        let with_meter = compile(compiler, &rewritten);
        let ratio = with_meter.took.as_secs_f64() / original.took.as_secs_f64().max(0.01);
        let line = format!(
            "{compiler:?} | {} | {size} | {} -> {} B | {:?} -> {:?} | {ratio:.2} | {} -> {} MiB",
            shape.name,
            module.len(),
            rewritten.len(),
            original.took,
            with_meter.took,
            original.peak,
            with_meter.peak
        );
        println!("{line}");
        if with_meter.took <= original.took * MOST + FLOOR {
            return None;
        }
        complaint = Some(line);
    }
    complaint
}

fn compare_all(compiler: Compiler, sizes: &[usize]) {
    let wanted = std::env::var("WASMCLOUD_TEST_SHAPES").unwrap_or_default();
    let wanted = SHAPES.iter().filter(|shape| shape.name.contains(&wanted));
    let complaints: Vec<String> =
        wanted.flat_map(|shape| sizes.iter().filter_map(|&size| compare(compiler, shape, size))).collect();
    assert!(complaints.is_empty(), "{} too slow:\n{}", complaints.len(), complaints.join("\n"));
}

fn sizes(usual: &[usize]) -> Vec<usize> {
    let given = std::env::var("WASMCLOUD_TEST_SIZES").ok();
    given.map_or(usual.to_vec(), |sizes| sizes.split(',').map(|size| size.parse().unwrap()).collect())
}

#[test]
#[cfg(target_os = "linux")]
fn no_shape_of_code_takes_cranelift_three_times_as_long() {
    const NAME: &str = "compilation::cost::no_shape_of_code_takes_cranelift_three_times_as_long";
    in_own_process(NAME, async || compare_all(Compiler::Cranelift, &sizes(&[1000])));
}

#[test]
#[cfg(target_os = "linux")]
fn no_shape_of_code_takes_singlepass_three_times_as_long() {
    const NAME: &str = "compilation::cost::no_shape_of_code_takes_singlepass_three_times_as_long";
    in_own_process(NAME, async || compare_all(Compiler::Singlepass, &sizes(&[4000])));
}
