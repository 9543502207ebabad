//! Runs a module before and after rewriting and records everything observable, for tests and the fuzz target `metered`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use cpu_time::ThreadTime;
use send_wrapper::SendWrapper;
use wasmer::{AsStoreMut, Extern, Function, FunctionType, Imports, Instance, Memory, Store, Type, Value};

use super::{DataSegments, Form, MeterConfig, NAMESPACE, START, TICK, YIELD, rewrite_in_form};
use crate::{Compiler, interface};

/// An observation of a module that runs: the results or trap of a function, the calls of imports, or the final state.
#[derive(Debug, PartialEq)]
pub(super) enum Observation {
    Answered(Vec<String>),
    Trapped(String),
    Called(Vec<String>),
    Left(u64),
    Global(String),
}

/// The uses of the meter.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) yields: Cell<u64>,
    /// The longest processor time between two requests for fuel.
    pub(super) longest: Cell<Duration>,
    calls: RefCell<Vec<String>>,
}

type Shared = SendWrapper<Rc<Usage>>;

/// The observations of a module before and after rewriting.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) before: Vec<Observation>,
    pub(super) after: Vec<Observation>,
    pub(super) usage: Rc<Usage>,
}

/// Runs a module both ways, with all functions in this form if one is given. Returns `None` if the module is refused or
/// the engine does not run it unmetered.
///
/// # Errors
/// Returns the error of the engine if it does not run the metered module.
pub(super) fn run_both_ways(
    module: &[u8],
    config: MeterConfig,
    form: Option<Form>,
) -> Result<Option<Comparison>, String> {
    let (Ok(rewritten), Ok(data)) = (rewrite_in_form(module, config, form), DataSegments::of(module)) else {
        return Ok(None);
    };
    let rewritten = rewritten.module;
    let Ok(before) = run(module, None, config.quantum, &Rc::default()) else { return Ok(None) };
    let usage = Rc::new(Usage::default());
    let after = run(&rewritten, data.as_ref(), config.quantum, &usage)?;
    Ok(Some(Comparison { before, after, usage }))
}

fn run(
    module: &[u8],
    data: Option<&DataSegments>,
    quantum: i32,
    usage: &Rc<Usage>,
) -> Result<Vec<Observation>, String> {
    let mut store = Store::new(Compiler::default().engine(std::num::NonZero::<usize>::MIN));
    let module = wasmer::Module::new(&store, module).map_err(|error| error.to_string())?;
    let imports = imports(&mut store, quantum, usage);
    let instance = match Instance::new(&mut store, &module, &imports) {
        Ok(instance) => instance,
        Err(error) => return Ok(vec![Observation::Trapped(first_line(&error.to_string()))]),
    };
    if !data.is_none_or(|data| write(data, &instance, &store)) {
        return Ok(vec![Observation::Trapped("out of bounds memory access".to_owned())]);
    }
    if let Ok(start) = instance.exports.get_function(START)
        && let Err(error) = start.call(&mut store, &[])
    {
        // The start function of the original module would have trapped during the instantiation.
        return Ok(vec![Observation::Trapped(first_line(&error.message()))]);
    }
    Ok(observe(&instance, &mut store, usage))
}

fn observe(instance: &Instance, store: &mut Store, usage: &Usage) -> Vec<Observation> {
    let mut observed = Vec::new();
    let mut exports: Vec<_> = instance.exports.iter().filter(|(name, _)| *name != START).collect();
    exports.sort_by_key(|(name, _)| name.to_string());
    for (_, export) in &exports {
        if let Extern::Function(function) = export {
            observed.push(call(store, function));
        }
    }
    for (_, export) in &exports {
        match export {
            Extern::Memory(memory) => observed.push(Observation::Left(sum(memory, store))),
            Extern::Global(global) => observed.push(Observation::Global(value_bits(&global.get(store)))),
            Extern::Table(table) => observed.push(Observation::Left(u64::from(table.size(store)))),
            _ => {}
        }
    }
    observed.push(Observation::Called(usage.calls.take()));
    observed
}

/// Returns the imports of a module: the meter's functions, and waPC functions that record their arguments.
fn imports(store: &mut Store, quantum: i32, usage: &Rc<Usage>) -> Imports {
    let mut imports = Imports::new();
    let ticking = SendWrapper::new(usage.clone());
    let yielding = SendWrapper::new(usage.clone());
    let since = SendWrapper::new(Cell::new(ThreadTime::now()));
    let tick = move |_: i32| {
        ticking.longest.set(ticking.longest.get().max(since.get().elapsed()));
        since.set(ThreadTime::now());
        // Makes the guest yield each time.
        0
    };
    let yields = move |_: i32| {
        yielding.yields.set(yielding.yields.get() + 1);
        quantum
    };
    imports.define(TICK.0, TICK.1, Function::new_typed(store, tick));
    imports.define(YIELD.0, YIELD.1, Function::new_typed(store, yields));
    for function in interface::FUNCTIONS {
        let plain = function.returns_value.then_some(Value::I32(1));
        imports.define("wapc", function.name, recording(store, function, plain, usage));
        if !function.returns_value {
            imports.define(NAMESPACE, function.name, recording(store, function, Some(Value::I32(quantum / 2)), usage));
        }
    }
    imports
}

fn recording(
    store: &mut Store,
    function: interface::HostFunction,
    answer: Option<Value>,
    usage: &Rc<Usage>,
) -> Function {
    let parameters = vec![Type::I32; function.parameters as usize];
    let results: &[Type] = if answer.is_some() { &[Type::I32] } else { &[] };
    let usage: Shared = SendWrapper::new(usage.clone());
    let answer = SendWrapper::new(answer);
    Function::new(store, FunctionType::new(parameters, results), move |arguments| {
        usage.calls.borrow_mut().push(format!("{} {arguments:?}", function.name));
        Ok(answer.iter().cloned().collect())
    })
}

/// Writes the data segments that the host writes. Returns whether they fit.
fn write(data: &DataSegments, instance: &Instance, store: &Store) -> bool {
    let memories = instance.exports.iter().filter_map(|(_, export)| match export {
        Extern::Memory(memory) => Some(memory),
        _ => None,
    });
    let Some(memory) = memories.into_iter().next() else { return false };
    data.iter().all(|(to, bytes)| memory.view(store).write(u64::from(to), bytes).is_ok())
}

fn call(store: &mut impl AsStoreMut, function: &Function) -> Observation {
    let arguments: Vec<Value> = function.ty(store).params().iter().map(argument).collect();
    match function.call(store, &arguments) {
        Ok(answers) => Observation::Answered(answers.iter().map(value_bits).collect()),
        Err(error) => Observation::Trapped(first_line(&error.message())),
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

fn sum(memory: &Memory, store: &Store) -> u64 {
    let bytes = memory.view(store).copy_to_vec().unwrap_or_default();
    bytes.iter().fold(bytes.len() as u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte))
}

/// Returns a value by its bits, and a reference by whether it is null, since the addresses of functions differ.
pub(super) fn value_bits(value: &Value) -> String {
    match value {
        Value::F32(value) => format!("{:x}", value.to_bits()),
        Value::F64(value) => format!("{:x}", value.to_bits()),
        Value::FuncRef(function) => function.is_some().to_string(),
        Value::ExternRef(reference) => reference.is_some().to_string(),
        other => format!("{other:?}"),
    }
}

/// Returns the first line of a trap's text, without the backtrace.
pub(super) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim_start_matches("RuntimeError: ").to_owned()
}
