//! Tests that rewritten modules behave like the original: modules from wasm-smith are run both ways, with yields at
//! almost every charge, and all observations are compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use wasm_smith::{Config, Module};
use wasmer::{Function, Imports, Instance, Store, Value};

use super::comparison::{Comparison, Observation, first_line, value_bits};
use super::*;

/// A quantum that makes a module yield all the time.
const SMALL_QUANTUM: i32 = 3;
const CONFIG: MeterConfig = MeterConfig {
    quantum: SMALL_QUANTUM,
    memory_pages: 16,
    table_elements: 100_000,
    frame_model: FrameModel::Arguments,
};
const MODULES: usize = 1000;
const PAGE: usize = 65_536;

fn config() -> Config {
    Config {
        canonicalize_nans: true,
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        max_imports: 0,
        max_instructions: 300,
        max_memories: 1,
        max_memory32_bytes: 16 * PAGE as u64,
        max_table_elements: 1000,
        memory64_enabled: false,
        // Without maxima, only the rewriting limits growth, which is an intended difference.
        memory_max_size_required: true,
        table_max_size_required: true,
        min_funcs: 5,
        min_exports: 5,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// The imports that generated modules choose from.
const IMPORTS: &str = r#"(module
    (import "wapc" "__guest_request" (func (param i32 i32)))
    (import "wapc" "__guest_response" (func (param i32 i32)))
    (import "wapc" "__console_log" (func (param i32 i32)))
    (import "wapc" "__host_response" (func (param i32)))
    (import "wapc" "__host_error_len" (func (result i32)))
    (import "wapc" "__host_call" (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32))))"#;

/// Runs generated modules both ways until `modules` of them have been compared.
fn compare(config: &Config, modules: usize, seed: RngAlgorithm) -> (usize, u64, usize) {
    let mut random = TestRng::deterministic_rng(seed);
    let mut yields = 0;
    let mut compared = 0;
    let mut observations = 0;
    let mut called = 0;
    while compared < modules {
        let mut seed = vec![0; 8192];
        random.fill_bytes(&mut seed);
        let Ok(mut made) = Module::new(config.clone(), &mut arbitrary::Unstructured::new(&seed)) else { continue };
        made.ensure_termination(2000).unwrap();
        let module = made.to_bytes();
        // The module's size determines the form, so each form has to work for every module.
        let form = [None, Some(Form::Inline), Some(Form::Calls)][compared % 3];
        let rewritten = rewrite_in_form(&module, CONFIG, form).unwrap().module;
        Validator::new_with_features(FEATURES | WasmFeatures::THREADS).validate_all(&rewritten).unwrap();
        let Comparison { before, after, usage } = comparison::run_both_ways(&module, CONFIG, form).unwrap().unwrap();
        assert_eq!(before, after, "module {compared}, paying in the form {form:?}");
        observations += before.len();
        let calls =
            before.iter().filter(|observed| matches!(observed, Observation::Called(calls) if !calls.is_empty()));
        called += calls.count();
        yields += usage.yields.get();
        compared += 1;
    }
    println!("{compared} modules, {observations} observations compared, {yields} yields, no difference");
    (observations, yields, called)
}

#[test]
fn rewritten_modules_behave_like_the_original() {
    let (observations, yields, _) = compare(&config(), MODULES, RngAlgorithm::ChaCha);
    assert!(observations > 1000 && yields > 100_000, "{observations}, {yields} yields: too few to tell anything");
}

#[test]
fn rewritten_guests_make_the_same_calls() {
    let imports = Some(wat::parse_str(IMPORTS).unwrap());
    let guests = Config { available_imports: imports, min_imports: 1, max_imports: 6, ..config() };
    let (_, _, called) = compare(&guests, MODULES / 4, RngAlgorithm::XorShift);
    assert!(called > 20, "{called} guests that call something: too few to tell anything");
}

