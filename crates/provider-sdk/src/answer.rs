//! Writes and reads the answers of the C interface.

use std::ffi::c_void;

use crate::interface::{Answer, Bytes, status};

/// Returns an answer with these bytes, which are freed when it is released.
pub(crate) fn answer_with(status: u32, bytes: Vec<u8>) -> Answer {
    if bytes.is_empty() {
        return Answer { status, ..Answer::unanswered() };
    }
    let owner = Box::new(bytes);
    let bytes = Bytes::of(&owner);
    Answer { status, bytes, owner: Box::into_raw(owner).cast(), release: Some(release) }
}

/// Frees the bytes of an answer that [`answer_with`] has returned.
unsafe extern "C-unwind" fn release(owner: *mut c_void, _: Bytes) {
    // SAFETY: the owner is the box of `answer_with`, and is released once.
    drop(unsafe { Box::from_raw(owner.cast::<Vec<u8>>()) });
}

/// A copy of an answer.
pub(crate) struct CopiedAnswer {
    pub(crate) status: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Copies an answer without releasing it.
///
/// # Safety
/// The answer must be filled in as the interface requires.
pub(crate) unsafe fn copy(answer: &Answer) -> CopiedAnswer {
    // SAFETY: the caller guarantees that the bytes are valid.
    CopiedAnswer { status: answer.status, bytes: unsafe { answer.bytes.as_slice() }.to_vec() }
}

/// Calls a function that fills in an answer. Copies the answer and releases it.
///
/// # Safety
/// `function` must fill the answer in as the interface requires.
pub(crate) unsafe fn with_answer(function: impl FnOnce(*mut Answer)) -> CopiedAnswer {
    let mut answer = Answer::unanswered();
    function(&mut answer);
    // SAFETY: the caller guarantees that the answer is filled in.
    let copied = unsafe { copy(&answer) };
    if let Some(release) = answer.release {
        // SAFETY: the bytes have been copied, and are released once.
        unsafe { release(answer.owner, answer.bytes) };
    }
    match copied.status {
        status::UNANSWERED => CopiedAnswer { status: status::FAILED, bytes: b"the call was not answered".to_vec() },
        _ => copied,
    }
}
