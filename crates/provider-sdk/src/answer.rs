//! Answers that are given and taken.

use std::ffi::c_void;

use crate::interface::{Answer, Bytes, status};

/// An answer with these bytes, which are freed when it is released.
pub(crate) fn answer_with(status: u32, bytes: Vec<u8>) -> Answer {
    if bytes.is_empty() {
        return Answer { status, ..Answer::unanswered() };
    }
    let owner = Box::new(bytes);
    let bytes = Bytes::of(&owner);
    Answer { status, bytes, owner: Box::into_raw(owner).cast(), release: Some(release) }
}

/// Frees what [`answer_with`] has made.
unsafe extern "C-unwind" fn release(owner: *mut c_void, _: Bytes) {
    // SAFETY: the owner is the box that was made a pointer above, and it is released once.
    drop(unsafe { Box::from_raw(owner.cast::<Vec<u8>>()) });
}

/// The status and the bytes of an answer that is somebody else's to release.
///
/// # Safety
/// The answer must have been filled in as the interface says.
pub(crate) unsafe fn read(answer: &Answer) -> (u32, Vec<u8>) {
    // SAFETY: the caller vouches for the bytes.
    (answer.status, unsafe { answer.bytes.as_slice() }.to_vec())
}

/// Asks for something that is answered in place, and takes the answer.
///
/// # Safety
/// `ask` must fill the answer in as the interface says.
pub(crate) unsafe fn asked(ask: impl FnOnce(*mut Answer)) -> (u32, Vec<u8>) {
    let mut answer = Answer::unanswered();
    ask(&mut answer);
    // SAFETY: as the caller promises.
    let taken = unsafe { read(&answer) };
    if let Some(release) = answer.release {
        // SAFETY: the bytes have been copied, and this is the one time.
        unsafe { release(answer.owner, answer.bytes) };
    }
    if taken.0 == status::UNANSWERED { (status::FAILED, b"it was not answered".to_vec()) } else { taken }
}