/// Returns a module of many active data segments, mixed with passive ones and partly out of bounds.
fn segments(random: &mut TestRng) -> Vec<u8> {
    let mut text = String::from(r#"(module (memory (export "memory") 2)"#);
    let count = 65 + random.next_u32() % 40;
    let bad = random.next_u32().is_multiple_of(4);
    for number in 0..count {
        let to = random.next_u32() % 70_000;
        let length = (random.next_u32() % 40) as usize;
        let bytes = char::from(b'a' + (number % 26) as u8).to_string().repeat(length);
        match random.next_u32() % 5 {
            0 => text += &format!(r#"(data "{bytes}passive")"#),
            1 if bad => text += &format!(r#"(data (i32.const {}) "{bytes}")"#, 131_060 + to % 30),
            _ => text += &format!(r#"(data (i32.add (i32.const {to}) (i32.const 3)) "{bytes}")"#),
        }
    }
    for number in 0..count {
        let from = random.next_u32() % 3;
        let length = random.next_u32() % 6;
        text += &format!(
            r#"(func (export "{number}") (memory.init {number} (i32.const {}) (i32.const {from}) (i32.const {length}))
                (data.drop {number}))"#,
            number * 900
        );
    }
    // Enough active segments for the host to write them.
    text += &r#"(data (i32.const 5) "")"#.repeat(65);
    wat::parse_str(text + ")").unwrap()
}

#[test]
fn data_that_the_host_writes_is_unchanged() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut trapped = 0;
    for _ in 0..60 {
        let module = segments(&mut random);
        assert!(DataSegments::of(&module).unwrap().is_some());
        let Comparison { before, after, .. } = comparison::run_both_ways(&module, CONFIG, None).unwrap().unwrap();
        // The texts of the traps differ: the engine's names the address.
        let is_trap = |observed: &[Observation]| matches!(observed, [Observation::Trapped(_)]);
        assert_eq!(is_trap(&before), is_trap(&after));
        if is_trap(&before) {
            trapped += 1;
        } else {
            assert_eq!(before, after);
        }
    }
    assert!((5..55).contains(&trapped), "{trapped} of them do not fit");
}

/// Returns a module with operations on ranges of a memory of several chunks, and a data segment of two chunks.
fn ranges() -> Vec<u8> {
    let bytes: String = (0..plan::BULK_CHUNK + 5000).map(|number| char::from(b'a' + (number % 23) as u8)).collect();
    let text = format!(
        r#"(module
            (memory (export "memory") 80)
            (data $bytes "{bytes}")
            (func (export "fill") (param i32 i32 i32)
                (memory.fill (local.get 0) (local.get 1) (local.get 2)))
            (func (export "copy") (param i32 i32 i32)
                (memory.copy (local.get 0) (local.get 1) (local.get 2)))
            (func (export "init") (param i32 i32 i32)
                (loop
                    (memory.init $bytes (local.get 0) (local.get 1) (local.get 2))
                    (br_if 0 (i32.eqz (i32.const 1)))))
            (func (export "drop") (param i32 i32 i32) (data.drop $bytes)))"#
    );
    wat::parse_str(text).unwrap()
}

/// An instance of a module, and its store.
struct Running {
    store: Store,
    instance: Instance,
}

impl Running {
    fn new(module: &[u8], yields: &Arc<AtomicU64>) -> Running {
        let mut store = Store::default();
        let module = wasmer::Module::new(&store, module).unwrap();
        let mut imports = Imports::new();
        let counted = yields.clone();
        let yield_function = Function::new_typed(&mut store, move |fuel: i32| {
            counted.fetch_add(1, Ordering::Relaxed);
            fuel.saturating_add(QUANTUM)
        });
        imports.define(YIELD.0, YIELD.1, yield_function);
        imports.define(TICK.0, TICK.1, Function::new_typed(&mut store, |_: i32| 0));
        let instance = Instance::new(&mut store, &module, &imports).unwrap();
        Running { store, instance }
    }

    fn call(&mut self, name: &str, arguments: [u32; 3]) -> Observation {
        let function = self.instance.exports.get_function(name).unwrap();
        let arguments = arguments.map(|argument| Value::I32(argument.cast_signed()));
        match function.call(&mut self.store, &arguments) {
            Ok(answers) => Observation::Answered(answers.iter().map(value_bits).collect()),
            Err(error) => Observation::Trapped(first_line(&error.message())),
        }
    }

    fn memory(&self) -> Vec<u8> {
        self.instance.exports.get_memory("memory").unwrap().view(&self.store).copy_to_vec().unwrap()
    }
}

/// Returns a number near a boundary: of a chunk, of the memory, or of 32 bits.
fn boundary_number(random: &mut TestRng) -> u32 {
    let near = match random.next_u32() % 8 {
        0 => 0,
        1 => u32::MAX,
        2 => 80 * PAGE as u32,
        3..=5 => plan::BULK_CHUNK * (random.next_u32() % 5),
        _ => random.next_u32() % (80 * PAGE as u32),
    };
    near.wrapping_add(random.next_u32() % 7).wrapping_sub(3)
}

#[test]
fn large_ranges_behave_the_same_in_chunks() {
    compare_large_ranges(Form::Inline);
}

#[test]
fn large_ranges_that_are_charged_with_calls_behave_the_same() {
    compare_large_ranges(Form::Calls);
}

fn compare_large_ranges(form: Form) {
    let module = ranges();
    let config =
        MeterConfig { quantum: QUANTUM, memory_pages: 80, table_elements: 0, frame_model: FrameModel::Arguments };
    let rewritten = rewrite_in_form(&module, config, Some(form)).unwrap().module;
    let yields = Arc::new(AtomicU64::new(0));
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut before = Running::new(&module, &yields);
    let mut after = Running::new(&rewritten, &yields);
    let mut answered = 0;
    let mut trapped = 0;
    for number in 0..600 {
        let name = if number == 550 { "drop" } else { ["fill", "copy", "copy", "init"][number % 4] };
        let arguments = [(); 3].map(|()| boundary_number(&mut random));
        let observed = before.call(name, arguments);
        assert_eq!(observed, after.call(name, arguments), "{name} {arguments:?}");
        assert!(before.memory() == after.memory(), "{name} {arguments:?} left another memory");
        *(if matches!(observed, Observation::Answered(_)) { &mut answered } else { &mut trapped }) += 1;
    }
    let yields = yields.load(Ordering::Relaxed);
    println!("{answered} operations on ranges, {trapped} out of bounds, {yields} yields, no difference");
    assert!(
        answered > 100 && trapped > 100 && yields > 100,
        "{answered}, {trapped}, {yields}: too few to tell anything"
    );
}
