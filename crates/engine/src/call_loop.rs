//! The call loop: a generated module that enters a guest once and stays suspended between calls.
//!
//! An asynchronous call of wasmer maps and unmaps a stack each time. The call loop needs one stack and keeps it:
//!
//! ```text
//! loop { wait(); (operation_len, payload_len) = enter(); finish(__guest_call(operation_len, payload_len)) }
//! ```
//!
//! `wait` suspends until a request is pending. It has no parameters and results, since those are costly in an
//! asynchronous import.
//!
//! The generated module is part of the artifact cache, so its bytes and its name `wasmcloud:driver` stay as they are.

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

use super::fault::Fault;
use super::guest_state::GuestState;
use super::mappings::{MappingBudget, StackReservation};
use super::symbols::SymbolTable;
use super::trap_guard::GuardedCall;

const WAIT: (&str, &str) = ("driver", "wait");
const ENTER: (&str, &str) = ("driver", "enter");
const FINISH: (&str, &str) = ("driver", "finish");
const CALL: (&str, &str) = ("guest", "call");
const RUN: &str = "run";

/// Returns the bytes of the call loop, which is the same for every guest.
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

    // The name tells its stack frames apart from those of a guest without a name.
    let mut names = NameSection::new();
    names.module("wasmcloud:driver");

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code).section(&names);
    module.finish()
}

/// The call loop of one guest.
pub(super) struct CallLoop {
    run: wasmer::Function,
    entered: Option<Entered>,
    config: CallLoopConfig,
}

/// The properties of the guest that a call loop runs.
pub(super) struct CallLoopConfig {
    /// The budget that the stacks are reserved from.
    pub(super) mappings: MappingBudget,
    /// The symbols of the guest.
    pub(super) symbols: Arc<SymbolTable>,
    /// The size of the stack. Unit: bytes.
    pub(super) stack_bytes: usize,
}

/// A call loop on its stacks. It runs when it is polled, and ends only with a fault.
struct Entered {
    run: GuardedCall,
    _stacks: StackReservation,
}

impl CallLoop {
    /// Instantiates the call loop for a guest's `__guest_call`.
    pub(super) fn new(
        store: &mut Store,
        call_loop: &wasmer::Module,
        guest_call: &wasmer::Function,
        state: &Rc<GuestState>,
        config: CallLoopConfig,
    ) -> Result<CallLoop, Fault> {
        // wasmer requires `Send` functions. The wrapper never panics, because a guest stays on its shard.
        let entering = SendWrapper::new(state.clone());
        let enter = move || {
            let lengths = entering.accept_request();
            u64::from(lengths.operation) << 32 | u64::from(lengths.payload)
        };
        let finishing = SendWrapper::new(state.clone());
        let finish = move |code: i32| finishing.set_outcome(code);
        let mut imports = Imports::new();
        imports.define(WAIT.0, WAIT.1, wait(store, state.clone()));
        imports.define(ENTER.0, ENTER.1, wasmer::Function::new_typed(store, enter));
        imports.define(FINISH.0, FINISH.1, wasmer::Function::new_typed(store, finish));
        imports.define(CALL.0, CALL.1, guest_call.clone());
        let instance = Instance::new(store, call_loop, &imports)?;
        let run = instance.exports.get_function(RUN).map_err(Fault::instantiation)?.clone();
        Ok(CallLoop { run, entered: None, config })
    }

    /// Runs the pending call until it suspends or ends. Returns the result of `__guest_call`.
    pub(super) fn poll(
        &mut self,
        store: &StoreAsync,
        state: &GuestState,
        context: &mut Context<'_>,
    ) -> Poll<Result<i32, Fault>> {
        let entered = match &mut self.entered {
            Some(entered) => entered,
            None => {
                let stacks = self.config.mappings.reserve_stacks(self.config.stack_bytes)?;
                let run = GuardedCall::new(self.run.call_async(store, vec![]), self.config.symbols.clone());
                self.entered.insert(Entered { run, _stacks: stacks })
            }
        };
        match entered.run.poll_unpin(context) {
            Poll::Pending => state.take_outcome().map_or(Poll::Pending, |code| {
                if self.config.mappings.stacks_are_scarce() {
                    self.release_stacks();
                }
                Poll::Ready(Ok(code))
            }),
            Poll::Ready(ended) => {
                // A finished future must not be polled again, and its stack can serve the next guest.
                self.release_stacks();
                Poll::Ready(Err(match ended {
                    Ok(_) => Fault::trapped("the call loop ended"),
                    Err(error) => Fault::from_call_error(error, self.config.stack_bytes, state.last_output()),
                }))
            }
        }
    }

    /// Returns whether the call loop has stacks.
    pub(super) fn is_entered(&self) -> bool {
        self.entered.is_some()
    }

    /// Releases the stacks. The next call enters the call loop again.
    pub(super) fn release_stacks(&mut self) {
        self.entered = None;
    }
}

/// Defines the import that suspends until a request is pending. It wakes no task: after a request has been stored, the
/// call loop is polled at once.
fn wait(store: &mut Store, state: Rc<GuestState>) -> wasmer::Function {
    wasmer::Function::new_async(store, FunctionType::new([], []), move |_: &[Value]| {
        let state = state.clone();
        async move {
            poll_fn(|_| if state.has_pending_request() { Poll::Ready(()) } else { Poll::Pending }).await;
            Ok(vec![])
        }
    })
}
