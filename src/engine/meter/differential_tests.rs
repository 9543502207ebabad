//! A rewritten module does what the module did: modules made by wasm-smith are run both ways, with yields at almost every
//! payment, and everything that can be observed is compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use wasm_smith::{Config, Module};
use wasmer::{AsStoreMut, Extern, Function, Imports, Instance, Store, Type, Value};

use super::*;

/// So little that a module yields all the time.
const SMALL_QUANTUM: i32 = 3;
const BOUNDS: Bounds =
    Bounds { quantum: SMALL_QUANTUM, memory_pages: 16, table_elements: 100_000, frames: Frames::Arguments };
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
        // Without maxima of their own, growth is bounded by the rewriting alone, which is meant to differ.
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

/// What running a module shows: what each of its functions answered, or the trap it ended in, and what it left behind.
#[derive(Debug, PartialEq)]
enum Observed {
    Answered(Vec<String>),
    Trapped(String),
    Left(u64),
    Global(String),
}

fn run(module: &[u8], yields: &Arc<AtomicU64>) -> Result<Vec<Observed>, String> {
    let engine = crate::engine::Compiler::default().engine();
    let mut store = Store::new(engine);
    let module = wasmer::Module::new(&store, module).map_err(|error| error.to_string())?;
    let mut imports = Imports::new();
    let counted = yields.clone();
    let yield_function = Function::new_typed(&mut store, move |_: i32| {
        counted.fetch_add(1, Ordering::Relaxed);
        SMALL_QUANTUM
    });
    imports.define(YIELD.0, YIELD.1, yield_function);
    let instance = match Instance::new(&mut store, &module, &imports) {
        Ok(instance) => instance,
        Err(error) => return Ok(vec![Observed::Trapped(short(&error.to_string()))]),
    };
    let mut observed = Vec::new();
    if let Ok(start) = instance.exports.get_function(START)
        && let Err(error) = start.call(&mut store, &[])
    {
        // Then there would have been no instance.
        return Ok(vec![Observed::Trapped(short(&error.message()))]);
    }
    let mut exports: Vec<_> = instance.exports.iter().filter(|(name, _)| *name != START).collect();
    exports.sort_by_key(|(name, _)| name.to_string());
    for (_, export) in &exports {
        if let Extern::Function(function) = export {
            observed.push(call(&mut store, function));
        }
    }
    for (_, export) in &exports {
        match export {
            Extern::Memory(memory) => {
                let bytes = memory.view(&store).copy_to_vec().map_err(|error| error.to_string())?;
                let sum = bytes.iter().fold(bytes.len() as u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
                observed.push(Observed::Left(sum));
            }
            Extern::Global(global) => observed.push(Observed::Global(shown(&global.get(&mut store)))),
            Extern::Table(table) => observed.push(Observed::Left(u64::from(table.size(&store)))),
            _ => {}
        }
    }
    Ok(observed)
}

fn call(store: &mut impl AsStoreMut, function: &Function) -> Observed {
    let arguments: Vec<Value> = function.ty(store).params().iter().map(argument).collect();
    match function.call(store, &arguments) {
        Ok(answers) => Observed::Answered(answers.iter().map(shown).collect()),
        Err(error) => Observed::Trapped(short(&error.message())),
    }
}

fn argument(ty: &Type) -> Value {
    match ty {
        Type::I32 => Value::I32(7),
        Type::I64 => Value::I64(-3),
        Type::F32 => Value::F32(1.5),
        Type::F64 => Value::F64(-0.25),
        Type::V128 => Value::V128(0x0102_0304_0506_0708),
        Type::ExternRef => Value::ExternRef(None),
        Type::FuncRef => Value::FuncRef(None),
        Type::ExceptionRef => Value::ExceptionRef(None),
    }
}

/// A value by its bits; a reference by whether there is one, since functions have other addresses.
fn shown(value: &Value) -> String {
    match value {
        Value::F32(value) => format!("{:x}", value.to_bits()),
        Value::F64(value) => format!("{:x}", value.to_bits()),
        Value::FuncRef(function) => function.is_some().to_string(),
        Value::ExternRef(reference) => reference.is_some().to_string(),
        other => format!("{other:?}"),
    }
}

/// The kind of a trap, without the places in the code.
fn short(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim_start_matches("RuntimeError: ").to_owned()
}

#[test]
fn rewritten_modules_do_what_they_did() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let (yields, mut compared, mut calls) = (Arc::new(AtomicU64::new(0)), 0, 0);
    while compared < MODULES {
        let mut seed = vec![0; 8192];
        random.fill_bytes(&mut seed);
        let Ok(mut made) = Module::new(config(), &mut arbitrary::Unstructured::new(&seed)) else { continue };
        made.ensure_termination(2000).unwrap();
        let module = made.to_bytes();
        let rewritten = rewrite(&module, BOUNDS).unwrap();
        Validator::new_with_features(FEATURES | WasmFeatures::THREADS).validate_all(&rewritten).unwrap();
        let before = run(&module, &yields);
        let after = run(&rewritten, &yields);
        assert_eq!(before, after, "module {compared}");
        calls += before.map_or(0, |observed| observed.len());
        compared += 1;
    }
    let yields = yields.load(Ordering::Relaxed);
    println!("{compared} modules, {calls} observations compared, {yields} yields, no difference");
    assert!(calls > 1000 && yields > 100_000, "{calls} observations, {yields} yields: too few to tell anything");
}

