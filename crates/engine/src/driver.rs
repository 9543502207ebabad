//! The driver: a module of one loop that is entered once and stays suspended between messages.
//!
//! Entering a guest through wasmer's asynchronous calls maps and unmaps a stack for each of them. The driver pays
//! for one stack and keeps it:
//!
//! ```text
//! loop { wait(); (operation_len, message_len) = enter(); finish(__guest_call(operation_len, message_len)) }
//! ```
//!
//! `wait` suspends until there is a request. It takes and returns nothing, because that is what costs least in an
//! asynchronous import.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use send_wrapper::SendWrapper;
use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Module,
    NameSection, TypeSection, ValType,
};
use wasmer::{FunctionType, Imports, Instance, Store, StoreAsync, Value};

use super::exchange::Exchange;
use super::fault::Fault;
use super::functions::Functions;
use super::mappings::{Mappings, Stacks};
use super::turns::InTurns;

const WAIT: (&str, &str) = ("driver", "wait");
const ENTER: (&str, &str) = ("driver", "enter");
const FINISH: (&str, &str) = ("driver", "finish");
const CALL: (&str, &str) = ("guest", "call");
const RUN: &str = "run";

/// The driver's bytes: the same for every guest.
pub(super) fn module() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(encode);
    &BYTES
}

fn encode() -> Vec<u8> {
    const NOTHING_TYPE: u32 = 0;
    const ENTER_TYPE: u32 = 1;
    const FINISH_TYPE: u32 = 2;
    const CALL_TYPE: u32 = 3;
    const WAIT_FUNCTION: u32 = 0;
    const ENTER_FUNCTION: u32 = 1;
    const FINISH_FUNCTION: u32 = 2;
    const CALL_FUNCTION: u32 = 3;
    const RUN_FUNCTION: u32 = 4;
    const LENGTHS: u32 = 0;

    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([], [ValType::I64]);
    types.ty().function([ValType::I32], []);
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);

    let mut imports = ImportSection::new();
    imports.import(WAIT.0, WAIT.1, EntityType::Function(NOTHING_TYPE));
    imports.import(ENTER.0, ENTER.1, EntityType::Function(ENTER_TYPE));
    imports.import(FINISH.0, FINISH.1, EntityType::Function(FINISH_TYPE));
    imports.import(CALL.0, CALL.1, EntityType::Function(CALL_TYPE));

    let mut functions = FunctionSection::new();
    functions.function(NOTHING_TYPE);

    let mut exports = ExportSection::new();
    exports.export(RUN, ExportKind::Func, RUN_FUNCTION);

    let mut run = Function::new([(1, ValType::I64)]);
    run.instructions()
        .loop_(BlockType::Empty)
        .call(WAIT_FUNCTION)
        .call(ENTER_FUNCTION)
        .local_tee(LENGTHS)
        .i64_const(32)
        .i64_shr_u()
        .i32_wrap_i64()
        .local_get(LENGTHS)
        .i32_wrap_i64()
        .call(CALL_FUNCTION)
        .call(FINISH_FUNCTION)
        .br(0)
        .end()
        .end();
    let mut code = CodeSection::new();
    code.function(&run);

    // Without a name, it could be mistaken for a guest that has none where frames of a stack are told apart.
    let mut names = NameSection::new();
    names.module("wasmcloud:driver");

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code).section(&names);
    module.finish()
}

/// A driver bound to one guest.
pub(super) struct Driver {
    run: wasmer::Function,
    entered: Option<Entered>,
    mappings: Mappings,
    /// The functions of the guest.
    functions: Arc<Functions>,
    stack_bytes: usize,
}

/// A driver on its coroutine: it runs when it is polled, and ends only by a fault.
struct Entered {
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
        (mappings, functions, stack_bytes): (Mappings, Arc<Functions>, usize),
    ) -> Result<Driver, Fault> {
        // wasmer wants functions to be `Send`; the wrapper holds because a guest never leaves its shard.
        let (entering, finishing) = (SendWrapper::new(exchange.clone()), SendWrapper::new(exchange.clone()));
        let enter = move || {
            let (operation, message) = entering.enter();
            u64::from(operation) << 32 | u64::from(message)
        };
        let finish = move |code: i32| finishing.finish(code);
        let mut imports = Imports::new();
        imports.define(WAIT.0, WAIT.1, wait(store, exchange.clone()));
        imports.define(ENTER.0, ENTER.1, wasmer::Function::new_typed(store, enter));
        imports.define(FINISH.0, FINISH.1, wasmer::Function::new_typed(store, finish));
        imports.define(CALL.0, CALL.1, guest_call.clone());
        let instance = Instance::new(store, driver, &imports)?;
        let run = instance.exports.get_function(RUN).map_err(Fault::instantiation)?.clone();
        Ok(Driver { run, entered: None, mappings, functions, stack_bytes })
    }

    /// Has the guest go on with the call that the exchange holds, and answers with what `__guest_call` returned.
    pub(super) fn poll(
        &mut self,
        store: &StoreAsync,
        exchange: &Exchange,
        context: &mut Context<'_>,
    ) -> Poll<Result<i32, Fault>> {
        let entered = match &mut self.entered {
            Some(entered) => entered,
            None => {
                let stacks = self.mappings.take_stacks()?;
                let run = InTurns::new(self.run.call_async(store, vec![]), self.functions.clone());
                self.entered.insert(Entered { run, _stacks: stacks })
            }
        };
        match entered.run.poll_unpin(context) {
            Poll::Pending => exchange.take_outcome().map_or(Poll::Pending, |code| {
                if self.mappings.are_scarce() {
                    self.leave();
                }
                Poll::Ready(Ok(code))
            }),
            Poll::Ready(ended) => {
                // Nobody polls this any further, and the next guest to be entered can use its stack.
                self.leave();
                Poll::Ready(Err(match ended {
                    Ok(_) => Fault::trapped("the driver ended"),
                    Err(broken) => Fault::of(broken, self.stack_bytes, exchange.last_words()),
                }))
            }
        }
    }

    /// Whether the coroutine is there.
    pub(super) fn is_entered(&self) -> bool {
        self.entered.is_some()
    }

    /// Gives back the coroutine. The next call enters the driver anew.
    pub(super) fn leave(&mut self) {
        self.entered = None;
    }
}

/// Suspends until there is a request for the guest.
///
/// It never has to wake anybody: whoever puts a request into the exchange polls the driver right after.
fn wait(store: &mut Store, exchange: Rc<Exchange>) -> wasmer::Function {
    wasmer::Function::new_async(store, FunctionType::new([], []), move |_: &[Value]| {
        let exchange = exchange.clone();
        async move {
            poll_fn(|_| if exchange.is_waiting() { Poll::Ready(()) } else { Poll::Pending }).await;
            Ok(vec![])
        }
    })
}
