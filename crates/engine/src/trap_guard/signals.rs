//! Handles the signals of a guest while it is polled.

#![allow(unsafe_code, reason = "signals are handled here, and wasmer's calls around them make no promises themselves")]

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use backtrace::Backtrace;
use libc::siginfo_t;
use wasmer::sys::vm::{Trap, TrapCode, TrapHandlerFn, VMConfig, catch_traps, on_host_stack, raise_lib_trap};

use super::super::symbols::{BacktraceAddresses, SymbolTable};

/// The size of the stack on which a trap is raised. Unit: bytes.
const STACK: usize = 128 * 1024;

/// The part of that stack that the guarded poll itself may have used. Unit: bytes.
const USED: usize = 32 * 1024;

/// The largest distance between the stack pointer and an access to the stack. No frame is larger. Unit: bytes.
const NEAR: usize = 1024 * 1024;

/// The kind of a trap, as far as the signal tells. For `OTHER`, wasmer looks it up by the address in the code.
const OTHER: usize = 0;
const OVERFLOW: usize = 1;
const OUT_OF_BOUNDS: usize = 2;
const ILLEGAL: usize = 3;

/// The address range of the code of this program, or of the library that contains it. It never changes; the signal
/// handler reads it.
static OWN_CODE: OnceLock<Range<usize>> = OnceLock::new();