/// Operations on ranges of a memory that takes several portions, with a data segment that takes two.
fn ranges() -> Vec<u8> {
    let bytes: String = (0..plan::PORTION + 5000).map(|number| char::from(b'a' + (number % 23) as u8)).collect();
    let text = format!(
        r#"(module
            (memory (export "memory") 80)
            (data $bytes "{bytes}")
            (func (export "fill") (param i32 i32 i32)
                (memory.fill (local.get 0) (local.get 1) (local.get 2)))
            (func (export "copy") (param i32 i32 i32)
                (memory.copy (local.get 0) (local.get 1) (local.get 2)))
            (func (export "init") (param i32 i32 i32)
                (loop (memory.init $bytes (local.get 0) (local.get 1) (local.get 2))))
            (func (export "drop") (param i32 i32 i32) (data.drop $bytes)))"#
    );
    wat::parse_str(text).unwrap()
}

/// A module that runs, and its memory.
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
        let instance = Instance::new(&mut store, &module, &imports).unwrap();
        Running { store, instance }
    }

    fn call(&mut self, name: &str, arguments: [u32; 3]) -> Observed {
        let function = self.instance.exports.get_function(name).unwrap();
        let arguments = arguments.map(|argument| Value::I32(argument.cast_signed()));
        match function.call(&mut self.store, &arguments) {
            Ok(answers) => Observed::Answered(answers.iter().map(shown).collect()),
            Err(error) => Observed::Trapped(short(&error.message())),
        }
    }

    fn memory(&self) -> Vec<u8> {
        self.instance.exports.get_memory("memory").unwrap().view(&self.store).copy_to_vec().unwrap()
    }
}

/// A number near one of those that matter: the ends of portions, of the memory, and of 32 bits.
fn telling_number(random: &mut TestRng) -> u32 {
    let near = match random.next_u32() % 8 {
        0 => 0,
        1 => u32::MAX,
        2 => 80 * PAGE as u32,
        3..=5 => plan::PORTION * (random.next_u32() % 5),
        _ => random.next_u32() % (80 * PAGE as u32),
    };
    near.wrapping_add(random.next_u32() % 7).wrapping_sub(3)
}

#[test]
fn large_ranges_are_what_they_were_in_portions() {
    let module = ranges();
    let rewritten =
        rewrite(&module, Bounds { quantum: QUANTUM, memory_pages: 80, table_elements: 0, frames: Frames::Arguments })
            .unwrap();
    let (yields, mut random) = (Arc::new(AtomicU64::new(0)), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (mut before, mut after) = (Running::new(&module, &yields), Running::new(&rewritten, &yields));
    let (mut answered, mut trapped) = (0, 0);
    for number in 0..600 {
        let name = if number == 550 { "drop" } else { ["fill", "copy", "copy", "init"][number % 4] };
        let arguments = [(); 3].map(|()| telling_number(&mut random));
        let observed = before.call(name, arguments);
        assert_eq!(observed, after.call(name, arguments), "{name} {arguments:?}");
        assert!(before.memory() == after.memory(), "{name} {arguments:?} left another memory");
        *(if matches!(observed, Observed::Answered(_)) { &mut answered } else { &mut trapped }) += 1;
    }
    let yields = yields.load(Ordering::Relaxed);
    println!("{answered} operations on ranges, {trapped} out of bounds, {yields} yields, no difference");
    assert!(
        answered > 100 && trapped > 100 && yields > 100,
        "{answered}, {trapped}, {yields}: too few to tell anything"
    );
}
