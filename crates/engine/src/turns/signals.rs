//! A guest's turn, during which its signals come here.

#![allow(unsafe_code, reason = "signals are handled here, and wasmer's calls around them make no promises themselves")]

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use backtrace::Backtrace;
use libc::siginfo_t;
use wasmer::sys::vm::{Trap, TrapCode, TrapHandlerFn, VMConfig, catch_traps, on_host_stack, raise_lib_trap};

use super::super::functions::{Addresses, Functions};

/// The stack that a turn lends to the end of a guest that traps.
const STACK: usize = 128 * 1024;

/// How much of it a turn itself may have used: some calls, all of them small.
const USED: usize = 32 * 1024;

/// How near to its stack pointer a guest's access is to its stack. No frame is larger.
const NEAR: usize = 1024 * 1024;

/// What a signal says about a trap: where it says nothing, wasmer knows it by the place in the code.
const OTHER: usize = 0;
const OVERFLOW: usize = 1;
const OUT_OF_BOUNDS: usize = 2;
const ILLEGAL: usize = 3;

/// The code that this program, or the library that it is part of, consists of. It is a constant that only the program itself
/// can tell; a signal handler reads it.
static OWN_CODE: OnceLock<Range<usize>> = OnceLock::new();

/// Runs a turn of a guest that consists of these functions. When it traps, the addresses say where it was.
pub(super) fn turn<T>(work: impl FnOnce() -> T, functions: &Functions, trapped_at: &Addresses) -> T {
    // The handler must not be the first to ask.
    OWN_CODE.get_or_init(own_code);
    let lent = AtomicUsize::new(0);
    let handler = |_: c_int, info: *const siginfo_t, context: *const c_void| {
        // SAFETY: wasmer hands on what the operating system gave it, and the stack is lent for as long as this exists.
        unsafe { end_guest(info, context.cast_mut(), lent.load(Ordering::Relaxed), (functions, trapped_at)) }
    };
    let handler: *const (dyn Fn(c_int, *const siginfo_t, *const c_void) -> bool + Send + Sync + '_) = &handler;
    // SAFETY: only the lifetime changes, and the handler outlives the call that it is for.
    let handler: *const TrapHandlerFn<'static> = unsafe { std::mem::transmute(handler) };
    let mut outcome = None;
    let mut work = Some(work);
    let mut run = || {
        let here = 0_u8;
        lent.store(std::ptr::from_ref(std::hint::black_box(&here)).addr() - USED, Ordering::Relaxed);
        // The work itself is done on the thread's own stack.
        on_host_stack(|| {
            outcome = work.take().map(|work| catch_unwind(AssertUnwindSafe(work)));
        });
    };
    let run: *mut (dyn FnMut() + '_) = &mut run;
    // SAFETY: only the lifetime changes, and the call below is over before this function is.
    let run: *mut (dyn FnMut() + 'static) = unsafe { std::mem::transmute(run) };
    let config = VMConfig { wasm_stack_size: Some(STACK) };
    // SAFETY: no trap leaves the closure, since the work catches those of its guests, and so nothing is left undropped.
    let _ = unsafe { catch_traps(Some(handler), &config, move || (*run)()) };
    match outcome {
        Some(Ok(value)) => value,
        Some(Err(panic)) => resume_unwind(panic),
        // There is no memory for a stack to handle signals on, which wasmer will say.
        None => match work.take() {
            Some(work) => work(),
            None => unreachable!("work that was begun has an outcome"),
        },
    }
}

/// Has a guest that has met a trap go on in [`trap`], on a stack of which so much as it may need is free below `lent`.
///
/// Only what a guest's own code meets is its trap, and that is all that it can bring about: before it enters the host's
/// code, it has made sure of room on its stack. So whatever the host's code meets is left to others, and ends the process as
/// it would outside of turns.
///
/// # Safety
/// To be called by a signal handler, with what it was called with.
unsafe fn end_guest(
    info: *const siginfo_t,
    context: *mut c_void,
    lent: usize,
    (functions, trapped_at): (&Functions, &Addresses),
) -> bool {
    // SAFETY: the operating system gives both, for as long as the signal is handled.
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
        // SAFETY: a guest's code was interrupted, and not while it set up a frame: only an overflow does that.
        unsafe { note_frames(pc, frame, functions, trapped_at) };
    }
    machine::go_on(machine, trap as *const () as usize, [pc, kind], lent & !15);
    true
}

/// Notes where a guest is in the functions that it has entered and not left, the innermost first.
///
/// # Safety
/// To be called while a guest's code is interrupted, behind the beginning of its function, with its frame pointer.
unsafe fn note_frames(mut pc: usize, frame: Option<usize>, functions: &Functions, trapped_at: &Addresses) {
    let mut frame = frame;
    for place in trapped_at.places() {
        // Only functions of guests are known to keep the frame pointer, so nothing is followed beyond them.
        if !functions.contains(pc) {
            return;
        }
        place.store(pc, Ordering::Relaxed);
        let Some(here) = frame else { return };
        // SAFETY: both compilers have all functions keep the frame pointer: it points at that of the caller, next to which is
        // the address to return to. This is the frame of a function of the guest that has not returned.
        let [above, back] = unsafe { (here as *const [usize; 2]).read() };
        frame = (above > here && above.is_multiple_of(align_of::<usize>())).then_some(above);
        // The call itself lies before the address that it returns to.
        pc = back.wrapping_sub(1);
    }
}

/// Whether an address is in the code of guests, which belongs to no file.
///
/// The dynamic linker knows the files, but not the program itself where that is linked statically, so that is looked at first.
///
/// The linker takes a lock for the answer, as a signal handler must not in general. But these
/// signals come from what the thread itself executes. If that is a guest's code, the thread does not hold the lock, and
/// who else does will give it back. If it is the host's, in the middle of the linker's even, the process is about to end.
fn is_code_of_guests(pc: usize) -> bool {
    if OWN_CODE.get().is_some_and(|own| own.contains(&pc)) {
        return false;
    }
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: any address may be asked for, and there is room for the answer.
    unsafe { libc::dladdr(pc as *const c_void, found.as_mut_ptr()) == 0 }
}

/// Finds the code that this function is part of, among what was loaded.
fn own_code() -> Range<usize> {
    let mut found = 0..0;
    // SAFETY: the function is called with what it expects, and the answer outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(note_own_code), (&raw mut found).cast()) };
    found
}

/// Notes in a range the segment of an object that this very code lies in, if it does, and ends the search then.
unsafe extern "C" fn note_own_code(object: *mut libc::dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
    // SAFETY: the linker passes an object with so many headers.
    let (start, headers) = unsafe {
        let object = &*object;
        (object.dlpi_addr as usize, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
    };
    let here = own_code as *const () as usize;
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let begin = start.wrapping_add(header.p_vaddr as usize);
        let segment = begin..begin.wrapping_add(header.p_memsz as usize);
        if segment.contains(&here) {
            // SAFETY: it is the range of `own_code`.
            unsafe { *found.cast::<Range<usize>>() = segment };
            return 1;
        }
    }
    0
}

/// Ends the guest whose turn it is with a trap.
extern "C-unwind" fn trap(pc: usize, kind: usize) -> ! {
    let code = match kind {
        OVERFLOW => Some(TrapCode::StackOverflow),
        OUT_OF_BOUNDS => Some(TrapCode::HeapAccessOutOfBounds),
        // SAFETY: the machine has just tried to execute it.
        ILLEGAL => unsafe { machine::number_of_trap(pc) }.and_then(code_of),
        _ => None,
    };
    // SAFETY: a guest's code was interrupted, so it is a guest's turn, and nothing of Rust's lies between it and wasmer.
    unsafe { raise_lib_trap(Trap::wasm(pc, Backtrace::from(Vec::new()), code)) }
}

/// The trap that Singlepass gives this number in instructions that it makes to trap.
fn code_of(number: u8) -> Option<TrapCode> {
    // What is no number of a trap has other bits set here.
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

/// Where a machine is: in its code, on its stack, and in the frames on it if those can be followed.
struct Position {
    pc: usize,
    sp: usize,
    frame: Option<usize>,
}

/// The registers of the machine.
#[cfg(target_arch = "x86_64")]
mod machine {
    use libc::mcontext_t;

    pub(super) use super::Position;

    /// Where the machine was.
    pub(super) fn position(machine: &mcontext_t) -> Position {
        let register = |number: i32| machine.gregs[number as usize].cast_unsigned() as usize;
        Position { pc: register(libc::REG_RIP), sp: register(libc::REG_RSP), frame: Some(register(libc::REG_RBP)) }
    }

    /// The number in the instruction `ud1`, which is there for nothing else.
    ///
    /// # Safety
    /// There must be an instruction here.
    pub(super) unsafe fn number_of_trap(pc: usize) -> Option<u8> {
        // SAFETY: the caller promises an instruction, and no further byte is read than what has been read calls for.
        let byte = |index: usize| unsafe { (pc as *const u8).add(index).read() };
        // The register may need a prefix.
        let prefix = usize::from(byte(0) & 0xf0 == 0x40);
        (byte(prefix) == 0x0f && byte(prefix + 1) == 0xb9).then(|| byte(prefix + 2))
    }

    /// Has the machine go on as if a function had just been called.
    pub(super) fn go_on(machine: &mut mcontext_t, function: usize, arguments: [usize; 2], stack: usize) {
        let mut set = |number: i32, value: usize| machine.gregs[number as usize] = (value as u64).cast_signed();
        set(libc::REG_RIP, function);
        // A call leaves the address to return to behind.
        set(libc::REG_RSP, stack - size_of::<usize>());
        set(libc::REG_RBP, 0);
        set(libc::REG_RDI, arguments[0]);
        set(libc::REG_RSI, arguments[1]);
    }
}

/// The registers of the machine.
#[cfg(target_arch = "aarch64")]
mod machine {
    use libc::mcontext_t;

    pub(super) use super::Position;

    /// Where the machine was.
    pub(super) fn position(machine: &mcontext_t) -> Position {
        // Singlepass has the frame pointer point at other registers than the caller's frame and the address to return to.
        Position { pc: machine.pc as usize, sp: machine.sp as usize, frame: None }
    }

    /// The number in the instruction `udf`, which is there for nothing else.
    ///
    /// # Safety
    /// There must be an instruction here.
    pub(super) unsafe fn number_of_trap(pc: usize) -> Option<u8> {
        // SAFETY: instructions have four bytes, and the caller promises that there is one.
        let [low, _, high @ ..] = unsafe { (pc as *const u32).read_unaligned() }.to_le_bytes();
        (high == [0, 0]).then_some(low)
    }

    /// Has the machine go on as if a function had just been called.
    pub(super) fn go_on(machine: &mut mcontext_t, function: usize, arguments: [usize; 2], stack: usize) {
        (machine.pc, machine.sp) = (function as u64, stack as u64);
        machine.regs[..2].copy_from_slice(&arguments.map(|argument| argument as u64));
        // No frame is behind it, and nowhere to return to.
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