/// Runs `work`, which polls or drops a guest with these symbols. If the guest traps, stores its backtrace.
pub(super) fn guarded<T>(work: impl FnOnce() -> T, symbols: &SymbolTable, backtrace: &BacktraceAddresses) -> T {
    // The signal handler must not initialize it.
    OWN_CODE.get_or_init(own_code);
    let lent = AtomicUsize::new(0);
    let handler = |_: c_int, info: *const siginfo_t, context: *const c_void| {
        // SAFETY: wasmer passes on the arguments of the operating system, and the stack exists as long as this
        // handler.
        unsafe { end_guest(info, context.cast_mut(), lent.load(Ordering::Relaxed), symbols, backtrace) }
    };
    let handler: *const (dyn Fn(c_int, *const siginfo_t, *const c_void) -> bool + Send + Sync + '_) = &handler;
    // SAFETY: only the lifetime changes, and the handler outlives the call that uses it.
    let handler: *const TrapHandlerFn<'static> = unsafe { std::mem::transmute(handler) };
    let mut outcome = None;
    let mut work = Some(work);
    let mut run = || {
        let here = 0_u8;
        lent.store(std::ptr::from_ref(std::hint::black_box(&here)).addr() - USED, Ordering::Relaxed);
        // The work itself runs on the thread's own stack.
        on_host_stack(|| {
            outcome = work.take().map(|work| catch_unwind(AssertUnwindSafe(work)));
        });
    };
    let run: *mut (dyn FnMut() + '_) = &mut run;
    // SAFETY: only the lifetime changes, and the call below returns before this function does.
    let run: *mut (dyn FnMut() + 'static) = unsafe { std::mem::transmute(run) };
    let config = VMConfig { wasm_stack_size: Some(STACK) };
    // SAFETY: no trap leaves the closure, since the work catches those of its guests, and so nothing is left undropped.
    let _ = unsafe { catch_traps(Some(handler), &config, move || (*run)()) };
    match outcome {
        Some(Ok(value)) => value,
        Some(Err(panic)) => resume_unwind(panic),
        // No stack could be mapped to handle signals on. wasmer reports that when the guest is entered.
        None => match work.take() {
            Some(work) => work(),
            None => unreachable!("work that was begun has an outcome"),
        },
    }
}

/// Makes a guest that trapped continue in [`trap`], on the stack below `lent`. Returns whether the signal was handled.
///
/// Only signals of a guest's own code are handled, and a guest cannot cause others: before it enters the host's code,
/// it checks that its stack has room. Signals of the host's code are left to other handlers and end the process as
/// usual.
///
/// # Safety
/// Must be called by a signal handler, with the arguments of that handler.
unsafe fn end_guest(
    info: *const siginfo_t,
    context: *mut c_void,
    lent: usize,
    symbols: &SymbolTable,
    backtrace: &BacktraceAddresses,
) -> bool {
    // SAFETY: the operating system passes valid pointers while the signal is handled.
    let (fault, machine) =
        unsafe { ((*info).si_addr().addr(), &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext) };
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler that is installed with `SA_SIGINFO`.
    let signal = unsafe { (*info).si_signo };
    let machine::Position { pc, sp, frame } = machine::position(machine);
    if !is_code_of_guests(pc) {
        return false;
    }
    let kind = match signal {
        libc::SIGSEGV | libc::SIGBUS if fault.abs_diff(sp) < NEAR => OVERFLOW,
        libc::SIGSEGV | libc::SIGBUS => OUT_OF_BOUNDS,
        libc::SIGILL => ILLEGAL,
        _ => OTHER,
    };
    if kind != OVERFLOW {
        // SAFETY: a guest's code was interrupted, and not while it set up a frame: only an overflow happens there.
        unsafe { store_backtrace(pc, frame, symbols, backtrace) };
    }
    machine::go_on(machine, trap as *const () as usize, [pc, kind], lent & !15);
    true
}

/// Stores the return addresses of a guest's stack frames, innermost first.
///
/// # Safety
/// Must be called while a guest's code is interrupted after the prologue of its function, with its frame pointer.
unsafe fn store_backtrace(mut pc: usize, frame: Option<usize>, symbols: &SymbolTable, backtrace: &BacktraceAddresses) {
    let mut frame = frame;
    for slot in backtrace.slots() {
        // Only functions of guests are known to keep the frame pointer, so the walk ends after them.
        if !symbols.contains(pc) {
            return;
        }
        slot.store(pc, Ordering::Relaxed);
        let Some(here) = frame else { return };
        // SAFETY: both compilers keep the frame pointer in all functions: it points at the caller's frame pointer,
        // followed by the return address. This is the frame of a guest's function that has not returned.
        let [above, back] = unsafe { (here as *const [usize; 2]).read() };
        frame = (above > here && above.is_multiple_of(align_of::<usize>())).then_some(above);
        // The call instruction precedes its return address.
        pc = back.wrapping_sub(1);
    }
}

/// Returns whether an address is in the code of guests, which belongs to no file.
///
/// The dynamic linker knows the files, except the program itself if it is linked statically, so that is checked first.
///
/// The linker takes a lock, which a signal handler must not do in general. These signals are caused by the thread's own
/// code. In a guest's code, the thread does not hold the lock, and another holder releases it. In the host's code,
/// even in the linker, the process is about to end.
fn is_code_of_guests(pc: usize) -> bool {
    if OWN_CODE.get().is_some_and(|own| own.contains(&pc)) {
        return false;
    }
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: `dladdr` accepts any address, and `found` has room for its result.
    unsafe { libc::dladdr(pc as *const c_void, found.as_mut_ptr()) == 0 }
}

/// Returns the loaded segment that contains this function.
fn own_code() -> Range<usize> {
    let mut found = 0..0;
    // SAFETY: the callback receives the range that it expects, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(find_own_code), (&raw mut found).cast()) };
    found
}

/// Stores the segment of a loaded object that contains this code, and ends the search if there is one.
unsafe extern "C" fn find_own_code(object: *mut libc::dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
    // SAFETY: the linker passes a valid object and the number of its headers.
    let (start, headers) = unsafe {
        let object = &*object;
        (object.dlpi_addr as usize, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
    };
    let here = own_code as *const () as usize;
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let begin = start.wrapping_add(header.p_vaddr as usize);
        let segment = begin..begin.wrapping_add(header.p_memsz as usize);
        if segment.contains(&here) {
            // SAFETY: `found` points at the range of `own_code`.
            unsafe { *found.cast::<Range<usize>>() = segment };
            return 1;
        }
    }
    0
}

/// Raises a trap in the guest that is being polled.
extern "C-unwind" fn trap(pc: usize, kind: usize) -> ! {
    let code = match kind {
        OVERFLOW => Some(TrapCode::StackOverflow),
        OUT_OF_BOUNDS => Some(TrapCode::HeapAccessOutOfBounds),
        // SAFETY: the processor has just tried to execute this instruction.
        ILLEGAL => unsafe { machine::number_of_trap(pc) }.and_then(code_of),
        _ => None,
    };
    // SAFETY: a guest's code was interrupted, so a guest is being polled, and no Rust frame lies between it and
    // wasmer.
    unsafe { raise_lib_trap(Trap::wasm(pc, Backtrace::from(Vec::new()), code)) }
}

/// Returns the trap that Singlepass encodes with this number in trapping instructions.
fn code_of(number: u8) -> Option<TrapCode> {
    // Singlepass sets these bits in all of its numbers.
    if number & 0xc0 != 0xc0 {
        return None;
    }
    Some(match number & 0xf {
        0 => TrapCode::StackOverflow,
        1 => TrapCode::HeapAccessOutOfBounds,
        2 => TrapCode::HeapMisaligned,
        3 => TrapCode::TableAccessOutOfBounds,
        4 => TrapCode::IndirectCallToNull,
        5 => TrapCode::BadSignature,
        6 => TrapCode::IntegerOverflow,
        7 => TrapCode::IntegerDivisionByZero,
        8 => TrapCode::BadConversionToInteger,
        9 => TrapCode::UnreachableCodeReached,
        10 => TrapCode::UnalignedAtomic,
        _ => return None,
    })
}

/// The program counter, stack pointer and, if frames can be followed, frame pointer of a thread.
struct Position {
    pc: usize,
    sp: usize,
    frame: Option<usize>,
}

/// Reads and writes the registers of an interrupted thread.
#[cfg(target_arch = "x86_64")]
mod machine {
    use libc::mcontext_t;

    pub(super) use super::Position;

    /// Returns the position of the thread.
    pub(super) fn position(machine: &mcontext_t) -> Position {
        let register = |number: i32| machine.gregs[number as usize].cast_unsigned() as usize;
        Position { pc: register(libc::REG_RIP), sp: register(libc::REG_RSP), frame: Some(register(libc::REG_RBP)) }
    }

    /// Returns the number in a `ud1` instruction, which has no other use.
    ///
    /// # Safety
    /// `pc` must point at an instruction.
    pub(super) unsafe fn number_of_trap(pc: usize) -> Option<u8> {
        // SAFETY: the caller promises an instruction, and the bytes read so far imply that the next one belongs to it.
        let byte = |index: usize| unsafe { (pc as *const u8).add(index).read() };
        // The register may need a REX prefix.
        let prefix = usize::from(byte(0) & 0xf0 == 0x40);
        (byte(prefix) == 0x0f && byte(prefix + 1) == 0xb9).then(|| byte(prefix + 2))
    }

    /// Makes the thread continue as if a function had just been called.
    pub(super) fn go_on(machine: &mut mcontext_t, function: usize, arguments: [usize; 2], stack: usize) {
        let mut set = |number: i32, value: usize| machine.gregs[number as usize] = (value as u64).cast_signed();
        set(libc::REG_RIP, function);
        // A call pushes the return address.
        set(libc::REG_RSP, stack - size_of::<usize>());
        set(libc::REG_RBP, 0);
        set(libc::REG_RDI, arguments[0]);
        set(libc::REG_RSI, arguments[1]);
    }
}

/// Reads and writes the registers of an interrupted thread.
#[cfg(target_arch = "aarch64")]
mod machine {
    use libc::mcontext_t;

    pub(super) use super::Position;

    /// Returns the position of the thread.
    pub(super) fn position(machine: &mcontext_t) -> Position {
        // In code of Singlepass, the frame pointer does not point at the caller's frame pointer and the return
        // address.
        Position { pc: machine.pc as usize, sp: machine.sp as usize, frame: None }
    }

    /// Returns the number in a `udf` instruction, which has no other use.
    ///
    /// # Safety
    /// `pc` must point at an instruction.
    pub(super) unsafe fn number_of_trap(pc: usize) -> Option<u8> {
        // SAFETY: the caller promises an instruction, and instructions have four bytes.
        let [low, _, high @ ..] = unsafe { (pc as *const u32).read_unaligned() }.to_le_bytes();
        (high == [0, 0]).then_some(low)
    }

    /// Makes the thread continue as if a function had just been called.
    pub(super) fn go_on(machine: &mut mcontext_t, function: usize, arguments: [usize; 2], stack: usize) {
        (machine.pc, machine.sp) = (function as u64, stack as u64);
        machine.regs[..2].copy_from_slice(&arguments.map(|argument| argument as u64));
        // It has no caller: no frame and no return address.
        machine.regs[29..31].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_this_program_is_known_without_the_dynamic_linker() {
        let own = own_code();
        let library = libc::getpid as *const () as usize;
        for function in [is_code_of_guests as *const () as usize, trap as *const () as usize] {
            assert!(own.contains(&function), "{function:x} is not in {own:x?}");
        }
        OWN_CODE.get_or_init(own_code);
        assert!(!is_code_of_guests(own.start) && !is_code_of_guests(own.end - 1));
        assert!(!is_code_of_guests(library), "what the dynamic linker knows is not of guests either");
        let data = Box::new(0_u8);
        assert!(is_code_of_guests((&raw const *data).addr()), "what belongs to no file is taken for it");
    }
}
