//! The driver: a module of one loop that is entered once and stays suspended between messages.
//!
//! Entering a guest through wasmer's asynchronous calls maps and unmaps a stack for each of them. The driver pays
//! for one stack and keeps it:
//!
//! ```text
//! loop { (operation_len, message_len) = next(code); code = __guest_call(operation_len, message_len) }
//! ```
//!
//! `next` takes what the last call returned (there is none at first) and suspends until there is another one.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::Poll;

use futures_util::FutureExt;
use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Module,
    TypeSection, ValType,
};
use wasmer::{FunctionType, Imports, Instance, Store, StoreAsync, Type, Value};

use super::exchange::Exchange;
use super::fault::Fault;
use super::mappings::{Mappings, Stacks};
use super::turns::InTurns;

const NEXT: (&str, &str) = ("driver", "next");
const CALL: (&str, &str) = ("guest", "call");
const RUN: &str = "run";

/// The driver's bytes: the same for every guest.
pub(super) fn module() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(encode);
    &BYTES
}

fn encode() -> Vec<u8> {
    const NEXT_TYPE: u32 = 0;
    const CALL_TYPE: u32 = 1;
    const RUN_TYPE: u32 = 2;
    const NEXT_FUNCTION: u32 = 0;
    const CALL_FUNCTION: u32 = 1;
    const RUN_FUNCTION: u32 = 2;
    const CODE: u32 = 0;
    const LENGTHS: u32 = 1;

    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I64]);
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    types.ty().function([], []);

    let mut imports = ImportSection::new();
    imports.import(NEXT.0, NEXT.1, EntityType::Function(NEXT_TYPE));
    imports.import(CALL.0, CALL.1, EntityType::Function(CALL_TYPE));

    let mut functions = FunctionSection::new();
    functions.function(RUN_TYPE);

    let mut exports = ExportSection::new();
    exports.export(RUN, ExportKind::Func, RUN_FUNCTION);

    let mut run = Function::new([(1, ValType::I32), (1, ValType::I64)]);
    run.instructions()
        .loop_(BlockType::Empty)
        .local_get(CODE)
        .call(NEXT_FUNCTION)
        .local_tee(LENGTHS)
        .i64_const(32)
        .i64_shr_u()
        .i32_wrap_i64()
        .local_get(LENGTHS)
        .i32_wrap_i64()
        .call(CALL_FUNCTION)
        .local_set(CODE)
        .br(0)
        .end()
        .end();
    let mut code = CodeSection::new();
    code.function(&run);

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
    module.finish()
}

/// A driver bound to one guest.
pub(super) struct Driver {
    run: wasmer::Function,
    coroutine: Coroutine,
    mappings: Mappings,
    stack_bytes: usize,
}

/// Where a driver's coroutine is between calls, if it is entered. While it serves one, it is away.
pub(super) type Coroutine = Rc<Cell<Option<Entered>>>;

/// A driver on its coroutine: it runs when it is polled, and ends only by a fault.
pub(super) struct Entered {
    run: InTurns,
    _stacks: Stacks,
}

impl Driver {
    /// Binds the driver to a guest's `__guest_call`.
    pub(super) fn bind(
        store: &mut Store,
        driver: &wasmer::Module,
        guest_call: &wasmer::Function,
        exchange: &Rc<Exchange>,
        coroutine: Coroutine,
        mappings: Mappings,
        stack_bytes: usize,
    ) -> Result<Driver, Fault> {
        let mut imports = Imports::new();
        imports.define(NEXT.0, NEXT.1, next(store, exchange.clone()));
        imports.define(CALL.0, CALL.1, guest_call.clone());
        let instance = Instance::new(store, driver, &imports)?;
        let run = instance.exports.get_function(RUN).map_err(Fault::instantiation)?.clone();
        Ok(Driver { run, coroutine, mappings, stack_bytes })
    }

    /// Has the guest serve the call that the exchange holds, and answers with what `__guest_call` returned.
    ///
    /// After a fault, or when this future is dropped before it is ready, the guest must not be used again.
    pub(super) async fn serve(&self, store: &StoreAsync, exchange: &Exchange) -> Result<i32, Fault> {
        let mut entered = match self.coroutine.take() {
            Some(entered) => entered,
            None => {
                Entered { _stacks: self.mappings.take_stacks()?, run: InTurns::new(self.run.call_async(store, vec![])) }
            }
        };
        let code = poll_fn(|context| match entered.run.poll_unpin(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(Fault::of(error, self.stack_bytes))),
            Poll::Ready(Ok(_)) => Poll::Ready(Err(Fault::Trapped("the driver ended".into()))),
            Poll::Pending => match exchange.take_outcome() {
                Some(code) => Poll::Ready(Ok(code)),
                None => Poll::Pending,
            },
        })
        .await?;
        if !self.mappings.are_scarce() {
            self.coroutine.set(Some(entered));
        }
        Ok(code)
    }
}

/// `next(code) -> operation length << 32 | message length`.
///
/// It never has to wake anybody: whoever puts a request into the exchange polls the driver right after.
fn next(store: &mut Store, exchange: Rc<Exchange>) -> wasmer::Function {
    wasmer::Function::new_async(store, FunctionType::new([Type::I32], [Type::I64]), move |values: &[Value]| {
        if let [Value::I32(code)] = values {
            exchange.finish(*code);
        }
        let exchange = exchange.clone();
        async move {
            let (operation, message) = poll_fn(|_| exchange.poll_lengths()).await;
            let lengths = u64::from(operation) << 32 | u64::from(message);
            Ok(vec![Value::I64(lengths.cast_signed())])
        }
    })
}
